"""Selections: which of the candidates to evaluate next.

References
----------
[Deb2002] K. Deb, A. Pratap, S. Agarwal, T. Meyarivan, "A fast and elitist multiobjective genetic algorithm:
    NSGA-II", IEEE Transactions on Evolutionary Computation 6(2), 2002 (the crowding distance).
[Guerreiro2016] A. P. Guerreiro, C. M. Fonseca, L. Paquete, "Greedy Hypervolume Subset Selection in Low
    Dimensions", Evolutionary Computation 24(3), 2016: greedy choice is within 1 - 1/e of the best subset.
"""

from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray
from pymoo.operators.survival.rank_and_crowding.metrics import calc_crowding_distance

from hytnas_agent.registry import Registry
from hytnas_host.search.errors import SearchError
from hytnas_host.search.pareto import front_ranks, hypervolume_improvement


@dataclass(frozen=True)
class Offer:
    """k candidates, and what they have to improve on; all values are minimised.

    Attributes
    ----------
    present : (f, m) float64
        What was evaluated, and the predicted means of what is pending.
    values : (k, m) float64
        What the candidates promise, in the unit of ``present``.
    acquired : (k, m) float64
        Their acquisition, in a unit of its own.
    std : (k, m) float64
    reference_point : (m,) float64
    """

    present: NDArray[np.float64]
    values: NDArray[np.float64]
    acquired: NDArray[np.float64]
    std: NDArray[np.float64]
    reference_point: NDArray[np.float64]


class Selection(Protocol):
    """Made without an argument."""

    def __call__(self, offer: Offer, n: int, rng: np.random.Generator, /) -> list[int]:
        """Numbers of ``n`` different candidates, or of all where there are fewer, the best first."""
        ...


class HypervolumeSelection:
    """Greedy hypervolume improvement; of those that add equally much the most uncertain."""

    def __call__(self, offer: Offer, n: int, rng: np.random.Generator, /) -> list[int]:
        """See `greedy_hypervolume`."""
        del rng
        preference = offer.std.mean(axis=1)
        return greedy_hypervolume(
            offer.present, offer.values, offer.reference_point, n, preference=preference
        )


class RandomSelection:
    """Any of the candidates."""

    def __call__(self, offer: Offer, n: int, rng: np.random.Generator, /) -> list[int]:
        """Uniform."""
        chosen: list[int] = rng.permutation(len(offer.values))[:n].tolist()
        return chosen


class DominanceSelection:
    """By non-dominated front of the acquisition, at random within a front."""

    def __call__(self, offer: Offer, n: int, rng: np.random.Generator, /) -> list[int]:
        """The first fronts first."""
        shuffled = rng.permutation(len(offer.values))
        chosen: list[int] = np.lexsort((shuffled, front_ranks(offer.acquired)))[:n].tolist()
        return chosen


class UncertaintySelection:
    """The most uncertain first."""

    def __call__(self, offer: Offer, n: int, rng: np.random.Generator, /) -> list[int]:
        """By the mean of the standard deviations."""
        del rng
        chosen: list[int] = np.argsort(-offer.std.mean(axis=1), kind="stable")[:n].tolist()
        return chosen


class CrowdingSelection:
    """By non-dominated front of the acquisition, within a front by the crowding distance. [Deb2002]_"""

    def __call__(self, offer: Offer, n: int, rng: np.random.Generator, /) -> list[int]:
        """The first fronts first, in each the loneliest."""
        del rng
        ranks = front_ranks(offer.acquired)
        distance = np.zeros(len(ranks))
        for rank in np.unique(ranks):
            distance[ranks == rank] = calc_crowding_distance(offer.acquired[ranks == rank])
        chosen: list[int] = np.lexsort((np.arange(len(ranks)), -distance, ranks))[:n].tolist()
        return chosen


def greedy_hypervolume(
    front: NDArray[np.float64],
    candidates: NDArray[np.float64],
    reference_point: NDArray[np.float64],
    n: int,
    /,
    *,
    preference: NDArray[np.float64] | None = None,
) -> list[int]:
    """Indices of ``n`` candidates, each the one that adds most to those before it. [Guerreiro2016]_

    All values are minimised. Hypervolume is submodular, so a gain computed earlier bounds the present one
    from above, and a candidate is looked at again only where its bound could still win.

    Parameters
    ----------
    front : (f, m) float64
        What is there already (evaluated or pending).
    candidates : (k, m) float64
    reference_point : (m,) float64
    n : int
        At most ``k`` indices are returned.
    preference : (k,) float64, optional
        Larger goes first among candidates that add equally much, as when none adds anything; earlier first
        without it.
    """
    count = len(candidates)
    order = np.zeros(count) if preference is None else preference
    present = front.reshape(len(front), candidates.shape[1])
    bounds = hypervolume_improvement(present, candidates, reference_point)
    left = set(range(count))
    chosen: list[int] = []
    while left and len(chosen) < n:
        best, best_gain = -1, -np.inf
        for index in sorted(left, key=lambda i: (-bounds[i], -order[i], i)):
            if best >= 0 and bounds[index] < best_gain:
                break
            gain = float(hypervolume_improvement(present, candidates[[index]], reference_point)[0])
            bounds[index] = gain
            if best < 0 or (gain, order[index]) > (best_gain, order[best]):
                best, best_gain = index, gain
        chosen.append(best)
        left.discard(best)
        present = np.vstack([present, candidates[[best]]])
    return chosen


SELECTIONS: Final[Registry[type[Selection]]] = Registry(
    "hytnas.selections",
    "selection",
    {
        "hypervolume": "hytnas_host.search.selection:HypervolumeSelection",
        "random": "hytnas_host.search.selection:RandomSelection",
        "dominance": "hytnas_host.search.selection:DominanceSelection",
        "uncertainty": "hytnas_host.search.selection:UncertaintySelection",
        "crowding": "hytnas_host.search.selection:CrowdingSelection",
    },
    error=SearchError,
    accepts=lambda found: isinstance(found, type),
)
"""Selections by name."""
