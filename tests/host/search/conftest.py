"""The toy problem as fixtures: a search takes a fraction of a second."""

import pytest

from hytnas_datasets.plan import Task
from hytnas_host.search import toy
from hytnas_host.search.problem import SearchProblem
from hytnas_host.search.strategies.conformance import QUICK


@pytest.fixture
def exact_metrics():
    return toy.ToyMetrics()


@pytest.fixture
def objectives():
    return toy.OBJECTIVES


@pytest.fixture
def small_space():
    return toy.small_space()


@pytest.fixture
def wide_space():
    return toy.wide_space()


@pytest.fixture
def conditional_space():
    return toy.conditional_space()


@pytest.fixture
def evaluator():
    return toy.toy_evaluator()


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
    return QUICK
