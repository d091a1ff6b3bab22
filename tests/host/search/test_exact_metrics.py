import numpy as np
import pytest

from hytnas_datasets.plan import Task, build_plan
from hytnas_datasets.spaces import get_space
from hytnas_host.search import PlanMetrics, SearchError


def test_facts_are_those_of_the_layer_plan():
    space, task = get_space("hyt"), Task(resolution=64, classes=10)
    exact_metrics = PlanMetrics(task)
    architectures = space.sample(4, np.random.default_rng(0))
    plans = [build_plan(a, task) for a in architectures]
    for name in ("params", "macs", "activations"):
        assert exact_metrics.values(name, architectures).tolist() == [getattr(plan, name) for plan in plans]
    assert exact_metrics.identities(architectures) == [plan.hash for plan in plans]
    assert exact_metrics.values("params", []).shape == (0,)
    assert exact_metrics.identities([]) == []


def test_unknown_quantity():
    with pytest.raises(SearchError, match=r"does not give 'energy'.*params"):
        PlanMetrics(Task()).values("energy", [])
