"""Reading a study folder: what is there, what is missing, what is damaged."""

import math

import msgspec
import numpy as np
import pytest

from hytnas_agent.core_speed import CoreSpeed
from hytnas_agent.records import LatencyLabel, MeasureSettings, Outcome, ProcessResult
from hytnas_datasets.errors import StudyError
from hytnas_datasets.plan import Task
from hytnas_datasets.spaces import Space, Variable, get_space, registry, to_toml
from hytnas_datasets.store import ExportRecord, Study
from hytnas_datasets.store.records import AccuracyRecord
from hytnas_host import study_files
from hytnas_host.report import ReportError, load_report_data, write_report
from hytnas_host.report import load as loading
from hytnas_host.report.drift import canary_series
from hytnas_host.study_files import ResultFileError, StudyFiles

SPACE = get_space("hyt")
JOURNAL = {
    "config": {"seed": 0},
    "stages": [
        {"stage": "search", "seconds": 2.5, "status": "done", "inputs": "0123"},
        {"stage": "report", "seconds": 0.0, "status": "running", "inputs": ""},
    ],
}


def process(context, identity, sha256, replicate, samples, *, purpose="latency"):
    return ProcessResult(
        job_id=f"{purpose}-{sha256}-{replicate}",
        model_sha256=sha256,
        measure_pass="timed",
        outcome=Outcome.OK,
        settings=MeasureSettings(),
        started_unix_s=60.0 * replicate,
        wall_s=1.0,
        agent_version="0.1.0",
        identity=identity,
        context=context,
        samples_ms=tuple(float(sample) for sample in samples),
        median_ms=float(np.median(samples)),
    )


def label(sha256, medians, outcome=Outcome.OK, message=""):
    middle = float(np.median(medians)) if medians else None
    return LatencyLabel(
        model_sha256=sha256,
        outcome=outcome,
        processes=len(medians),
        samples=3 * len(medians),
        median_ms=middle,
        process_medians_ms=tuple(medians),
        jobs=tuple(f"latency-{sha256}-{replicate}" for replicate in range(len(medians))),
        ci_low_ms=None if middle is None else 0.99 * middle,
        ci_high_ms=None if middle is None else 1.01 * middle,
        mad_ms=None,
        mean_ms=None,
        p90_ms=None,
        p99_ms=None,
        cold_ms=None,
        load_ms=None,
        throughput_per_s=None,
        peak_rss_bytes=None,
        model_bytes=None,
        steady_processes=len(medians),
        message=message,
    )


@pytest.fixture
def study_folder(synthetic, tmp_path):
    """A small study: three measured models, one failure, canaries, accuracies, and all JSON results."""
    folder = tmp_path / "study"
    data = synthetic.full_report()
    architectures = SPACE.sample(4, np.random.default_rng(1))
    plans = [f"plan{i}" for i in range(4)]
    context, identity = synthetic.CONTEXT, synthetic.DEVICE.identity
    with Study.open(folder) as study:
        run = study.runs.begin(
            "hytnas-profile run --study study",
            {"latency_n": 80, "constraints": ["params <= 3M"]},
            {"python": "3.11.2"},
        )
        study.devices.add(synthetic.DEVICE)
        study.architectures.add(SPACE, architectures, plans, "latency")
        for i, plan in enumerate(plans):
            sha = f"{i}" * 64
            study.exports.add(ExportRecord(sha, "onnx", f"models/{i}.onnx", 1000, plan, Task()))
            if i == 3:
                bad = label(sha, [], Outcome.TIMEOUT, "took too long")
                study.labels.add(bad, "latency", identity.device_id, context)
                continue
            for replicate in range(3):
                samples = (1.0 + i + 0.01 * replicate) * np.array([0.99, 1.0, 1.01])
                result = process(context, identity, sha, replicate, samples)
                study.results.add(result, model_sha256=sha, purpose="latency", replicate=replicate)
            medians = [1.0 + i + 0.01 * replicate for replicate in range(3)]
            study.labels.add(label(sha, medians), "latency", identity.device_id, context)
        for k in range(3):
            result = process(context, identity, "0" * 64, k, [2.0, 2.1, 2.2], purpose="canary")
            study.results.add(result, model_sha256="0" * 64, purpose="canary", replicate=k)
        for seed in range(2):
            study.accuracies.add(
                AccuracyRecord(
                    architectures[0],
                    plans[0],
                    seed,
                    0.8 + 0.02 * seed,
                    {"epochs": 3},
                    "digits",
                    Task(resolution=32, classes=10),
                    3,
                    297,
                    label="short training on scikit-learn digits",
                )
            )
        study.runs.end(run, "done")
    for name, value in (
        ("leaderboard-latency_ms.json", data.leaderboards[0]),
        ("leaderboard-accuracy.json", data.leaderboards[1]),
        ("search.json", data.search),
        ("verification.json", data.verification),
        ("run.json", JOURNAL),
    ):
        (folder / name).write_bytes(msgspec.json.encode(value))
    return folder


