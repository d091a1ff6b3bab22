from types import SimpleNamespace

import numpy as np
import pytest

from hytnas_host.search import (
    CallableEvaluator,
    EvaluationError,
    PredictorEvaluator,
    SearchError,
    TableEvaluator,
    get_objective,
)
from hytnas_host.search.evaluators import checked
from hytnas_predictors.estimators import make_estimator


class Sum:
    """Predicts a multiple of the sum of the codes."""

    def __init__(self, factor):
        self.factor = factor

    def predict(self, architectures, /):
        mean = np.array([self.factor * sum(a.indices) for a in architectures], dtype=float)
        return SimpleNamespace(
            mean=mean, std=np.ones(len(mean)), extrapolated=np.zeros(len(mean), dtype=bool)
        )


def test_predictions_come_before_exact_counts(small_space, exact_metrics):
    architectures = small_space.sample(6, np.random.default_rng(0))
    evaluator = PredictorEvaluator(
        {"latency_ms": Sum(2.0), "accuracy": Sum(0.1)},
        exact_metrics,
        sources={"latency_ms": "sum"},
        execution="emulated",
    )
    assert [o.name for o in evaluator.objectives] == ["latency_ms", "accuracy", "params"]
    assert [o.source for o in evaluator.objectives] == ["sum", "predictor", "layer plan"]
    assert evaluator.execution == "emulated"
    values = evaluator.evaluate(architectures).values
    total = np.array([sum(a.indices) for a in architectures])
    assert np.allclose(values[:, 0], 2.0 * total)
    assert np.allclose(values[:, 1], 0.1 * total)
    assert np.array_equal(values[:, 2], exact_metrics.values("params", architectures))


@pytest.mark.parametrize("name", ["mlp2", "mlp3"])
def test_a_value_does_not_depend_on_the_others_beside_it(small_space, exact_metrics, name):
    rng = np.random.default_rng(0)
    architectures = small_space.sample(40, rng)
    x = small_space.encode(architectures).astype(float)
    network = make_estimator(name).fit(x, x.sum(axis=1), rng=rng)

    class Network:
        def predict(self, asked, /):
            mean = network.predict(small_space.encode(asked))
            return SimpleNamespace(
                mean=mean, std=np.ones(len(mean)), extrapolated=np.zeros(len(mean), dtype=bool)
            )

    def evaluate(some):
        return PredictorEvaluator({"latency_ms": Network()}, exact_metrics).evaluate(some).values

    whole = evaluate(architectures)
    for cut in range(1, 40):
        parts = [evaluate(architectures[:cut]), evaluate(architectures[cut:])]
        assert np.array_equal(np.vstack(parts), whole)


def test_what_is_asked_about_extrapolation_is_predicted_once(small_space, exact_metrics):
    asked = []

    class Counting(Sum):
        def predict(self, architectures, /):
            asked.extend(set(architectures))
            return super().predict(architectures)

    evaluator = PredictorEvaluator({"latency_ms": Counting(1.0)}, exact_metrics)
    architectures = small_space.sample(6, np.random.default_rng(0))
    assert not evaluator.extrapolates(architectures).any()
    values = evaluator.evaluate(architectures[::-1]).values
    assert values[:, 0].tolist() == [sum(a.indices) for a in architectures[::-1]]
    assert sorted(asked, key=str) == sorted(architectures, key=str)


def test_fingerprint_follows_the_predictions(small_space, exact_metrics):
    probes = small_space.sample(6, np.random.default_rng(0))
    prints = [
        PredictorEvaluator({"latency_ms": Sum(f)}, exact_metrics, probes=probes).fingerprint
        for f in (2, 2, 3)
    ]
    assert prints[0] == prints[1] != prints[2]
    assert PredictorEvaluator({"latency_ms": Sum(1)}, exact_metrics, fingerprint="abc").fingerprint == "abc"


def test_objectives_given_twice_or_by_nobody_are_refused(exact_metrics):
    with pytest.raises(SearchError, match="Both a predictor and the layer plan give params"):
        PredictorEvaluator({"params": Sum(1)}, exact_metrics)
    with pytest.raises(SearchError, match="does not give macs"):
        PredictorEvaluator({"latency_ms": Sum(1)}, exact_metrics, exact=("macs",))
    with pytest.raises(SearchError, match="no objective 'speed'"):
        PredictorEvaluator({"speed": Sum(1)}, exact_metrics)


def test_table_gives_its_labels_and_nothing_else(small_space, exact_metrics):
    known = [a for a in small_space.enumerate() if a.indices[0] == 0]
    values = np.array([[float(sum(a.indices[:-1]))] for a in known])
    table = TableEvaluator.of_labels((get_objective("latency_ms"),), known, values, exact_metrics)
    assert np.array_equal(table.evaluate(known).values, values)
    assert table.evaluate([]).values.shape == (0, 1)
    stranger = next(a for a in small_space.enumerate() if a.indices[0] == 1)
    with pytest.raises(EvaluationError, match="no label for the network 1-0-0"):
        table.evaluate([stranger])


def test_table_refuses_rows_that_do_not_fit(small_space, exact_metrics):
    latency = (get_objective("latency_ms"),)
    with pytest.raises(SearchError, match="2 values for x, not 1"):
        TableEvaluator(latency, {"x": (1.0, 2.0)}, exact_metrics)
    twins = [a for a in small_space.enumerate() if a.indices[:-1] == (0, 0, 0)]
    with pytest.raises(SearchError, match="two different labels"):
        TableEvaluator.of_labels(latency, twins, np.array([[1.0], [2.0]]), exact_metrics)
    assert (
        TableEvaluator(latency, {"x": (1.0,)}, exact_metrics).fingerprint
        != TableEvaluator(latency, {"x": (2.0,)}, exact_metrics).fingerprint
    )


def test_callable_evaluator(small_space):
    evaluator = CallableEvaluator((get_objective("params"),), lambda a: [[1] for _ in a])
    assert evaluator.evaluate(small_space.sample(2, np.random.default_rng(0))).values.tolist() == [
        [1.0],
        [1.0],
    ]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_named(small_space, bad):
    architectures = small_space.sample(2, np.random.default_rng(0))
    values = np.array([[1.0, 2.0], [bad, 2.0]])
    with pytest.raises(EvaluationError, match=small_space.format(architectures[1])):
        checked(values, architectures, small_space, 2)


def test_values_of_another_shape_are_refused(small_space):
    architectures = small_space.sample(2, np.random.default_rng(0))
    with pytest.raises(EvaluationError, match=r"shape \(2,\), not \(2, 1\)"):
        checked(np.ones(2), architectures, small_space, 1)
