"""The bundled parts of a Bayesian search run through the suites that ship with the host."""

import numpy as np
import pytest

from hytnas_host.search import conformance
from hytnas_host.search.acquisition import (
    ACQUISITIONS,
    ConfidenceBound,
    ExpectedImprovement,
    ProbabilityOfImprovement,
)
from hytnas_host.search.initial import DESIGNS
from hytnas_host.search.selection import SELECTIONS, Offer
from hytnas_host.search.surrogates import Mixture, list_surrogates
from hytnas_host.search.toy import small_space, toy_problem

QUICK_SURROGATES = ("xgboost-set", "gp", "mlp1", "gp+ridge", "xgboost-ranker")
"""Other surrogates are estimators, which have a suite of their own."""

CASES = [
    *((check, name) for check in conformance.SURROGATE_CHECKS for name in QUICK_SURROGATES),
    *((check, name) for check in conformance.ACQUISITION_CHECKS for name in ACQUISITIONS.bundled),
    *((check, name) for check in conformance.SELECTION_CHECKS for name in SELECTIONS.bundled),
    *((check, name) for check in conformance.DESIGN_CHECKS for name in DESIGNS.bundled),
]


@pytest.mark.parametrize(("check", "name"), CASES)
def test_it_conforms(check, name, tmp_path):
    check(name, tmp_path)


def test_a_part_that_breaks_its_promise_is_found(monkeypatch, tmp_path):
    class Backwards(ConfidenceBound):
        def __call__(self, mean, std, best, /):
            return -mean

    class Twice:
        def __call__(self, offer, n, rng, /):
            return [0] * min(n, len(offer.values))

    monkeypatch.setitem(ACQUISITIONS._loaded, "ucb", Backwards)
    monkeypatch.setitem(SELECTIONS._loaded, "random", Twice)
    monkeypatch.setitem(DESIGNS._loaded, "beta", lambda problem, n, _, rng: problem.draw_new(n, (), rng))
    with pytest.raises(AssertionError, match="a greater mean is preferred"):
        conformance.check_an_acquisition_prefers_what_is_better("ucb", tmp_path)
    with pytest.raises(AssertionError, match="where 5 were wanted"):
        conformance.check_a_selection_takes_different_candidates("random", tmp_path)
    with pytest.raises(AssertionError, match="seen before"):
        conformance.check_a_design_gives_new_networks_of_the_space("beta", tmp_path)


def test_improvements_are_those_of_the_normal_distribution():
    mean, std, best = np.array([[0.3, 0.5]]), np.array([[0.2, 0.1]]), np.array([0.4, 0.4])
    drawn = mean + std * np.random.default_rng(0).standard_normal((200_000, 2))
    expected = np.maximum(best - drawn, 0).mean(axis=0)
    assert -ExpectedImprovement()(mean, std, best)[0] == pytest.approx(expected, rel=0.02)
    assert -ProbabilityOfImprovement()(mean, std, best)[0] == pytest.approx(
        (drawn < best).mean(axis=0), rel=0.02
    )


def test_selections_choose_by_what_they_are_named_for():
    values = np.array([[0.0, 1.0], [0.5, 0.5], [1.0, 0.0], [0.52, 0.5], [2.0, 2.0]])
    std = np.array([[0.1], [0.2], [0.3], [0.4], [0.5]]) * np.ones((1, 2))
    offer = Offer(np.zeros((0, 2)), values, values, std, np.full(2, 1.1))
    rng = np.random.default_rng(0)
    assert SELECTIONS.get("uncertainty")()(offer, 2, rng) == [4, 3]
    assert set(SELECTIONS.get("dominance")()(offer, 3, rng)) == {0, 1, 2}
    assert SELECTIONS.get("crowding")()(offer, 5, rng)[3:] == [3, 4]
    assert SELECTIONS.get("hypervolume")()(offer, 1, rng) == [1]


def test_the_beta_design_prefers_the_ends_and_the_clusters_spread():
    problem, rng = toy_problem(small_space()), np.random.default_rng(0)
    codes = np.array([a.indices[0] for _ in range(40) for a in DESIGNS.get("beta")(problem, 2, (), rng)])
    assert np.isin(codes, [0, 3]).mean() > 0.55


def test_a_mixture_is_uncertain_where_its_parts_disagree():
    class Fixed:
        def __init__(self, mean, std):
            self._found = np.array([[mean]]), np.array([[std]])

        def fit(self, x, y, *, rng):
            return self

        def predict(self, x):
            return self._found

    mean, std = Mixture([Fixed(0.0, 3.0), Fixed(8.0, 3.0)]).predict(np.zeros((1, 1)))
    assert (mean.item(), std.item()) == (4.0, 5.0)


def test_every_estimator_that_needs_no_layer_plan_is_a_surrogate():
    assert {"xgboost-set", "gp", "mlp1", "mlp2", "xgboost-ranker", "random-forest"} <= set(list_surrogates())
    assert "layerwise" not in list_surrogates()
