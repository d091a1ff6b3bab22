"""When labels are enough: risks that add up, bounds that hold, and networks that are uncertain."""

import numpy as np
import pytest

from hytnas_datasets.bundled import load
from hytnas_datasets.errors import NotEnoughDataError
from hytnas_predictors.errors import PredictorError
from hytnas_predictors.metrics import kendall_tau
from hytnas_predictors.predictor import fit_predictor
from hytnas_predictors.stopping import (
    Goal,
    choose_uncertain,
    confidence_at,
    look,
    look_sizes,
    mape_at_most,
    tau_over_space,
)

LABELLED = load("hyt-icount-a53")


def test_looks_are_at_the_same_numbers_whatever_the_limit_and_their_risks_add_up() -> None:
    sizes = look_sizes(100_000)
    assert look_sizes(150) == sizes[: len(look_sizes(150))]
    assert sum(1.0 - confidence_at(size) for size in sizes) < 0.05
    with pytest.raises(PredictorError, match="at least 20"):
        look_sizes(19)


@pytest.mark.parametrize("goal", [{}, {"tau": 1.0}, {"tau": 0.0}, {"mape": 0.0}, {"tau": 0.9, "mape": -1.0}])
def test_goals_that_no_score_can_reach_are_refused(goal: dict[str, float]) -> None:
    with pytest.raises(PredictorError):
        Goal(**goal)


@pytest.mark.parametrize("n", [10, 20, 57])
def test_the_bounds_hold_as_often_as_they_say(n: int) -> None:
    rng = np.random.default_rng(5)
    truth = np.exp(rng.uniform(0.0, 2.0, 3000))
    predicted = truth * np.exp(rng.normal(0.0, 0.03, 3000))
    tau, error = kendall_tau(truth, predicted), float(np.mean(np.abs(predicted / truth - 1.0)))
    held = []
    for _ in range(300):
        some = rng.choice(3000, n, replace=False)
        y, guess, places = truth[some], predicted[some], predicted[rng.choice(3000, 200, replace=False)]
        estimate, at_least = tau_over_space(y, guess, places, 0.975)
        assert at_least <= estimate
        held.append((at_least <= tau, mape_at_most(y, guess, 0.975) >= error))
    assert np.mean(held, axis=0).min() >= 0.95


def test_predictions_at_random_are_no_good_and_perfect_ones_are() -> None:
    y = np.arange(1.0, 11.0)
    assert tau_over_space(y, y[::-1], y, 0.99)[1] < 0.1
    assert mape_at_most(y, y, 0.99) == 0.0


def test_a_look_scores_on_random_networks_alone() -> None:
    labelled = LABELLED.take(range(40))
    random = [row % 2 == 0 for row in range(40)]
    found = look(labelled, random, Goal(tau=0.9, mape=0.1), confidence=0.975)
    assert (found.labels, found.scored, found.reached) == (40, 20, True)
    assert 0.9 < found.tau_at_least < found.tau < 1.0
    assert 0.0 < found.mape < found.mape_at_most < 0.1
    assert not look(labelled, random, Goal(tau=0.9, mape=0.0001), confidence=0.975).reached
    with pytest.raises(NotEnoughDataError, match="7 random"):
        look(labelled, [row < 7 for row in range(40)], Goal(tau=0.9), confidence=0.975)


def test_the_uncertain_are_chosen_one_from_each_part() -> None:
    predictor = fit_predictor("layerwise", LABELLED.take(range(20)), rng=np.random.default_rng(0))
    candidates = LABELLED.architectures[20:120]
    found = predictor.predict(candidates)
    chosen = [candidates.index(each) for each in choose_uncertain(predictor, candidates, 4)]
    assert [row // 25 for row in chosen] == [0, 1, 2, 3]
    assert chosen[0] == np.argmax((found.std / found.mean)[:25])
    assert choose_uncertain(predictor, candidates, 0) == []
    with pytest.raises(PredictorError, match="at most 100"):
        choose_uncertain(predictor, candidates, 101)
