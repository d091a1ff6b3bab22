"""Every target goes from labels to the report, and a new one needs no more than its entry."""

import json
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from hytnas_agent.pass_records import EnergyReading
from hytnas_agent.records import (
    DeviceContext,
    DeviceIdentity,
    MeasurePass,
    MeasureSettings,
    Outcome,
    ProcessResult,
)
from hytnas_datasets.plan import build_plan
from hytnas_datasets.store import Study
from hytnas_datasets.targets import ENERGY, LATENCY, TARGETS, THROUGHPUT, FromLatencyLabels, Reading, Target
from hytnas_host.cli.app import app
from hytnas_host.report.figures import describe_figures
from hytnas_host.report.load import load_report_data
from hytnas_host.report.page import build_report
from hytnas_predictors.estimators import ESTIMATORS
from hytnas_predictors.leaderboard.feature_comparison import PROBES

from .conftest import TASK, fill

MADE_UP = Target(
    name="p90_ms",
    words="slow latency",
    unit="ms",
    unit_words="milliseconds",
    direction="min",
    source=FromLatencyLabels(lambda label: Reading(label.p90_ms) if label.p90_ms else None, timed=True),
    how="nine of ten runs are faster",
    collect="hytnas-profile collect latency",
    units={"ms": 1.0},
    aliases=("slow",),
)


def energy_result(sha256: str, millijoules: float, context: DeviceContext) -> ProcessResult:
    return ProcessResult(
        job_id=f"energy-{sha256}",
        model_sha256=sha256,
        measure_pass=MeasurePass.ENERGY,
        outcome=Outcome.OK,
        settings=MeasureSettings(),
        started_unix_s=1000.0,
        wall_s=20.0,
        agent_version="1",
        identity=DeviceIdentity("made-up", "host"),
        context=context,
        energy=EnergyReading("a meter", "the board", 1000, 10.0, millijoules, 10.0, 1.0),
    )


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, context: DeviceContext) -> Path:
    """A study with labels of every target: functions of the counts of the plan."""
    folder = tmp_path_factory.mktemp("targets") / "study"
    fill(folder, context)
    with Study.open(folder) as opened:
        for stored in opened.labels.all("latency"):
            assert stored.architecture is not None
            plan = build_plan(stored.architecture, TASK)
            label = msgspec.structs.replace(
                stored.label, peak_rss_bytes=20_000_000 + 4 * plan.activations, model_bytes=4 * plan.params
            )
            opened.labels.add(label, "latency", stored.device_id, stored.context)
            opened.results.add(
                energy_result(label.model_sha256, plan.macs / 1e6, context),
                model_sha256=label.model_sha256,
                purpose=MeasurePass.ENERGY,
                replicate=0,
            )
    return folder


@pytest.fixture(autouse=True)
def few_estimators(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether all of them work with every target is none of this module's questions."""
    probes = {name: ESTIMATORS.bundled[name] for name in PROBES}  # by which features are compared
    monkeypatch.setattr(ESTIMATORS, "bundled", probes)


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def goes_through(study: Path, target: Target) -> None:
    """Labels, leaderboard, predictor, predictions, search and report of one target, by the command line."""
    of = ("--study", str(study), "--target", target.name)
    board = json.loads(run("leaderboard", *of, "--folds", "2", "--repeats", "1", "--json"))
    assert (board["target"], board["unit"], board["labels"]) == (target.name, target.unit, 24)
    assert board["context"]["task"]["resolution"] == TASK.resolution
    assert board["scores"][0]["kendall_tau"]["value"] > 0.3
    assert str(study) in run("train", *of).replace("\n", "")
    rows = json.loads(run("predict", *of, "--n", "3", "--json"))
    assert all(target.is_valid(row[target.name]) for row in rows)
    limit = next(f"1e9 {unit}" if target.direction == "min" else f"0 {unit}" for unit in target.units)
    relation = "<=" if target.direction == "min" else ">="
    searched = json.loads(
        run(
            "search", "--study", str(study), "--objectives", f"{target.name},params",
            "--constraint", f"{(*target.aliases, target.name)[0]} {relation} {limit}",
            "--strategy", "random", "--evaluations", "12", "--json",
        )
    )  # fmt: skip
    predicted = searched["objectives"][0]
    assert (predicted["name"], predicted["unit"], predicted["direction"]) == (
        target.name,
        target.unit,
        target.direction,
    )
    assert searched["front"]
    figures = describe_figures(load_report_data(study))
    assert {f"leaderboard-{target.slug}", f"agreement-{target.slug}"} <= set(figures)


@pytest.mark.parametrize("name", TARGETS)
def test_every_target_goes_from_labels_to_the_report(study: Path, name: str) -> None:
    goes_through(study, TARGETS[name])


def test_a_target_is_added_by_one_entry(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TARGETS, MADE_UP.name, MADE_UP)
    goes_through(study, MADE_UP)
    page = build_report(load_report_data(study))
    assert 'id="figure-leaderboard-slow-latency"' in page
    assert 'id="figure-agreement-slow-latency"' in page
    assert "Slow latency: 24 labels" in page
    assert any(f"Slow latency predictor: {name}" in page for name in PROBES)


def test_an_unknown_target_is_refused_by_name(study: Path) -> None:
    for command in ("leaderboard", "train", "predict"):
        result = CliRunner().invoke(app, [command, "--study", str(study), "--target", "colour"])
        assert result.exit_code == 1
        assert "there is no target 'colour'" in result.output
        assert "latency_ms" in result.output


def test_without_a_meter_energy_has_one_clear_line(tmp_path: Path, context: DeviceContext) -> None:
    fill(tmp_path, context)
    command = ["leaderboard", "--study", str(tmp_path), "--target", ENERGY.name]
    result = CliRunner().invoke(app, command)
    assert "0 energy labels" in result.output
    assert ENERGY.collect in result.output
    with Study.open(tmp_path) as opened:
        failed = msgspec.structs.replace(
            energy_result(f"{0:064x}", 1.0, context),
            outcome=Outcome.UNSUPPORTED,
            message="this device has no energy meter",
            energy=None,
        )
        opened.results.add(failed, model_sha256=failed.model_sha256, purpose=MeasurePass.ENERGY, replicate=0)
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 1
    assert "no labels of energy: this device has no energy meter" in " ".join(result.output.split())


def test_predictors_of_two_devices_are_not_searched_together(tmp_path: Path, context: DeviceContext) -> None:
    fill(tmp_path, context)
    of = ("--study", str(tmp_path), "--predictor", "lightgbm", "--target")
    run("train", *of, LATENCY.name)
    other = msgspec.structs.replace(context, threads=4)
    fill(tmp_path / "other", other)
    run(
        "train", "--study", str(tmp_path / "other"), "--predictor", "lightgbm", "--target", "throughput_per_s"
    )
    (tmp_path / "other" / "predictors" / "throughput_per_s").rename(
        tmp_path / "predictors" / "throughput_per_s"
    )
    command = [
        "search", "--study", str(tmp_path), "--objectives", f"{LATENCY.name},{THROUGHPUT.name}",
        "--strategy", "random", "--evaluations", "5",
    ]  # fmt: skip
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 1
    assert "threads: 1 / 4" in " ".join(result.output.split())
    assert CliRunner().invoke(app, [*command, "--force"]).exit_code == 0
