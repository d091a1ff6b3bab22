"""A prediction taken apart, held against the prediction itself."""

import numpy as np
import pytest

from hytnas_datasets.bundled import load
from hytnas_predictors.errors import PredictorError
from hytnas_predictors.explanation import explain, unit_costs
from hytnas_predictors.predictor import fit_predictor


@pytest.fixture(scope="module")
def labels():
    return load("hyt-icount-a53")


@pytest.fixture(scope="module")
def predictor(labels):
    return fit_predictor("layerwise", labels, rng=np.random.default_rng(0))


def test_stages_sum_up_to_the_prediction(labels, predictor):
    for architecture in labels.architectures[:5]:
        found = explain(predictor, architecture)
        assert found.predicted == predictor.predict([architecture]).mean[0]
        assert sum(stage.cost for stage in found.stages) * found.factor == pytest.approx(found.predicted)
        assert 0.9 < found.factor < 1.1
        for stage in found.stages:
            assert sum(stage.by_kind.values()) == pytest.approx(stage.cost)
        assert "matmul" in found.stages[3].by_kind
        assert "matmul" not in found.stages[1].by_kind


def test_costs_have_intervals_around_them_and_are_not_all_there_are(predictor):
    costs = unit_costs(predictor)
    assert all(0 <= cost.low <= cost.high and cost.high > 0 for cost in costs)
    assert {"grouped", "window_pool"}.isdisjoint(cost.kind for cost in costs)
    macs = {cost.kind: cost.cost for cost in costs if cost.quantity == "macs"}
    assert macs["pointwise"] == pytest.approx(2.5e-7, rel=0.2)


def test_another_predictor_cannot_be_explained(labels):
    trees = fit_predictor("lightgbm", labels, rng=np.random.default_rng(0))
    with pytest.raises(PredictorError, match=r"lightgbm does not say.*--predictor layerwise"):
        explain(trees, labels.architectures[0])
