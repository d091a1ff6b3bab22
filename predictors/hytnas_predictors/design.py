"""Which networks to measure, where few can be: those that tell most about all others.

A Gaussian process over the logarithms of the work columns says how uncertain the latency of each network is
before anything is measured. The next network is always the one of the largest variance, given those before:
that is the greedy choice of a D-optimal design, the largest determinant of the covariance [KSG08]_. It fills
the space, edges included.

References
----------
.. [KSG08] Krause, Singh and Guestrin, Near-optimal sensor placements in Gaussian processes, JMLR 9, 2008.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hytnas_datasets.errors import SpaceError
from hytnas_datasets.families import has_networks
from hytnas_datasets.plan import Task, identity
from hytnas_datasets.spaces import Architecture, Space
from hytnas_predictors.errors import PredictorError
from hytnas_predictors.estimators.gaussian_process import matern
from hytnas_predictors.estimators.standardised import Standardisation
from hytnas_predictors.features import make_features

Floats = NDArray[np.float64]

CANDIDATES: Final = 2000
LENGTH: Final = 2.0
NOISE_VARIANCE: Final = 0.01


def choose_networks(
    space: Space,
    task: Task,
    n: int,
    rng: np.random.Generator,
    measured: Sequence[Architecture] = (),
    *,
    candidates: Sequence[Architecture] | None = None,
) -> list[Architecture]:
    """The ``n`` networks to measure next, the most telling first.

    They are chosen among 2,000 random ones where nobody names candidates. In a space without layer plans,
    indicators of the choices take the place of the work columns.

    Parameters
    ----------
    space : Space
    task : Task
    n : int
    rng : numpy.random.Generator
        Draws the candidates.
    measured : sequence of Architecture
        Those that have a label: neither they nor others that give the same network are chosen again.
    candidates : sequence of Architecture, optional

    Raises
    ------
    PredictorError
        If ``n`` is negative.
    SpaceError
        If fewer than ``n`` distinct networks are left among the candidates.

    Examples
    --------
    >>> from hytnas_datasets.spaces import get_space
    >>> hyt = get_space("hyt")
    >>> first = choose_networks(hyt, Task(), 2, np.random.default_rng(0))
    >>> more = choose_networks(hyt, Task(), 3, np.random.default_rng(0), measured=first)
    >>> len(more), set(first) & set(more)
    (3, set())
    """
    if n < 0:
        raise PredictorError(f"{n} networks were asked for", "Ask for 0 or more.")
    if candidates is None:
        left = space.size - len(set(measured))
        candidates = space.sample(min(CANDIDATES, left), rng, exclude=measured)
    points = _points(space, [*measured, *candidates], task)
    design = _Design(points)
    for row in range(len(measured)):
        design.add(row)
    known = {identity(architecture, task) for architecture in measured}
    chosen: list[Architecture] = []
    open_rows = np.arange(len(points)) >= len(measured)
    while len(chosen) < n:
        if not open_rows.any():
            raise SpaceError(
                f"only {len(chosen)} more distinct networks of {space.name} were found, {n} were asked for",
                f"Ask for at most {len(chosen)}",
            )
        row = int(np.argmax(np.where(open_rows, design.variance, -np.inf)))
        open_rows[row] = False
        candidate = candidates[row - len(measured)]
        network = identity(candidate, task)
        if network not in known:
            known.add(network)
            chosen.append(candidate)
            design.add(row)
    return chosen


def _points(space: Space, architectures: Sequence[Architecture], task: Task) -> Floats:
    """(n, d) columns at mean 0 and standard deviation 1, of those that are not constant."""
    if has_networks(space):
        x = np.log1p(make_features(space, architectures, task, ("work",)).x)
    else:
        x = make_features(space, architectures, task, ("one-hot",)).x
    points = Standardisation.of(x)(x)
    varies = points.any(axis=0)
    return np.asarray(points[:, varies] / (LENGTH * np.sqrt(max(int(varies.sum()), 1))))


class _Design:
    """The variance at all points given the labels of some: a pivoted Cholesky decomposition, row by row."""

    def __init__(self, points: Floats) -> None:
        self.points = points
        self.variance = np.ones(len(points))
        self.factors: list[Floats] = []

    def add(self, row: int) -> None:
        """Condition on a noisy label of the point ``row``."""
        covariance = matern(self.points, self.points[[row]], 1.0)[:, 0]
        for factor in self.factors:
            covariance = covariance - factor[row] * factor
        factor = covariance / np.sqrt(covariance[row] + NOISE_VARIANCE)
        self.factors.append(factor)
        self.variance = self.variance - factor**2
