"""Predictions for graphs: what was seen, what has a stand-in, what is not known."""

from dataclasses import replace

import numpy as np
import pytest

from hytnas_datasets.bundled import load
from hytnas_datasets.plan import build_plan
from hytnas_datasets.work import (
    WORK_KINDS,
    GraphWork,
    NodeWork,
    OperatorWork,
    UnknownNode,
    layer_work,
)
from hytnas_predictors.graph_predictions import FUSED, STAND_INS, predict_graphs
from hytnas_predictors.predictor import fit_predictor


@pytest.fixture(scope="module")
def predictor():
    labels = load("hyt-icount-a53")
    few = replace(
        labels,
        architectures=labels.architectures[:60],
        plan_hashes=labels.plan_hashes[:60],
        y=labels.y[:60],
        repeats=labels.repeats[:60],
    )
    return fit_predictor("layerwise", few, rng=np.random.default_rng(0))


@pytest.fixture(scope="module")
def architecture(predictor):
    return predictor.space.sample(1, np.random.default_rng(7))[0]


@pytest.fixture(scope="module")
def known(predictor, architecture):
    """The work of a network of the space, an operator at a time."""
    plan = build_plan(architecture, predictor.info.context.task)
    return GraphWork(
        tuple(NodeWork(layer.name, layer.kind, work) for layer in plan.layers for work in layer_work(layer))
    )


def with_more(work, *operators):
    return GraphWork((*work.nodes, *(NodeWork(f"more{i}", "More", o) for i, o in enumerate(operators))))


def test_a_graph_of_a_network_of_the_space_is_predicted_like_the_network(predictor, architecture, known):
    (found,) = predict_graphs(predictor.estimator, [known])
    expected = predictor.predict([architecture])
    assert found.mean == pytest.approx(float(expected.mean[0]), rel=1e-12)
    assert found.std == pytest.approx(float(expected.std[0]), rel=1e-12)
    assert (found.extrapolated, found.unseen, found.unknown) == (bool(expected.extrapolated[0]), {}, ())


def test_an_unseen_kind_is_charged_like_its_stand_in_with_more_doubt(predictor, known):
    big = OperatorWork("grouped", macs=2_000_000, read=50_000, written=50_000, weights=2000)
    like = OperatorWork("spatial", macs=2_000_000, read=50_000, written=50_000, weights=2000)
    plain, found, stand_in = predict_graphs(
        predictor.estimator, [known, with_more(known, big), with_more(known, like)]
    )
    assert found.unseen == {"grouped": "spatial"}
    assert found.mean == stand_in.mean > plain.mean
    assert found.std / found.mean > stand_in.std / stand_in.mean
    assert found.extrapolated


def test_a_fused_kind_is_charged_nothing_with_more_doubt(predictor, known):
    plain, found = predict_graphs(
        predictor.estimator, [known, with_more(known, OperatorWork("relu", written=400_000))]
    )
    assert found.unseen == {"relu": None}
    assert found.mean == plain.mean
    assert found.std > plain.std
    assert found.extrapolated


def test_a_pooling_is_charged_for_what_it_looks_at(predictor, known):
    pooling = OperatorWork("window_pool", read=50_000, written=5_000, window=45_000)
    like = OperatorWork("depthwise", macs=45_000, read=50_000, written=5_000)
    found, stand_in = predict_graphs(predictor.estimator, [with_more(known, pooling), with_more(known, like)])
    assert found.mean == stand_in.mean


def test_unknown_operators_are_named_with_more_doubt(predictor, known):
    unknown = UnknownNode("lrn", "LRN")
    plain, found = predict_graphs(predictor.estimator, [known, GraphWork(known.nodes, (unknown,))])
    assert (found.mean, found.unknown, found.extrapolated) == (plain.mean, (unknown,), True)
    assert found.std > plain.std


def test_a_graph_of_nothing_that_is_known_is_extrapolated(predictor):
    (found,) = predict_graphs(predictor.estimator, [GraphWork((), (UnknownNode("x", "LSTM"),))])
    assert found.extrapolated
    assert np.isfinite([found.mean, found.std]).all()
    assert predict_graphs(predictor.estimator, []) == []


def test_every_kind_has_other_kinds_to_stand_in():
    assert set(STAND_INS) == set(WORK_KINDS)
    assert all(stand_ins and kind not in stand_ins for kind, stand_ins in STAND_INS.items())
    assert set(FUSED) <= set(WORK_KINDS)
