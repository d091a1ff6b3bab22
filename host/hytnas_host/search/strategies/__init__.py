"""Search strategies behind one ``ask``/``tell`` interface."""

from typing import Any, Final

import numpy as np

from hytnas_host.search.errors import SearchError
from hytnas_host.search.problem import SearchProblem
from hytnas_host.search.strategies.base import Strategy, StrategyState
from hytnas_host.search.strategies.hyt import HytStrategy
from hytnas_host.search.strategies.nsga2 import Nsga2Strategy
from hytnas_host.search.strategies.random import RandomStrategy

__all__ = ["STRATEGIES", "Strategy", "StrategyState", "make_strategy"]

STRATEGIES: Final[dict[str, type[Strategy]]] = {
    strategy.name: strategy for strategy in (HytStrategy, Nsga2Strategy, RandomStrategy)
}
"""Strategies by name."""


def make_strategy(name: str, problem: SearchProblem, rng: np.random.Generator, **options: Any) -> Strategy:
    """The strategy of this name.

    Raises
    ------
    SearchError
        For an unknown name or an option that the strategy does not have.
    """
    if name not in STRATEGIES:
        raise SearchError(f"There is no search strategy {name!r}", f"Choose from {', '.join(STRATEGIES)}")
    try:
        return STRATEGIES[name](problem, rng, **options)
    except TypeError as error:
        raise SearchError(f"The strategy {name} cannot be made with {options}: {error}") from error
