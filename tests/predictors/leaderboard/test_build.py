import csv
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path

import msgspec
import numpy as np
import pytest

from hytnas_datasets.errors import NotEnoughDataError
from hytnas_datasets.label_context import LabelContext
from hytnas_datasets.labelled import LabelledSet
from hytnas_datasets.plan import Task, build_plan, count_layer
from hytnas_datasets.spaces import Space, Variable
from hytnas_datasets.targets import ACCURACY, get_target
from hytnas_predictors.errors import PredictorError
from hytnas_predictors.estimators import ESTIMATORS, list_estimators
from hytnas_predictors.estimators.mlp import MLP2Estimator
from hytnas_predictors.features import FEATURE_SETS
from hytnas_predictors.leaderboard import build_leaderboard, to_rows, write_csv
from hytnas_predictors.leaderboard.baselines import baseline_columns
from hytnas_predictors.leaderboard.candidates import suitable_estimators
from hytnas_predictors.progress import SilentProgress
from hytnas_predictors.recipes import Recipe, suits
from hytnas_predictors.result import Leaderboard

QUICK = (
    Recipe("mlp2", ("physical",), "log", {"members": 1}),
    Recipe("lightgbm", ("ordinal",), "log", {"members": 1, "n_estimators": 40}),
)


def quick(labelled: LabelledSet, **options) -> Leaderboard:
    options = {"recipes": QUICK, "repeats": 2, "resamples": 200} | options
    return build_leaderboard(labelled, **options)


def without_times(board: Leaderboard) -> Leaderboard:
    scores = tuple(msgspec.structs.replace(each, fit_s=0.0, predict_us_per_row=0.0) for each in board.scores)
    return msgspec.structs.replace(board, scores=scores)


@pytest.fixture(scope="module")
def board(make_labelled) -> Leaderboard:
    return quick(make_labelled(60))


def test_all_that_suit_the_labels_are_compared_by_default(make_labelled) -> None:
    labelled = make_labelled(40)
    board = build_leaderboard(labelled, folds=2, repeats=1, resamples=100)
    suitable = {name for name in list_estimators() if suits(name, labelled.target, labelled.space)}
    assert {score.predictor for score in board.scores} == suitable
    assert {"xgboost", "lightgbm", "mlp2", "mlp3", "layerwise", "gp", "ensemble"} <= suitable
    assert all(score.better_than_chance for score in board.scores)


