"""How a search goes about it where nobody says: by what an evaluation costs.

A strategy that fits a model before each batch pays off where an evaluation takes seconds or hours. Where it
takes less than a millisecond, evolution with a hundred times as many evaluations finds more in the same time,
and the whole space is evaluated where that is no more (``benchmarks/search_wall_time.py``).
"""

from dataclasses import dataclass
from typing import Final

from hytnas_datasets.spaces import Space
from hytnas_host.search.strategies import STRATEGIES

CHEAP_S: Final = 0.01
"""Evaluations that take less than this are cheap."""

MANY: Final = 20_000
"""Evaluations of a search where they are cheap, and the largest space that is evaluated as a whole."""

FEW: Final = 200
"""Evaluations of a search where they are dear, or where the strategy fits a model before each batch."""


@dataclass(frozen=True)
class Effort:
    """The strategy's name, and the numbers of evaluations in all, in a batch and in the initial design."""

    strategy: str
    evaluations: int
    batch: int
    initial: int


def default_effort(space: Space, cost_s: float, strategy: str | None = None) -> Effort:
    """What suits a space and evaluations of ``cost_s`` seconds each; with a ``strategy``, what suits it.

    Raises
    ------
    SearchError
        For an unknown strategy.

    Examples
    --------
    >>> from hytnas_datasets.spaces import get_space
    >>> default_effort(get_space("hyt"), cost_s=1e-4).strategy
    'nsga2'
    >>> default_effort(get_space("hyt"), cost_s=60.0)
    Effort(strategy='hyt-plus', evaluations=200, batch=10, initial=30)
    """
    cheap = cost_s <= CHEAP_S
    if strategy is None:
        strategy = "hyt-plus" if not cheap else "exhaustive" if space.size <= MANY else "nsga2"
    if cheap and not STRATEGIES.get(strategy).learns:
        return Effort(strategy, MANY, batch=100, initial=100)
    return Effort(strategy, FEW, batch=10, initial=30)
