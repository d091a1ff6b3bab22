"""Leaderboard, training, search, verification and report of a study, and when each is made again."""

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from hytnas_agent.records import DeviceContext, MeasureSettings
from hytnas_datasets.errors import DataSetError, NotEnoughDataError
from hytnas_datasets.spaces import get_space
from hytnas_datasets.store import Study
from hytnas_host.collect.budget import TimeBudget
from hytnas_host.collect.latency_worker import require_runtime
from hytnas_host.collect.options import MeasureOptions
from hytnas_host.devices.client import AgentDevice
from hytnas_host.devices.errors import DeviceError, UnknownDeviceError
from hytnas_host.search import ConstraintError, PredictorEvaluator, SearchError
from hytnas_host.search.result import SearchResult, Verification
from hytnas_host.study_files import ResultFileError, digest, read_json
from hytnas_host.workflow import main_job
from hytnas_host.workflow.labels import LabelChoice, read_labels
from hytnas_host.workflow.leaderboards import make_leaderboard
from hytnas_host.workflow.main_job import RunConfig, open_journal, stages
from hytnas_host.workflow.predictors import load_trained, train_predictor
from hytnas_host.workflow.searches import PROBES, search_study, verify_study
from hytnas_host.workflow.stages import ConfigChangedError
from hytnas_predictors.errors import PredictorMismatchError

from ..devices.calm import CalmTransport
from .conftest import fill

CONFIG = RunConfig(
    resolution=32,
    latency_n=24,
    accuracy_n=24,
    repeats=1,
    folds=3,
    evaluations=40,
    verify_front=2,
    processes=1,
)
QUICK = MeasureSettings(warmup_window=3, warmup_max_runs=6, min_runs=5, max_runs=5, timed_budget_s=0.01)
AFTER_COLLECTING = ("leaderboard latency_ms", "leaderboard accuracy", "train", "search")


def open_calm(state: Path) -> AgentDevice:
    return AgentDevice("local", CalmTransport(state), client_id="tester", shares_processor=True)


def run_stages(study: Path, names: tuple[str, ...], config: RunConfig = CONFIG) -> dict[str, str]:
    journal = open_journal(study, config)
    return {s.name: journal.run(s).status for s in stages(study, config) if s.name in names}


@pytest.fixture(scope="module")
def original(tmp_path_factory, context) -> Path:
    """A study with labels, of which everything is made; to be copied."""
    study = tmp_path_factory.mktemp("original") / "study"
    fill(study, context)
    assert set(run_stages(study, AFTER_COLLECTING).values()) == {"done"}
    return study


@pytest.fixture
def searched(original, tmp_path) -> Path:
    """A copy of it."""
    return shutil.copytree(original, tmp_path / "study")


def search_quickly(study: Path, context: DeviceContext, converter_version: str = "") -> None:
    """Labels, predictors and a search, without the leaderboards that choose a predictor."""
    fill(study, context, converter_version=converter_version)
    for target in ("latency_ms", "accuracy"):
        train_predictor(study, target, "hyt", name="lightgbm")
    search_study(study, "hyt", strategy="random", evaluations=40)


def test_derived_stages_are_kept_until_what_they_came_from_changes(searched) -> None:
    assert set(run_stages(searched, AFTER_COLLECTING).values()) == {"kept"}
    train_predictor(searched, "latency_ms", "hyt", name="lightgbm")
    assert load_trained(searched, "latency_ms", get_space("hyt")).info.name == "lightgbm"
    again = run_stages(searched, AFTER_COLLECTING)
    assert again == {**dict.fromkeys(AFTER_COLLECTING, "kept"), "search": "done"}


def test_another_search_in_the_same_study_is_a_search_of_its_own(searched) -> None:
    before = digest(searched / "search.json")
    narrow = search_study(searched, "hyt", constraints=["params <= 100k"], evaluations=30)
    assert all(row.values[2] <= 100_000 for row in narrow.front)
    assert digest(searched / "search.json") != before


def checkpoints(study: Path) -> set[str]:
    return {path.name for path in study.glob("search-checkpoint-*.jsonl")}


def without_time(result: SearchResult) -> SearchResult:
    return msgspec.structs.replace(result, seconds=0.0)


def test_a_raised_budget_goes_on_from_the_checkpoint(searched, tmp_path, monkeypatch) -> None:
    copies = [tmp_path / name for name in ("whole", "raised")]
    for copy in copies:
        shutil.copytree(searched / "predictors", copy / "predictors")
    whole = search_study(copies[0], "hyt", evaluations=45, batch=10)
    search_study(copies[1], "hyt", evaluations=33, batch=10)
    begun = checkpoints(copies[1])
    asked: list[int] = []
    evaluate = PredictorEvaluator.evaluate

    def counted(self, architectures, /):
        asked.append(len(architectures))
        if len(asked) == 3:
            raise KeyboardInterrupt
        return evaluate(self, architectures)

    monkeypatch.setattr(PredictorEvaluator, "evaluate", counted)
    with pytest.raises(KeyboardInterrupt):
        search_study(copies[1], "hyt", evaluations=45, batch=10)
    raised = search_study(copies[1], "hyt", evaluations=45, batch=10)
    assert asked == [PROBES, 7, 5, PROBES, 5]
    assert without_time(raised) == without_time(whole)
    assert checkpoints(copies[1]) == begun
    lowered = search_study(copies[1], "hyt", evaluations=33, batch=10)
    assert lowered.evaluated == whole.evaluated[:33]


