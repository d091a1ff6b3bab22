"""Acquisition functions: what a candidate promises, from the surrogate's mean and standard deviation.

Each takes ``mean`` and ``std`` (n, m) of minimised objectives and the ``best`` (m,) value of each among those
evaluated, and gives (n, m) values to be minimised. Those of the confidence bound and of the mean are in the
unit of the objectives, so that hypervolume can be computed of them; improvements are not.

References
----------
[Srinivas2010] N. Srinivas, A. Krause, S. Kakade, M. Seeger, "Gaussian Process Optimization in the Bandit
    Setting: No Regret and Experimental Design", ICML 2010 (the upper confidence bound).
[Jones1998] D. R. Jones, M. Schonlau, W. J. Welch, "Efficient Global Optimization of Expensive Black-Box
    Functions", Journal of Global Optimization 13, 1998 (the expected improvement).
[Kushner1964] H. J. Kushner, "A New Method of Locating the Maximum Point of an Arbitrary Multipeak Curve in
    the Presence of Noise", Journal of Basic Engineering 86, 1964 (the probability of improvement).
"""

from typing import ClassVar, Final, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from hytnas_agent.registry import Registry
from hytnas_host.search.errors import SearchError

Floats = NDArray[np.float64]
_TINY: Final = 1e-12


class Acquisition(Protocol):
    """Made from ``kappa``, the weight of the standard deviation; those without such a weight ignore it."""

    in_units: ClassVar[bool]

    def __init__(self, kappa: float = 1.0) -> None: ...

    def __call__(self, mean: Floats, std: Floats, best: Floats, /) -> Floats:
        """(n, m) values to be minimised."""
        ...


class ConfidenceBound:
    """The optimistic bound ``mean - kappa * std``. [Srinivas2010]_

    It is the upper confidence bound (UCB) of the literature, mirrored because everything here is minimised.
    """

    in_units: ClassVar[bool] = True

    def __init__(self, kappa: float = 1.0) -> None:
        self._kappa = kappa

    def __call__(self, mean: Floats, std: Floats, best: Floats, /) -> Floats:
        """(n, m) bounds."""
        del best
        return np.asarray(mean - self._kappa * std, dtype=np.float64)


class PosteriorMean:
    """The mean itself: what is uncertain gets no credit."""

    in_units: ClassVar[bool] = True

    def __init__(self, kappa: float = 1.0) -> None:
        del kappa

    def __call__(self, mean: Floats, std: Floats, best: Floats, /) -> Floats:
        """(n, m) means."""
        del std, best
        return mean


class ExpectedImprovement:
    """Minus ``E[max(best - f, 0)]`` of each objective for itself. [Jones1998]_"""

    in_units: ClassVar[bool] = False

    def __init__(self, kappa: float = 1.0) -> None:
        del kappa

    def __call__(self, mean: Floats, std: Floats, best: Floats, /) -> Floats:
        """(n, m) negated expected improvements."""
        spread = np.maximum(std, _TINY)
        z = (best - mean) / spread
        return np.asarray(-((best - mean) * norm.cdf(z) + spread * norm.pdf(z)), dtype=np.float64)


class ProbabilityOfImprovement:
    """Minus ``P(f < best)`` of each objective for itself. [Kushner1964]_"""

    in_units: ClassVar[bool] = False

    def __init__(self, kappa: float = 1.0) -> None:
        del kappa

    def __call__(self, mean: Floats, std: Floats, best: Floats, /) -> Floats:
        """(n, m) negated probabilities."""
        return np.asarray(-norm.cdf((best - mean) / np.maximum(std, _TINY)), dtype=np.float64)


ACQUISITIONS: Final[Registry[type[Acquisition]]] = Registry(
    "hytnas.acquisitions",
    "acquisition",
    {
        "ucb": "hytnas_host.search.acquisition:ConfidenceBound",
        "ei": "hytnas_host.search.acquisition:ExpectedImprovement",
        "pi": "hytnas_host.search.acquisition:ProbabilityOfImprovement",
        "mean": "hytnas_host.search.acquisition:PosteriorMean",
    },
    error=SearchError,
    accepts=lambda found: isinstance(found, type),
)
"""Acquisitions by name."""
