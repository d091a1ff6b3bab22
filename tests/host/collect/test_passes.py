"""Passes of a study's models on a board that answers by rule."""

import json
import threading
from contextlib import nullcontext

import msgspec
import pytest
from typer.testing import CliRunner

from hytnas_agent.pass_records import (
    EnergyReading,
    OperatorProfile,
    OperatorTime,
    SustainedSeries,
    SustainedWindow,
)
from hytnas_agent.passes import pass_settings
from hytnas_agent.records import MeasureSettings, Outcome, Verdict
from hytnas_datasets.errors import StudyError
from hytnas_datasets.store import Study
from hytnas_host.cli.app import app
from hytnas_host.collect.errors import CollectError, ContextChangedError, DevicesLostError, WrongAnswerError
from hytnas_host.collect.pass_summary import check_lost
from hytnas_host.collect.passes import labelled_models, measure_passes
from hytnas_host.devices.errors import DeviceError

from .scripted import Bar, ScriptedBoard, other, run

SETTINGS = MeasureSettings()
PROFILE = {"profile": SETTINGS}


class Board(ScriptedBoard):
    """Gives a profile, and energy unless it has no meter; ``changes`` is what its results say otherwise."""

    changes = {}  # noqa: RUF012 (replaced, never changed)
    asked_at_most = 50

    def _result(self, job, outcome):
        assert len(self.measured) < self.asked_at_most, "asked without end"
        result = msgspec.structs.replace(super()._result(job, outcome), **self.changes)
        if outcome is not Outcome.OK:
            return msgspec.structs.replace(result, message="this device has no energy meter")
        if job.measure_pass == "profile":
            operators = (OperatorTime("a", "Conv", 2.0), OperatorTime("b", "Gemm", 1.0))
            return msgspec.structs.replace(
                result, samples_ms=(), median_ms=None, profile=OperatorProfile(9, 1.0, operators)
            )
        if job.measure_pass == "energy":
            reading = EnergyReading("ina219", "its supply", 9, 1.0, 2.0, 1.0, 1.0)
            return msgspec.structs.replace(result, samples_ms=(), median_ms=None, energy=reading)
        if job.measure_pass == "sustained":
            series = SustainedSeries((SustainedWindow(1.0, 9, 2.0),), 2.0, 2.0)
            return msgspec.structs.replace(result, samples_ms=(), median_ms=None, sustained=series)
        return result


@pytest.fixture
def board():
    return Board("pi1")


@pytest.fixture
def study(tmp_path, board):
    """Three models with latencies."""
    with Study.open(tmp_path / "study") as opened:
        run(opened, [board], 3)
        yield opened


def test_each_model_is_measured_once_and_never_again(study, board):
    models = labelled_models(study)
    assert len(models) == 3
    labels = study.labels.all("latency")
    (summary,) = measure_passes(study, [board], models, PROFILE)
    assert (summary.passes[0].measured, summary.passes[0].outcomes) == (3, {"OK": 3})
    assert board.lease is None
    (again,) = measure_passes(study, [board], models, PROFILE)
    assert (again.passes[0].measured, again.passes[0].resumed) == (0, 3)
    stored = study.passes.last("profile")
    assert [s.export.sha256 for s in stored] == [m.sha256 for m in models]
    assert stored[0].breakdown().group_ms == pytest.approx({"convolution": 0.002, "matrix product": 0.001})
    assert study.labels.all("latency") == labels, "no label is made of a pass"


def test_the_first_models_are_taken(study):
    assert len(labelled_models(study, 2)) == 2


def test_a_board_that_dies_goes_on_where_it_was(study, board):
    models = labelled_models(study)
    board.dies_at = len(board.measured) + 2
    with pytest.raises(DeviceError):
        measure_passes(study, [board], models, PROFILE)
    board.dead, ran = False, len(board.measured)
    (summary,) = measure_passes(study, [board], models, PROFILE)
    assert (summary.passes[0].resumed, summary.passes[0].measured) == (1, 2)
    assert len(board.measured) == ran + 1, "the result that was lost came from the board's journal"