def test_each_device_has_its_own_series_of_the_canary(synthetic):
    one = synthetic.DEVICE.identity
    other = msgspec.structs.replace(one, device_id="other")
    results = [
        process(synthetic.CONTEXT, identity, "0" * 64, k, [level], purpose="canary")
        for k, (identity, level) in enumerate([(one, 2.0), (other, 4.0), (one, 2.1), (other, 4.2)])
    ]
    first, second = canary_series(results, {"other": "pi2"})
    assert (first.device, second.device) == (one.device_id, "pi2")
    assert [(point.minutes, point.median_ms) for point in first.points] == [(0.0, 2.0), (2.0, 2.1)]
    assert [(point.minutes, point.median_ms) for point in second.points] == [(1.0, 4.0), (3.0, 4.2)]


def test_everything_of_a_study_is_read(synthetic, study_folder):
    data = load_report_data(study_folder)
    example = synthetic.full_report()
    assert data.search == example.search
    assert data.verification == example.verification
    assert data.leaderboards == example.leaderboards
    assert data.device == synthetic.DEVICE
    assert [spread.median_ms for spread in data.spreads] == [1.01, 2.01, 3.01]
    (canary,) = data.canary
    assert [point.minutes for point in canary.points] == [0.0, 1.0, 2.0]
    assert [stage.stage for stage in data.stages] == ["search"], "the report cannot time itself"
    assert data.settings == (("latency n", "80"), ("constraints", "params <= 3M"))
    assert data.environment == (("python", "3.11.2"),)
    assert data.commands == ("hytnas-profile run --study study",)
    assert data.training.description == "short training on scikit-learn digits"
    assert data.training.chance == pytest.approx(0.1)
    failures = [(failure.outcome, failure.message) for failure in data.sheet.failures]
    assert failures == [("TIMEOUT", "took too long")]
    assert dict(data.sheet.facts)["Latencies"].endswith("ms, measured on the device")
    assert {coverage.variable for coverage in data.sheet.coverage} == {v.name for v in SPACE.variables}
    assert data.choices.keys() >= {member.architecture for member in data.search.evaluated}


def test_spread_inside_and_between_processes(synthetic):
    context, identity = synthetic.CONTEXT, synthetic.DEVICE.identity
    medians = [1.0, 1.1, 1.21]
    results = [process(context, identity, "a", k, [0.98 * m, m, 1.02 * m]) for k, m in enumerate(medians)]
    spread = loading.model_spread("model", label("a", medians), results)
    assert spread.within_percent == pytest.approx(100 * 1.4826 * 0.02)
    assert spread.between_percent == pytest.approx(100 * np.std(np.log(medians), ddof=1))
    assert spread.half_width_percent == pytest.approx(1.0)


def test_processes_that_do_not_make_the_label_are_no_spread(synthetic, study_folder):
    """Such as those of equal medians that were measured with other settings."""
    before = [spread.within_percent for spread in load_report_data(study_folder).spreads]
    with Study.open(study_folder) as study:
        for replicate in range(3):
            middle = 1.0 + 0.01 * replicate
            samples = middle * np.array([0.8, 1.0, 1.2])
            wild = process(synthetic.CONTEXT, synthetic.DEVICE.identity, "0" * 64, replicate, samples)
            wild = msgspec.structs.replace(
                wild, job_id=f"other-{replicate}", settings=MeasureSettings(min_runs=3)
            )
            study.results.add(wild, model_sha256="0" * 64, purpose="latency", replicate=replicate)
    assert [spread.within_percent for spread in load_report_data(study_folder).spreads] == before


def test_runs_beside_which_the_core_was_slow_are_no_spread(synthetic):
    speed = CoreSpeed(40.0, (40.0, 40.0, 52.0, 40.0, 40.0), (0, 0, 0, 1, 2, 3, 3, 3))
    samples = [0.96, 0.98, 0.99, 1.3, 1.3, 1.01, 1.02, 1.04]
    results = [
        msgspec.structs.replace(
            process(synthetic.CONTEXT, synthetic.DEVICE.identity, "a", k, samples), core_speed=speed
        )
        for k in range(3)
    ]
    spread = loading.model_spread("model", label("a", [1.0] * 3), results)
    assert spread.within_percent == pytest.approx(100 * 1.4826 * 0.02)


