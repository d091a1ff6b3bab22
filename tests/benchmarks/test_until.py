"""The simulation of collecting until it is enough: it stops soon, and what it promises holds."""

import numpy as np
from until import play

from hytnas_datasets.bundled import load
from hytnas_predictors.stopping import Goal


def test_few_labels_are_enough_and_the_promise_holds() -> None:
    labelled, goal = load("hyt-icount-a53"), Goal(tau=0.95, mape=0.05)
    trials = [play(labelled, goal, "layerwise", 80, np.random.default_rng(seed)) for seed in range(2)]
    assert all(trial.reached and trial.labels <= 57 for trial in trials)
    assert all(trial.tau >= 0.95 and trial.mape <= 0.05 for trial in trials)


def test_a_goal_out_of_reach_ends_at_the_limit() -> None:
    goal = Goal(mape=0.00001)
    trial = play(load("hyt-icount-a53"), goal, "layerwise", 20, np.random.default_rng(0))
    assert (trial.labels, trial.reached) == (20, False)