def test_without_a_meter_one_record_says_so_and_the_other_passes_go_on(study, board):
    board.outcome = lambda job: Outcome.UNSUPPORTED if job.measure_pass == "energy" else Outcome.OK
    passes = {"energy": pass_settings(SETTINGS, "energy"), "profile": SETTINGS}
    (summary,) = measure_passes(study, [board], labelled_models(study), passes)
    energy, profile = summary.passes
    assert (energy.measured, energy.outcomes) == (1, {"UNSUPPORTED": 1})
    assert "no energy meter" in energy.describe()
    assert profile.outcomes == {"OK": 3}
    assert study.passes.last("energy") == []


def one(summaries):
    """The passes on the only device."""
    (summary,) = summaries
    return summary.passes


HOG = Verdict("INVALID", ("other processes took 50% of core 3",))


def test_a_disturbed_pass_is_measured_again_and_then_said_to_be(study, board):
    board.changes = {"verdict": HOG}
    models, ran = labelled_models(study, 1), len(board.measured)
    (energy,) = one(measure_passes(study, [board], models, {"energy": pass_settings(SETTINGS, "energy")}))
    assert (len(board.measured) - ran, energy.measured) == (3, 3)
    assert (energy.outcomes, energy.disturbed) == ({"OK": 1}, 1)
    assert "1 DISTURBED: other processes took 50% of core 3" in energy.describe()
    assert [stored.result.verdict for stored in study.passes.last("energy")] == [HOG]


def test_a_lasting_load_is_not_repeated_for_it(study, board):
    board.changes = {"verdict": HOG}
    models = labelled_models(study, 1)
    (load,) = one(measure_passes(study, [board], models, {"sustained": pass_settings(SETTINGS, "sustained")}))
    assert (load.measured, load.disturbed) == (1, 1)


def test_a_pass_that_went_well_the_second_time_is_not_called_disturbed(study, board):
    board.changes = {"verdict": HOG}
    models, ran = labelled_models(study, 1), len(board.measured)

    def outcome(job):
        if len(board.measured) > ran + 1:
            board.changes = {"verdict": Verdict("VALID")}
        return Outcome.OK

    board.outcome = outcome
    (profile,) = one(measure_passes(study, [board], models, PROFILE))
    assert (profile.measured, profile.disturbed) == (2, 0)
    assert "DISTURBED" not in profile.describe()


def test_another_load_is_another_measurement(study, board):
    models = labelled_models(study, 1)
    for load_s in (10.0, 20.0, 10.0):
        measure_passes(study, [board], models, {"energy": pass_settings(SETTINGS, "energy", load_s)})
    loads = [job.settings.load_s for job in board.measured if job.measure_pass == "energy"]
    assert loads == [10.0, 20.0]


def test_nothing_to_measure_is_said(study, board, tmp_path):
    with pytest.raises(CollectError, match="nothing to measure"):
        measure_passes(study, [board], labelled_models(study), {})
    with pytest.raises(CollectError, match="nothing to measure"):
        measure_passes(study, [], labelled_models(study), PROFILE)
    with pytest.raises(CollectError, match="nothing to measure"):
        measure_passes(study, [board], labelled_models(study), {"timed": SETTINGS})
    with (
        Study.open(tmp_path / "empty") as empty,
        pytest.raises(CollectError, match="has a latency"),
    ):
        labelled_models(empty)


@pytest.mark.parametrize("outcome", [Outcome.CRASH, Outcome.TIMEOUT])
def test_a_failure_in_another_context_ends_the_passes_instead_of_being_asked_for_again(study, board, outcome):
    models, ran = labelled_models(study), len(board.measured)
    board.outcome = lambda job: outcome
    board.changes = {"context": other(kernel="6.2")}
    with pytest.raises(ContextChangedError, match=r"kernel: 6\.1 -> 6\.2"):
        measure_passes(study, [board], models, PROFILE)
    assert len(board.measured) == ran + 1


def test_a_failure_before_the_precision_is_known_counts(study, board):
    board.outcome = lambda job: Outcome.CRASH
    board.changes = {"context": other(precision="int8")}
    (summary,) = measure_passes(study, [board], labelled_models(study, 1), PROFILE)
    assert summary.passes[0].outcomes == {"CRASH": 1}


def test_an_agent_that_measures_with_other_settings_is_not_asked_without_end(study, board):
    ran = len(board.measured)
    board.changes = {"settings": MeasureSettings(threads=2)}
    with pytest.raises(WrongAnswerError, match="settings threads: 1 -> 2"):
        measure_passes(study, [board], labelled_models(study), PROFILE)
    assert len(board.measured) == ran + 1