def test_checkpoints_are_kept_until_the_predictors_change(searched) -> None:
    first = checkpoints(searched)
    search_study(searched, "hyt", evaluations=10, seed=1)
    both = checkpoints(searched)
    assert first < both
    assert len(both) == 2
    train_predictor(searched, "latency_ms", "hyt", name="lightgbm")
    search_study(searched, "hyt", evaluations=10)
    assert len(checkpoints(searched)) == 1
    assert not checkpoints(searched) & both


def test_a_raised_budget_of_the_main_job_goes_on(searched) -> None:
    more = msgspec.structs.replace(CONFIG, evaluations=50, latency_n=30, accuracy_n=30)
    again = run_stages(searched, AFTER_COLLECTING, more)
    assert again == {**dict.fromkeys(AFTER_COLLECTING, "kept"), "search": "done"}
    result = read_json(searched / "search.json", SearchResult)
    assert len(result.evaluated) == 50
    with pytest.raises(ConfigChangedError, match=r"has accuracy_n = 30, evaluations = 50, latency_n = 30"):
        open_journal(searched, CONFIG)


def test_objectives_are_any_targets_with_a_predictor_and_any_counts(searched) -> None:
    with pytest.raises(ResultFileError, match="no predictor for throughput_per_s"):
        search_study(searched, "hyt", objectives="throughput_per_s,accuracy")
    train_predictor(searched, "throughput_per_s", "hyt", name="lightgbm")
    asked = "max:macs,accuracy,throughput_per_s"
    result = search_study(searched, "hyt", objectives=asked, strategy="random", evaluations=12)
    assert [(o.name, o.unit, o.direction) for o in result.objectives] == [
        ("accuracy", "fraction", "max"),
        ("throughput_per_s", "1/s", "max"),
        ("macs", "MACs", "max"),
    ]
    assert len(result.evaluated) == 12
    with pytest.raises(SearchError, match="is predicted"):
        search_study(searched, "hyt", objectives="params,macs")


def test_the_winners_are_verified_on_this_machine(tmp_path, exports_here) -> None:
    with open_calm(tmp_path / "agent") as device:
        study = tmp_path / "study"
        search_quickly(study, device.describe().context)
        options = MeasureOptions(processes=3, settings=QUICK, canary_every=0)
        hurried = verify_study(study, device, options=replace(options, budget_s=0.0), max_front=2)
        assert (hurried.rows, hurried.left_out, hurried.front_mape) == ((), 4, None)
        verified = verify_study(study, device, options=options, max_front=2)
    assert verified.left_out == 0
    assert verified.execution == "native"
    assert [row.role for row in verified.rows] == ["front", "front", "control", "control"]
    assert all(row.outcome == "OK" and row.measured_ms > 0 for row in verified.rows)
    assert read_json(study / "verification.json", Verification) == verified


def test_a_predictor_of_another_device_is_not_verified_with(searched, tmp_path) -> None:
    with (
        open_calm(tmp_path / "agent") as device,
        pytest.raises(PredictorMismatchError, match="board"),
    ):
        verify_study(searched, device, options=MeasureOptions())


def test_a_predictor_of_another_converter_is_told_before_anything_is_measured(tmp_path, exports_here) -> None:
    study = tmp_path / "study"
    with open_calm(tmp_path / "agent") as device:
        search_quickly(study, device.describe().context, converter_version="1.0.0")
        with pytest.raises(PredictorMismatchError, match=r"converter_version 1\.0\.0, now"):
            verify_study(study, device, options=MeasureOptions(processes=1), max_front=1)
    with Study.open(study, create=False) as opened:
        assert opened.describe().jobs == {}


def test_labels_of_a_data_set_are_not_chosen_among(tmp_path) -> None:
    data = "bundled:hyt-icount-a53"
    assert len(read_labels(tmp_path, "latency_ms", "hyt", LabelChoice(data=data))) > 0
    for chosen, option in (
        ({"device": "pi1"}, "--device"),
        ({"model_format": "onnx"}, "--format"),
        ({"precision": "int8", "converter": "onnx2tf"}, "--precision, --converter"),
    ):
        with pytest.raises(DataSetError, match=f"^{option} chooses"):
            read_labels(tmp_path, "latency_ms", "hyt", LabelChoice(data=data, **chosen))


def test_too_few_labels_say_how_many_there_are(tmp_path, context) -> None:
    fill(tmp_path, context, n=5)
    with pytest.raises(NotEnoughDataError, match="5"):
        make_leaderboard(tmp_path, "latency_ms", "hyt")