def test_one_process_has_no_spread_between_processes():
    spread = loading.model_spread("model", label("a", [1.0]), [])
    assert spread.between_percent is None
    assert spread.within_percent is None


def test_the_choices_are_told_by_stage():
    architecture = SPACE.sample(1, np.random.default_rng(0))[0]
    lines = loading.describe_choices(SPACE, architecture)
    assert [stage for stage, _ in lines] == ["stage1", "stage2", "stage3", "stage4", "stage5"]
    assert lines[0][1].startswith("blocks ")


def store_what_cannot_be(study, synthetic):
    """What versions of before have stored of boards that sent it."""
    device_id = synthetic.DEVICE.identity.device_id
    for number, odd in enumerate((-1.0, 0.0, 5e-324, 1e308, math.nan)):
        for purpose in ("latency", "canary"):
            result = process(
                synthetic.CONTEXT, synthetic.DEVICE.identity, "0" * 64, 9 + number, [odd] * 3, purpose=purpose
            )
            late = msgspec.structs.replace(result, started_unix_s=1e300)
            study.results.add(late, model_sha256="0" * 64, purpose=purpose, replicate=9 + number)
        study.labels.add(label("0" * 64, [odd] * 3), "latency", f"{device_id}-{number}", synthetic.CONTEXT)


def test_the_report_and_its_figures_are_written_whatever_numbers_are_stored(
    study_folder, synthetic, tmp_path
):
    with Study.open(study_folder) as study:
        store_what_cannot_be(study, synthetic)
        described = study.describe()
        study.export_tables(tmp_path / "tables")
    assert described.outcomes["INTERNAL"] == 10
    assert described.latency_range_ms == (1.01, 3.01)
    assert [len(canary.points) for canary in load_report_data(study_folder).canary] == [3]
    page = write_report(study_folder, tmp_path / "elsewhere")
    assert page == tmp_path / "elsewhere" / "report.html"
    assert not StudyFiles(study_folder).report.exists()
    text = page.read_text(encoding="utf-8")
    assert "12\u00a0networks on the Pareto front" in text
    assert "(0123456789abcdef)" in text
    assert "example (0123456789abcdef)" not in text, "the name of the host"
    assert (page.parent / "figures" / "overview.png").is_file()
    assert not list(page.parent.glob("*.part"))
    assert b"HyT-NAS report</title>" in page.read_bytes()  # by which it is known when it is written again


def test_names_of_people_and_places_are_left_out_where_that_is_said(study_folder):
    with Study.open(study_folder) as study:
        study.runs.begin("hytnas-profile run --study /home/jane/s", {"models": "/home/jane/nets"}, {})
        study.failures.add("file", "/home/jane/a.onnx", "/home/jane/a.onnx cannot be read")
    data = load_report_data(study_folder, keep_hostnames=False)
    assert "jane" not in str(data)
    assert (data.device.identity.hostname, data.settings) == ("", (("models", "\u2026/nets"),))
    assert "jane" in str(load_report_data(study_folder))


@pytest.mark.parametrize("name", ["report.html", "figures/overview.png"])
def test_a_report_and_figures_of_somebody_else_are_kept(study_folder, name):
    path = study_folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("Dear reader")
    before = set(study_folder.rglob("*"))
    with pytest.raises(ResultFileError, match="Move it away, or name another folder"):
        write_report(study_folder)
    assert path.read_text() == "Dear reader"
    assert set(study_folder.rglob("*")) == before


def test_a_study_without_results_gives_a_report(tmp_path):
    with Study.open(tmp_path / "new"):
        pass
    page = write_report(tmp_path / "new").read_text(encoding="utf-8")
    assert "hytnas-profile search" in page


def test_no_study_is_one_clear_line(tmp_path):
    with pytest.raises(StudyError, match="there is no study"):
        load_report_data(tmp_path)


def test_a_study_of_data_sets_alone_has_no_store_and_still_a_report(study_folder, monkeypatch):
    monkeypatch.setattr("hytnas_host.report.page.describe_figures", lambda data: {})
    (study_folder / "study.sqlite").unlink()
    data = load_report_data(study_folder)
    assert data.search is not None
    assert (data.spreads, data.device, data.commands) == ((), None, ())
    assert "12\u00a0networks on the Pareto front" in write_report(study_folder).read_text(encoding="utf-8")
    assert not (study_folder / "study.sqlite").exists()