def test_each_device_measures_every_model(study, board):
    second, models, bars = Board("pi2"), labelled_models(study), []

    def progress(*arguments):
        bars.append(Bar(*arguments))
        return bars[0]

    summaries = measure_passes(study, [board, second], models, PROFILE, progress=progress)
    assert [(s.device, s.device_id, s.passes[0].measured, s.lost) for s in summaries] == [
        ("pi1", "id-pi1", 3, ""),
        ("pi2", "id-pi2", 3, ""),
    ]
    assert (bars[0].total, bars[0].done) == (6, 6)
    assert board.lease is second.lease is None
    found = {(s.export.sha256, s.result.identity.device_id) for s in study.passes.last("profile")}
    assert found == {(model.sha256, f"id-{name}") for model in models for name in ("pi1", "pi2")}
    check_lost(summaries)


@pytest.mark.parametrize("at_once", [True, False])
def test_a_lost_device_does_not_end_the_others_and_goes_on_later(study, board, at_once):
    second, models = Board("pi2"), labelled_models(study)
    second.dead, second.dies_at = at_once, 2
    first, lost = measure_passes(study, [board, second], models, PROFILE)
    assert (first.passes[0].outcomes, first.lost) == ({"OK": 3}, "")
    assert "lost before the end" in lost.describe()
    with pytest.raises(DevicesLostError, match=r"1 of 2 devices .*pi2: .*not reachable.*same command again"):
        check_lost((first, lost))
    second.dead, second.dies_at = False, None
    done, again = measure_passes(study, [board, second], models, PROFILE)
    assert (done.passes[0].measured, done.passes[0].resumed) == (0, 3)
    assert (again.passes[0].outcomes, again.lost) == ({"OK": 3}, "")
    assert len(second.measured) == 3


def test_all_devices_lost_is_an_error_that_names_them(study, board):
    second = Board("pi2")
    board.dead = second.dead = True
    with pytest.raises(DevicesLostError, match=r"2 of 2 devices .*pi1: .*pi2: "):
        measure_passes(study, [board, second], labelled_models(study), PROFILE)


def test_an_error_of_the_study_ends_every_device_and_the_jobs_that_run(study, board, monkeypatch):
    second, models = Board("pi2"), labelled_models(study)
    second.hang = threading.Event()

    def fail(*_, **__):
        assert second.hanging.wait(5)
        raise StudyError("the disk is full")

    monkeypatch.setattr(study.results, "add", fail)
    with pytest.raises(StudyError, match="the disk is full"):
        measure_passes(study, [board, second], models, PROFILE)
    assert second.cancelled == {job.job_id for job in second.measured}
    assert len(second.measured) == 1
    assert board.lease is second.lease is None


def test_the_command_shows_each_device_and_ends_with_status_1_where_one_was_lost(study, board, monkeypatch):
    boards = {"pi1": board, "pi2": Board("pi2")}
    boards["pi2"].dies_at = 2
    monkeypatch.setattr("hytnas_host.cli.devices.open_device", lambda name: nullcontext(boards[name]))
    words = ["collect", "passes", "--study", str(study.folder), "--n", "2", "--device"]
    ended = CliRunner().invoke(app, [*words, "pi1,pi2"])
    shown = " ".join(ended.stdout.split())
    assert "2 models on pi1 profile: 2 processes measured; 2 OK" in shown
    assert "2 models on pi2 profile: 1 processes measured; 1 OK lost before the end" in shown
    assert ended.stdout.count("Share of the time by kind of operator") == 2
    assert ended.exit_code == 1
    assert "1 of 2 devices did not come to the end (pi2: device 'pi2' not reachable" in ended.stderr
    boards["pi2"].dead = False
    again = CliRunner().invoke(app, [*words, "pi1", "--device", "pi2", "--json"])
    assert again.exit_code == 0
    said = json.loads(again.stdout)
    assert [(each["device"], each["passes"][0]["outcomes"]) for each in said["summaries"]] == [
        ("pi1", {"OK": 2}),
        ("pi2", {"OK": 2}),
    ]
    assert [result["identity"]["device_id"] for result in said["results"]["profile"]] == [
        *["id-pi1"] * 2,
        *["id-pi2"] * 2,
    ]