def test_an_estimator_that_somebody_registers_is_compared_too(
    make_labelled, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = EntryPoint("mine", "hytnas_predictors.estimators.mlp:MLP2Estimator", ESTIMATORS.group)
    monkeypatch.setattr("hytnas_agent.registry._entry_points", lambda group: [mine])
    monkeypatch.setattr(ESTIMATORS, "bundled", {"lightgbm": ESTIMATORS.bundled["lightgbm"]})
    monkeypatch.setattr(ESTIMATORS, "_loaded", {})
    board = build_leaderboard(make_labelled(40), folds=2, repeats=1, resamples=100)
    assert {score.predictor for score in board.scores} == {"lightgbm", "mine"}


class Failing(MLP2Estimator):
    def fit(self, x, y, *, rng):
        raise ValueError("it does not work\ntoday")


class Unsure(MLP2Estimator):
    def predict_with_std(self, x):
        return np.full(len(x), np.nan), np.zeros(len(x))


def test_an_installed_estimator_that_fails_is_named_and_stops_no_other(
    make_labelled, monkeypatch: pytest.MonkeyPatch
) -> None:
    offers = {
        "gone": "no_such_module_here:Thing",
        "fails": f"{__name__}:Failing",
        "nan": f"{__name__}:Unsure",
    }
    points = [EntryPoint(name, value, ESTIMATORS.group) for name, value in offers.items()]
    monkeypatch.setattr("hytnas_agent.registry._entry_points", lambda group: points)
    monkeypatch.setattr(ESTIMATORS, "bundled", {"lightgbm": ESTIMATORS.bundled["lightgbm"]})
    monkeypatch.setattr(ESTIMATORS, "_loaded", {})
    board = build_leaderboard(make_labelled(40), folds=2, repeats=1, resamples=100)
    assert [score.predictor for score in board.scores] == ["lightgbm"]
    said = " ".join(board.notes)
    assert "The estimator gone is left out, because it fails: The estimator 'gone' (no_such_module" in said
    assert "The estimator fails is left out, because it fails: it does not work today" in said
    assert "The estimator nan is left out, because it fails: it predicts values that are no numbers" in said
    assert "left out, because" not in " ".join(quick(make_labelled(40), recipes=QUICK[1:]).notes)
    for name, error in (("gone", PredictorError), ("fails", ValueError), ("nan", PredictorError)):
        with pytest.raises(error):
            build_leaderboard(make_labelled(40), estimators=[name], folds=2, repeats=1, resamples=100)


def test_predictors_come_best_first_with_intervals(board: Leaderboard) -> None:
    taus = [score.kendall_tau for score in board.scores]
    assert [tau.value for tau in taus] == sorted((tau.value for tau in taus), reverse=True)
    assert all(tau.low <= tau.value <= tau.high for tau in taus)
    assert board.scores[0].kendall_tau.value > 0.8
    assert [each.predictor for each in board.out_of_fold] == [score.predictor for score in board.scores]
    assert all(len(each.predicted) == board.labels == 60 for each in board.out_of_fold)


def test_the_ceiling_is_above_and_nothing_leaks(board: Leaderboard) -> None:
    assert board.ceiling is not None
    assert board.ceiling.label_to_truth.value > board.scores[0].kendall_tau.value
    assert not any(score.leak_suspected for score in board.scores)


def test_labels_of_a_single_process_are_counted_beside_the_ceiling(make_labelled) -> None:
    labelled = make_labelled(30)
    repeats = tuple(each[:1] if row < 7 else each for row, each in enumerate(labelled.repeats))
    board = quick(replace(labelled, repeats=repeats), recipes=QUICK[1:], repeats=1, resamples=50)
    assert any("23 labels that were repeated. 7 others are of a single process" in n for n in board.notes)


def test_profiles_give_the_table_as_a_baseline(make_labelled, make_profile, board: Leaderboard) -> None:
    labelled = make_labelled(30)
    plans = [build_plan(each, labelled.context.task) for each in labelled.architectures]
    profiles = [make_profile(plan, lambda layer: 0.1 * count_layer(layer).macs ** 0.9) for plan in plans]
    some = (*profiles[:12], *[None] * 18)
    found = quick(replace(labelled, profiles=some), recipes=QUICK[1:], repeats=1, resamples=50)
    assert {score.predictor for score in found.baselines} == {"macs", "params", "roofline", "table", "mean"}
    assert next(each for each in found.baselines if each.predictor == "table").kendall_tau.value > 0.5
    assert "The baseline table rests on the profiles of 12 of 30 networks." in found.notes
    said = " ".join(board.notes)
    assert "no baseline table" in said
    assert "hytnas-profile collect passes --profile" in said
    # In a fold without a profile in its training part there would be no table.
    alone = replace(labelled, profiles=(profiles[0], *[None] * 29))
    folds = np.arange(30)[None] % 5
    assert "table" not in baseline_columns(alone, folds)
    assert "table" in baseline_columns(replace(labelled, profiles=some), folds)


def test_baselines_end_with_chance(board: Leaderboard) -> None:
    assert {score.predictor for score in board.baselines[:-1]} == {"macs", "params", "roofline"}
    chance = board.baselines[-1]
    assert (chance.predictor, chance.kendall_tau.value, chance.better_than_chance) == ("mean", 0.0, False)
    assert chance.rmse > board.scores[0].rmse


def test_the_roofline_estimates_latencies_alone(make_labelled) -> None:
    accuracies = replace(make_labelled(30), target=ACCURACY, profiles=(None,) * 30)
    board = quick(accuracies, recipes=[Recipe("mlp2", ("physical",), params={"members": 1})])
    assert {score.predictor for score in board.baselines} == {"macs", "params", "mean"}


def test_simulated_labels_are_called_simulated(board: Leaderboard) -> None:
    assert board.context.execution == "simulated"
    assert any("SIMULATED" in note for note in board.notes)


def test_the_best_is_compared_with_each_other_and_spreads_are_held_against_labels(
    board: Leaderboard, make_labelled
) -> None:
    best, other = board.scores
    assert best.p_against_best is None
    assert other.p_against_best is not None
    assert 0 <= other.p_against_best <= 1
    assert all(score.inside_90_percent is None for score in (*board.scores, *board.baselines))  # one member
    layerwise = quick(make_labelled(60), recipes=[Recipe("layerwise", ("work",), "log")]).scores[0]
    assert layerwise.inside_90_percent is not None
    assert 0.7 < layerwise.inside_90_percent <= 1
    assert layerwise.within_5_percent <= layerwise.within_10_percent


def test_edges_and_curves_are_there_where_they_are_asked_for(make_labelled, board: Leaderboard) -> None:
    assert not board.curves
    assert board.scores[0].lowest is None
    wanted = {"edges": True, "curve_samples": 2, "feature_sets": True}
    full = quick(make_labelled(40), repeats=1, folds=2, **wanted)
    assert {score.features for score in full.feature_scores} == set(FEATURE_SETS)
    taus = {(score.features, score.predictor): score.kendall_tau for score in full.feature_scores}
    assert taus["physical", "ridge"] > 0.8  # the rule of these labels is of the multiply-accumulates
    assert taus["physical", "ridge"] > taus["ordinal", "ridge"]
    assert not board.feature_scores
    assert [curve.predictor for curve in full.curves] == [score.predictor for score in full.scores]
    assert [point.labels for point in full.curves[0].points] == [10, 20]
    for score in full.scores:
        assert score.lowest is not None
        assert score.highest is not None
        assert score.lowest.mape > 0
    row = to_rows(full)[0]
    assert row["lowest_tenth_mape"] == full.scores[0].lowest.mape
    assert to_rows(full)[-1]["highest_tenth_kendall_tau"] is None


def test_equal_seeds_give_equal_leaderboards(make_labelled, board: Leaderboard) -> None:
    again, other = quick(make_labelled(60)), quick(make_labelled(60), seed=1)
    assert without_times(again) == without_times(board)
    assert without_times(other) != without_times(board)


def test_it_survives_json(board: Leaderboard) -> None:
    assert msgspec.json.decode(msgspec.json.encode(board), type=Leaderboard) == board


def test_csv_has_a_row_for_each_predictor_and_baseline(board: Leaderboard, tmp_path: Path) -> None:
    write_csv(board, tmp_path / "board.csv")
    with (tmp_path / "board.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["predictor"] for row in rows] == [
        score.predictor for score in (*board.scores, *board.baselines)
    ]
    assert float(rows[0]["kendall_tau"]) == board.scores[0].kendall_tau.value
    assert [row["baseline"] for row in to_rows(board)] == [False] * 2 + [True] * 4


def test_a_predictor_that_sees_the_labels_is_a_suspect(make_labelled) -> None:
    labelled = make_labelled(80, noise=0.6)
    order = np.argsort(labelled.y)
    leaky = Space("leaky", (Variable("rank", tuple(range(80))),), family="none")
    codes = np.empty(80, dtype=np.int64)
    codes[order] = np.arange(80)
    leaked = replace(labelled, space=leaky, architectures=tuple(leaky.decode(codes[:, None])))
    board = quick(leaked, recipes=[Recipe("mlp2", ("ordinal",), "log", {"members": 1, "weight_decay": 0.0})])
    assert board.scores[0].leak_suspected
    assert any("leak" in note for note in board.notes)
    assert [score.predictor for score in board.baselines] == ["mean"]
    assert any("no layer plans" in note for note in board.notes)


def test_labels_of_pure_noise_cannot_be_told_from_chance(make_labelled) -> None:
    labelled = make_labelled(60)
    board = quick(replace(labelled, y=np.random.default_rng(5).permutation(labelled.y)))
    assert board.verdict.startswith("No predictor can be told from chance")
    assert not any(score.better_than_chance for score in board.scores)


def test_equal_labels_leave_nothing_to_rank(make_labelled) -> None:
    labelled = make_labelled(30)
    board = quick(replace(labelled, y=np.full(30, 5.0), repeats=tuple(np.full((30, 5), 5.0))))
    assert all(score.kendall_tau.value == 0 for score in board.scores)
    assert any("nothing to rank" in note for note in board.notes)


def test_labels_of_one_network_share_a_fold_and_count_once(make_labelled) -> None:
    labelled = make_labelled(40)
    twice = replace(
        labelled,
        architectures=labelled.architectures * 2,
        plan_hashes=labelled.plan_hashes * 2,
        y=np.tile(labelled.y, 2),
        repeats=labelled.repeats * 2,
    )
    board = quick(twice)
    assert (board.labels, board.networks) == (80, 40)
    assert board.scores[0].kendall_tau.value < 0.97


def test_labels_without_a_plan_are_networks_of_their_own(make_labelled) -> None:
    assert quick(replace(make_labelled(25), plan_hashes=("",) * 25)).networks == 25


@pytest.mark.parametrize(("target", "command"), [("latency_ms", "latency"), ("accuracy", "accuracy")])
def test_too_few_networks_are_refused_with_the_command(make_labelled, target: str, command: str) -> None:
    labelled = replace(make_labelled(7), target=get_target(target))
    with pytest.raises(
        NotEnoughDataError, match=f"7 labelled networks.*at least 8.*hytnas-profile collect {command} --n"
    ):
        quick(labelled)


def test_of_few_networks_each_is_predicted_by_what_all_others_taught(make_labelled) -> None:
    board = quick(make_labelled(9), edges=True, curve_samples=1)
    assert (board.networks, board.folds, board.repeats, board.curves) == (9, 9, 1, ())
    assert all(each.p_against_best is None and each.lowest is None for each in board.scores)
    assert any(note.startswith("9 networks are few") for note in board.notes)
    assert not any("are few" in note for note in quick(make_labelled(20), folds=2, repeats=1).notes)


def test_a_straight_line_wins_where_each_choice_adds_its_share() -> None:
    """In a table without networks: what tells nothing about a sum of shares only blurs it."""
    space = Space(
        "flags",
        (
            Variable("unroll", (1, 2, 4, 8)),
            Variable("tile", (8, 16, 32, 64)),
            Variable("threads", (1, 2, 3, 4)),
            Variable("layout", ("nchw", "nhwc", "blocked")),
        ),
        family="none",
    )
    rng = np.random.default_rng(3)
    architectures = tuple(space.sample(40, rng))
    shares = rng.uniform(0.0, 0.05, size=15)
    y = 0.5 + space.one_hot(architectures) @ shares + rng.normal(0.0, 0.002, size=40)
    labelled = LabelledSet(
        space=space,
        architectures=architectures,
        plan_hashes=("",) * 40,
        y=y,
        repeats=tuple(np.array([each]) for each in y),
        target=ACCURACY,
        context=LabelContext(Task()),
    )
    rivals = ["ridge", "gp", "random-forest", "lightgbm", "mlp2"]
    board = build_leaderboard(labelled, estimators=rivals, repeats=1, resamples=100)
    assert board.scores[0].predictor == "ridge"
    assert board.scores[0].features == "one-hot+numeric"
    assert board.scores[0].kendall_tau.value > 0.9
    assert "ridge" in suitable_estimators(labelled, {})


def test_labels_that_are_no_numbers_are_refused(make_labelled) -> None:
    labelled = make_labelled(30)
    y = labelled.y.copy()
    y[[1, 2]] = np.nan
    with pytest.raises(PredictorError, match="2 of 30 labels are NaN"):
        quick(replace(labelled, y=y))


def test_unknown_and_doubled_estimators_are_refused_before_any_fit(make_labelled) -> None:
    with pytest.raises(PredictorError, match="no estimator 'forest'"):
        build_leaderboard(make_labelled(30), estimators=["mlp2", "forest"])
    for names in (["mlp2", "mlp2"], []):
        with pytest.raises(PredictorError, match="Name each once"):
            build_leaderboard(make_labelled(30), estimators=names)


def test_progress_counts_every_fit(make_labelled) -> None:
    class Counting(SilentProgress):
        total = done = 0

        def __init__(self, description: str = "", total: int = 0) -> None:
            Counting.total = total

        def advance(self, steps: int = 1) -> None:
            Counting.done += steps

    quick(make_labelled(25), progress=Counting)
    assert Counting.total == Counting.done == 2 * 5 * 2