def test_a_space_from_a_file_is_known_in_a_process_that_was_not_given_the_file(tmp_path, monkeypatch):
    space = Space("searched-only", (Variable("stage1.depth", (1, 2, 3)),), family="none")
    (tmp_path / "search-space.toml").write_text(to_toml(space))
    monkeypatch.setattr(registry, "_REGISTERED", {})
    name = space.format(space.sample(1, np.random.default_rng(0))[0])
    choices = loading.Spaces(StudyFiles(tmp_path)).choices([name], [space.name])
    assert choices[name][0][0] == "stage1"
    (tmp_path / "search-space.toml").write_text("name =")
    assert loading.Spaces(StudyFiles(tmp_path)).get("unknown") is None


DAMAGED = [
    ("search.json", b"", "hytnas-profile search"),
    ("search.json", b"\xff\xfe", "hytnas-profile search"),
    ("verification.json", b"{", "hytnas-profile verify"),
    ("leaderboard-latency_ms.json", b'{"space": 3}', "hytnas-profile leaderboard"),
    ("run.json", b"[1, 2]", "hytnas-profile run"),
]

MISFIT = [
    ("search.json", "objectives", []),
    ("search.json", "reference_point", [1.0]),
    ("search.json", "task", {"resolution": 0}),
    ("leaderboard-accuracy.json", "measured", [0.5]),
    ("leaderboard-accuracy.json", "scores", []),
    ("leaderboard-latency_ms.json", "out_of_fold", [{"predictor": "xgboost", "predicted": []}]),
]


@pytest.mark.parametrize(("name", "content", "command"), DAMAGED)
def test_a_damaged_result_is_named_with_the_command_that_makes_it(study_folder, name, content, command):
    (study_folder / name).write_bytes(content)
    with pytest.raises(ResultFileError) as raised:
        load_report_data(study_folder)
    assert name in str(raised.value)
    assert command in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(("name", "field", "value"), MISFIT)
def test_a_result_whose_parts_do_not_fit_each_other_is_damaged(study_folder, name, field, value):
    changed = msgspec.json.decode((study_folder / name).read_bytes()) | {field: value}
    (study_folder / name).write_bytes(msgspec.json.encode(changed))
    with pytest.raises(ResultFileError, match=r"is damaged .*Delete it and make it again with: hytnas"):
        load_report_data(study_folder)


def test_a_result_that_is_too_large_is_not_read(study_folder, monkeypatch):
    monkeypatch.setattr(study_files, "MAX_JSON_BYTES", 10)
    with pytest.raises(ResultFileError, match="larger than"):
        load_report_data(study_folder)


def test_a_folder_that_cannot_be_written_is_one_clear_line(study_folder):
    (study_folder / "figures").write_text("in the way")
    with pytest.raises(ReportError, match="hytnas-profile report"):
        write_report(study_folder)


def test_discarded_canaries_and_what_was_timed_then_are_told(study_folder):
    with Study.open(study_folder) as study:
        processes = [f"latency-{number * 64}-1" for number in "012"]
        study.results.discard(
            [*processes, study.results.canaries()[1].job_id], "the canary has drifted by +200.0 %"
        )
    data = load_report_data(study_folder)
    (canary,) = data.canary
    states = [(point.minutes, point.state) for point in canary.points]
    assert states == [(0.0, "kept"), (1.0, "drifted"), (2.0, "kept")]
    (spell,) = canary.spells
    assert (spell.start_minutes, spell.processes) == (1.0, 3)
    assert spell.end_minutes == pytest.approx(1 + 1 / 60)
    assert [quality.discarded for quality in data.qualities] == [3]


def test_what_is_doubtful_about_a_label_goes_with_it(study_folder, synthetic):
    doubtful = msgspec.structs.replace(
        label("1" * 64, [2.0, 2.1, 2.4], Outcome.UNSTABLE), target_half_width=0.015, too_few_undisturbed=True
    )
    with Study.open(study_folder) as study:
        study.labels.add(doubtful, "latency", synthetic.DEVICE.identity.device_id, synthetic.CONTEXT)
    data = load_report_data(study_folder)
    assert [(spread.unstable, spread.disturbed) for spread in data.spreads] == [
        (False, False),
        (True, True),
        (False, False),
    ]
    assert data.unstable == {data.spreads[1].model}
    (quality,) = data.qualities
    assert (quality.labels, quality.disturbed, quality.unstable, quality.untargeted) == (3, 1, 1, 2)
