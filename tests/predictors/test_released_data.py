"""The published measurements: what an honest score on them is was found by an independent study."""

import os
from pathlib import Path

import numpy as np
import pytest

from hytnas_datasets.label_context import LabelContext
from hytnas_datasets.labelled import LabelledSet
from hytnas_datasets.plan import Task, network_hash
from hytnas_datasets.spaces import get_space
from hytnas_datasets.spaces.released import read_released
from hytnas_datasets.targets import LATENCY
from hytnas_predictors.leaderboard import build_leaderboard
from hytnas_predictors.metrics import kendall_tau
from hytnas_predictors.predictor import fit_predictor
from hytnas_predictors.recipes import Recipe
from hytnas_predictors.result import Leaderboard

ROOT = Path(__file__).resolve().parents[2]
LEAK = 0.79


@pytest.fixture(scope="module")
def latencies() -> LabelledSet:
    folder = Path(os.environ.get("HYTNAS_REFERENCE_DATA", ROOT.parent / "shared" / "reference"))
    if not (folder / "hytnas_released").is_dir():
        pytest.skip(f"reference data are not in {folder}; set HYTNAS_REFERENCE_DATA")
    released, task = read_released(folder / "hytnas_released")[LATENCY.name], Task()
    return LabelledSet(
        space=get_space("hyt-released"),
        architectures=released.architectures,
        plan_hashes=tuple(network_hash(each, task) for each in released.architectures),
        y=released.y,
        repeats=tuple(released.y[i : i + 1] for i in range(len(released))),
        target=LATENCY,
        context=LabelContext(task),
        provenance=released.source,
    )


@pytest.fixture(scope="module")
def board(latencies: LabelledSet) -> Leaderboard:
    ordinal = [Recipe(name, ("ordinal",), "log", {"members": 1}) for name in ("xgboost", "lightgbm")]
    return build_leaderboard(latencies, recipes=ordinal, repeats=1, resamples=200)


def test_trees_reach_what_the_noise_allows_and_nothing_leaks(board: Leaderboard) -> None:
    for score in board.scores:
        assert 0.74 < score.kendall_tau.value < LEAK
        assert score.kendall_tau.high < LEAK + 0.01


def test_labels_that_were_never_repeated_have_no_ceiling(board: Leaderboard) -> None:
    assert board.ceiling is None
    assert any("No label was repeated" in note for note in board.notes)


def test_training_rows_score_what_the_paper_states(latencies: LabelledSet) -> None:
    params = {"n_estimators": 400, "max_depth": 6, "learning_rate": 0.1, "members": 1, "subsample": 1.0}
    recipe = Recipe("xgboost", ("ordinal",), "identity", params)
    predictor = fit_predictor("xgboost", latencies, rng=np.random.default_rng(0), recipe=recipe)
    assert kendall_tau(latencies.y, predictor.predict(latencies.architectures).mean) > 0.9
