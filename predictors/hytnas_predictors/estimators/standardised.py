"""Columns and targets at mean 0 and standard deviation 1, where that is possible."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
CONSTANT = 1e-12


@dataclass(frozen=True)
class Standardisation:
    """``(x - mean) / scale``, by column.

    Attributes
    ----------
    mean, scale : (d,) float64
        ``scale`` is positive; a column that is constant in the data has 1.
    """

    mean: Floats
    scale: Floats

    @classmethod
    def of(cls, x: Floats) -> Self:
        """Of the columns of ``x`` (n, d).

        Examples
        --------
        >>> Standardisation.of(np.array([[1.0, 5.0], [3.0, 5.0]]))(np.array([[4.0, 6.0]])).tolist()
        [[2.0, 1.0]]
        """
        mean, scale = x.mean(axis=0), x.std(axis=0)
        varies = scale > CONSTANT * np.maximum(np.abs(mean), 1.0)
        return cls(mean, np.where(varies, scale, 1.0))

    def __call__(self, x: Floats) -> Floats:
        """(n, d) standardised columns."""
        return np.asarray((x - self.mean) / self.scale)


def mean_and_scale(y: Floats) -> tuple[float, float]:
    """Mean and standard deviation of (n,) targets; the latter is positive, and tiny where they are equal.

    Examples
    --------
    >>> mean_and_scale(np.array([1.0, 3.0]))
    (2.0, 1.0)
    """
    mean = float(y.mean())
    return mean, max(float(y.std()), CONSTANT * abs(mean), float(np.finfo(np.float64).tiny) ** 0.5)
