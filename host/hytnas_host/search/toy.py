"""A search problem with a known answer, so that a strategy can be tried in a fraction of a second.

The spaces have no networks. The last variable of each changes nothing, so that several architectures are one
candidate.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hytnas_datasets.spaces import Architecture, Space, Variable
from hytnas_datasets.spaces.constraints import Ordering
from hytnas_datasets.spaces.variables import When
from hytnas_host.search.constraints import parse_constraint
from hytnas_host.search.evaluators import CallableEvaluator
from hytnas_host.search.objectives import get_objective
from hytnas_host.search.problem import SearchProblem

OBJECTIVES = tuple(get_objective(name) for name in ("latency_ms", "accuracy", "params"))


class ToyMetrics:
    """``params`` is a weighted sum of the codes; the last variable does not change the candidate.

    ``asked`` counts the architectures whose parameters were asked for.
    """

    names: tuple[str, ...] = ("params",)

    def __init__(self) -> None:
        self.asked = 0

    def identities(self, architectures: Sequence[Architecture], /) -> list[str]:
        """The codes but the last."""
        return ["-".join(map(str, architecture.indices[:-1])) for architecture in architectures]

    def values(self, name: str, architectures: Sequence[Architecture], /) -> NDArray[np.float64]:
        """(n,) parameters."""
        assert name == "params"
        self.asked += len(architectures)
        return np.array([10.0 + 10 * sum(max(i, 0) for i in a.indices[:-1]) for a in architectures])


def toy_values(architectures: Sequence[Architecture]) -> NDArray[np.float64]:
    """(n, 3) latency, accuracy and parameters with a real trade-off and parts that do not matter."""
    codes = np.array([a.indices[:-1] for a in architectures], dtype=np.float64).clip(0)
    codes = codes.reshape(len(architectures), -1)
    weights = 1.0 + np.arange(codes.shape[1]) % 3
    latency = 5.0 + codes @ weights
    accuracy = 0.5 + 0.4 * (1.0 - np.exp(-0.2 * codes @ weights[::-1]))
    params = 10.0 + 10.0 * codes.sum(axis=1)
    return np.column_stack([latency, accuracy, params])


def toy_evaluator() -> CallableEvaluator:
    """The evaluator of `toy_values`."""
    return CallableEvaluator(OBJECTIVES, toy_values, fingerprint="toy")


def toy_problem(
    space: Space, constraints: Sequence[str] = (), metrics: ToyMetrics | None = None
) -> SearchProblem:
    """The problem of `toy_values` in a space, with constraints such as ``params <= 70``."""
    parsed = tuple(parse_constraint(text) for text in constraints)
    return SearchProblem(space, OBJECTIVES, metrics or ToyMetrics(), parsed)


def grid_space(name: str, choices: Sequence[int]) -> Space:
    """A space with as many choices for each variable."""
    variables = tuple(Variable(f"v{i}", tuple(range(1, c + 1))) for i, c in enumerate(choices))
    return Space(name, variables, family="none")


def small_space() -> Space:
    """48 architectures, 24 candidates."""
    return grid_space("toy-small", (4, 3, 2, 2))


def wide_space() -> Space:
    """4^8 * 2 architectures."""
    return grid_space("toy-wide", (4,) * 8 + (2,))


def conditional_space() -> Space:
    """Variables that exist only under a parent, and an ordering between two others."""
    variables = (
        Variable("kind", ("conv", "attention")),
        Variable("heads", (1, 2, 4), When("kind", ("attention",))),
        Variable("patch", (2, 4), When("heads", (2, 4))),
        Variable("kernel", (3, 5, 7), When("kind", ("conv",))),
        Variable("first", (8, 16, 24, 32)),
        Variable("second", (8, 16, 24, 32)),
        Variable("depth", (1, 2, 3, 4)),
        Variable("unused", (0, 1)),
    )
    return Space("toy-conditional", variables, family="none", constraints=(Ordering(("first", "second")),))
