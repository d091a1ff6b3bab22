"""Search strategies behind one ``ask``/``tell`` interface."""

from typing import Any, Final

import numpy as np

from hytnas_agent.registry import Registry
from hytnas_host.search.errors import SearchError
from hytnas_host.search.problem import SearchProblem
from hytnas_host.search.strategies.base import Strategy, StrategyState

__all__ = ["STRATEGIES", "Strategy", "StrategyState", "list_strategies", "make_strategy"]

STRATEGIES: Final[Registry[type[Strategy]]] = Registry(
    "hytnas.strategies",
    "search strategy",
    {
        "hyt": "hytnas_host.search.strategies.bayesian:HytStrategy",
        "hyt-plus": "hytnas_host.search.strategies.bayesian:HytPlusStrategy",
        "mobo-gp": "hytnas_host.search.strategies.bayesian:MoboGpStrategy",
        "nsga2": "hytnas_host.search.strategies.nsga2:Nsga2Strategy",
        "cmaes": "hytnas_host.search.strategies.cmaes:CmaesStrategy",
        "exhaustive": "hytnas_host.search.strategies.exhaustive:ExhaustiveStrategy",
        "random": "hytnas_host.search.strategies.random:RandomStrategy",
    },
    error=SearchError,
    accepts=lambda found: isinstance(found, type) and issubclass(found, Strategy),
)
"""Strategies by name: the bundled ones, and those of the entry points ``hytnas.strategies``."""


def list_strategies() -> tuple[str, ...]:
    """Names of the strategies, the bundled ones first.

    Examples
    --------
    >>> list_strategies()[:3]
    ('hyt', 'hyt-plus', 'mobo-gp')
    """
    return STRATEGIES.names()


def make_strategy(name: str, problem: SearchProblem, rng: np.random.Generator, **options: Any) -> Strategy:
    """The strategy of this name.

    Raises
    ------
    SearchError
        For an unknown name or an option that the strategy does not have.
    """
    strategy = STRATEGIES.get(name)
    try:
        return strategy(problem, rng, **options)
    except TypeError as error:
        raise SearchError(f"The strategy {name} cannot be made with {options}: {error}") from error