def test_where_labels_are_too_few_for_a_leaderboard_the_default_is_trained(
    original, tmp_path, context
) -> None:
    fill(tmp_path, context, n=7)
    shutil.copy(original / "leaderboard-accuracy.json", tmp_path)
    names = ("leaderboard latency_ms", "leaderboard accuracy", "train")
    journal = open_journal(tmp_path, CONFIG)
    chosen = [stage for stage in stages(tmp_path, CONFIG) if stage.name in names]
    records = [journal.run(stage) for stage in chosen]
    assert [record.note[:8] for record in records] == ["skipped:", "skipped:", ""]
    assert not list(tmp_path.glob("leaderboard-*"))
    assert load_trained(tmp_path, "latency_ms", get_space("hyt")).info.name == "layerwise"
    assert journal.run(chosen[2]).status == "kept"
    fill(tmp_path, context, n=9)
    assert journal.run(chosen[2]).status == "done"


def test_the_main_job_searches_for_what_it_is_asked_for(searched) -> None:
    asked = msgspec.structs.replace(
        CONFIG, objectives="latency_ms,max:macs", extrapolated="avoid", evaluations=10
    )
    (searched / "run.json").unlink()
    next(s for s in stages(searched, asked) if s.name == "search").work()
    result = read_json(searched / "search.json", SearchResult)
    assert [objective.name for objective in result.objectives] == ["latency_ms", "macs"]
    assert not any(row.extrapolated for row in result.evaluated)


def test_a_search_before_training_is_one_clear_error(tmp_path, context) -> None:
    fill(tmp_path, context)
    with pytest.raises(ResultFileError, match="hytnas-profile train"):
        search_study(tmp_path, "hyt")


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"device": "moon"}, UnknownDeviceError),
        ({"constraints": ("params is small",)}, ConstraintError),
        ({"strategy": "luck"}, SearchError),
        ({"objectives": "energy_mj,accuracy"}, SearchError),
        ({"objectives": "params,macs"}, SearchError),
    ],
)
def test_wrong_options_leave_nothing_behind(tmp_path, change, error) -> None:
    with pytest.raises(error):
        open_journal(tmp_path / "study", RunConfig(**change))
    assert not (tmp_path / "study").exists()


def test_the_same_configuration_goes_on_and_another_is_refused(tmp_path, context) -> None:
    fill(tmp_path, context)
    run_stages(tmp_path, ("leaderboard latency_ms",))
    open_journal(tmp_path, CONFIG)
    with pytest.raises(ConfigChangedError, match="seed"):
        open_journal(tmp_path, RunConfig(seed=5))


def test_a_device_without_a_runtime_is_refused_before_anything_is_measured(context) -> None:
    import msgspec

    with pytest.raises(DeviceError, match="pip install"):
        require_runtime("board", msgspec.structs.replace(context, runtime="none"))
    require_runtime("board", context)


LABELLED = {"OK": 3, "UNSTABLE": 1, "THROTTLED": 2}


def test_the_main_job_keeps_to_its_times_and_waits_for_drift_no_longer_than_seconds(
    tmp_path, monkeypatch
) -> None:
    chosen: list[MeasureOptions] = []

    def measure(*_: object, options: MeasureOptions, **__: object) -> SimpleNamespace:
        chosen.append(options)
        return SimpleNamespace(describe=str, left_out=4, outcomes=LABELLED)

    def train(*_: object, budget: TimeBudget, **__: object) -> SimpleNamespace:
        assert (budget.seconds, budget.least) == (150.0, 20)
        return SimpleNamespace(label="", verdict="", left_out=21, networks=3)

    monkeypatch.setattr(main_job, "collect_latency", measure)
    monkeypatch.setattr(main_job, "collect_accuracy", train)
    monkeypatch.setattr(main_job, "verify_study", measure)
    work = {stage.name: stage.work for stage in main_job.stages(tmp_path / "study", CONFIG)}
    assert work["collect latency"]() == "4 networks were not measured: the 210 s for that were over"
    with pytest.raises(NotEnoughDataError, match="3 networks could be trained in 150 s") as error:
        work["collect accuracy"]()
    assert "--train-budget-s" in error.value.next_step
    assert work["verify"]() == "4 networks were not measured: the 150 s were over"
    assert [(options.budget_s, options.least_models) for options in chosen] == [(210.0, 20), (150.0, 0)]
    assert all(sum(options.drift.pauses_s) <= 3 for options in chosen)
    assert not any(options.rule.adaptive for options in chosen)


def test_the_main_job_ends_where_there_was_time_for_too_few_labels(tmp_path, monkeypatch) -> None:
    def measure(*_: object, **__: object) -> SimpleNamespace:
        return SimpleNamespace(describe=str, left_out=20, outcomes=LABELLED | {"OK": 2})

    monkeypatch.setattr(main_job, "collect_latency", measure)
    stage = main_job.stages(tmp_path / "study", CONFIG)[0]
    with pytest.raises(NotEnoughDataError, match="3 networks could be measured in 210 s, and"):
        stage.work()
