"""Acquisition functions: what a candidate promises, from the surrogate's mean and standard deviation.

References
----------
[Srinivas2010] N. Srinivas, A. Krause, S. Kakade, M. Seeger, "Gaussian Process Optimization in the Bandit
    Setting: No Regret and Experimental Design", ICML 2010 (the upper confidence bound).
"""

import numpy as np
from numpy.typing import NDArray


def confidence_bound(
    mean: NDArray[np.float64], std: NDArray[np.float64], /, *, kappa: float = 1.0
) -> NDArray[np.float64]:
    """The optimistic bound ``mean - kappa * std`` of minimised objectives. [Srinivas2010]_

    The upper confidence bound (UCB) of the literature, mirrored because everything here is minimised.

    Parameters
    ----------
    mean, std : (n, m) float64
        The surrogate's prediction and its standard deviation.
    kappa : float
        How much an uncertain candidate is given credit for; 0 trusts the mean.
    """
    return np.asarray(mean - kappa * std, dtype=np.float64)
