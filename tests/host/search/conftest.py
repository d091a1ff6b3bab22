"""Small spaces, cheap exact metrics and an analytic problem: a search takes a fraction of a second."""

import numpy as np
import pytest

from hytnas_datasets.plan import Task
from hytnas_datasets.spaces import Space, Variable
from hytnas_datasets.spaces.constraints import Ordering
from hytnas_datasets.spaces.variables import When
from hytnas_host.search import CallableEvaluator, get_objective
from hytnas_host.search.problem import SearchProblem


class ToyMetrics:
    """``params`` is a weighted sum of the codes; the last variable does not change the network."""

    names = ("params",)

    def __init__(self):
        self.asked = 0

    def identity(self, architecture):
        return "-".join(map(str, architecture.indices[:-1]))

    def values(self, name, architectures, /):
        assert name == "params"
        self.asked += len(architectures)
        return np.array([10.0 + 10 * sum(max(i, 0) for i in a.indices[:-1]) for a in architectures])


def toy_values(architectures):
    """Latency, accuracy and parameters with a real trade-off and parts that do not matter."""
    codes = (
        np.array([a.indices[:-1] for a in architectures], dtype=float).clip(0).reshape(len(architectures), -1)
    )
    weights = 1.0 + np.arange(codes.shape[1]) % 3
    latency = 5.0 + codes @ weights
    accuracy = 0.5 + 0.4 * (1.0 - np.exp(-0.2 * codes @ weights[::-1]))
    params = 10.0 + 10.0 * codes.sum(axis=1)
    return np.column_stack([latency, accuracy, params])


def make_space(name, choices, **kwargs):
    variables = tuple(Variable(f"v{i}", tuple(range(1, c + 1))) for i, c in enumerate(choices))
    return Space(name, variables, family="none", **kwargs)


@pytest.fixture
def exact_metrics():
    return ToyMetrics()


@pytest.fixture
def objectives():
    return tuple(get_objective(name) for name in ("latency_ms", "accuracy", "params"))


@pytest.fixture
def small_space():
    """48 architectures, 24 networks."""
    return make_space("toy-small", (4, 3, 2, 2))


@pytest.fixture
def wide_space():
    """4^8 * 2 architectures."""
    return make_space("toy-wide", (4,) * 8 + (2,))


@pytest.fixture
def conditional_space():
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


@pytest.fixture
def evaluator(objectives):
    return CallableEvaluator(objectives, toy_values, fingerprint="toy")


@pytest.fixture
def task():
    return Task(resolution=32, classes=10)


@pytest.fixture
def make_problem(exact_metrics, objectives):
    def make(space, constraints=()):
        return SearchProblem(space, objectives, exact_metrics, tuple(constraints))

    return make


@pytest.fixture
def quick_options():
    """Options that make each strategy quick."""
    return {
        "hyt": {"members": 2, "population": 16, "generations": 3},
        "nsga2": {"population": 8},
        "random": {},
    }
