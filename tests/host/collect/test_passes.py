"""Passes of a study's models on a board that answers by rule."""

import msgspec
import pytest

from hytnas_agent.pass_records import EnergyReading, OperatorProfile, OperatorTime
from hytnas_agent.passes import pass_settings
from hytnas_agent.records import MeasureSettings, Outcome
from hytnas_datasets.store import Study
from hytnas_host.collect.errors import CollectError, ContextChangedError
from hytnas_host.collect.passes import labelled_models, measure_passes
from hytnas_host.devices.errors import DeviceError

from .scripted import ScriptedBoard, other, run

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
    labels = study.stored_labels("latency")
    summary = measure_passes(study, board, models, PROFILE)
    assert (summary.passes[0].measured, summary.passes[0].outcomes) == (3, {"OK": 3})
    assert board.lease is None
    again = measure_passes(study, board, models, PROFILE)
    assert (again.passes[0].measured, again.passes[0].resumed) == (0, 3)
    stored = study.passes("profile")
    assert [s.export.sha256 for s in stored] == [m.sha256 for m in models]
    assert stored[0].breakdown().group_ms == pytest.approx({"convolution": 0.002, "matrix product": 0.001})
    assert study.stored_labels("latency") == labels, "no label is made of a pass"


def test_the_first_models_are_taken(study):
    assert len(labelled_models(study, 2)) == 2


def test_a_board_that_dies_goes_on_where_it_was(study, board):
    models = labelled_models(study)
    board.dies_at = len(board.measured) + 2
    with pytest.raises(DeviceError):
        measure_passes(study, board, models, PROFILE)
    board.dead, ran = False, len(board.measured)
    summary = measure_passes(study, board, models, PROFILE)
    assert (summary.passes[0].resumed, summary.passes[0].measured) == (1, 2)
    assert len(board.measured) == ran + 1, "the result that was lost came from the board's journal"


def test_without_a_meter_one_record_says_so_and_the_other_passes_go_on(study, board):
    board.outcome = lambda job: Outcome.UNSUPPORTED if job.measure_pass == "energy" else Outcome.OK
    passes = {"energy": pass_settings(SETTINGS, "energy"), "profile": SETTINGS}
    energy, profile = measure_passes(study, board, labelled_models(study), passes).passes
    assert (energy.measured, energy.outcomes) == (1, {"UNSUPPORTED": 1})
    assert "no energy meter" in energy.describe()
    assert profile.outcomes == {"OK": 3}
    assert study.passes("energy") == []


def test_another_load_is_another_measurement(study, board):
    models = labelled_models(study, 1)
    for load_s in (10.0, 20.0, 10.0):
        measure_passes(study, board, models, {"energy": pass_settings(SETTINGS, "energy", load_s)})
    loads = [job.settings.load_s for job in board.measured if job.measure_pass == "energy"]
    assert loads == [10.0, 20.0]


def test_nothing_to_measure_is_said(study, board, tmp_path):
    with pytest.raises(CollectError, match="nothing to measure"):
        measure_passes(study, board, labelled_models(study), {})
    with pytest.raises(CollectError, match="nothing to measure"):
        measure_passes(study, board, labelled_models(study), {"timed": SETTINGS})
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
        measure_passes(study, board, models, PROFILE)
    assert len(board.measured) == ran + 1


def test_a_failure_before_the_precision_is_known_counts(study, board):
    board.outcome = lambda job: Outcome.CRASH
    board.changes = {"context": other(precision="int8")}
    summary = measure_passes(study, board, labelled_models(study, 1), PROFILE)
    assert summary.passes[0].outcomes == {"CRASH": 1}


def test_an_agent_that_measures_with_other_settings_is_not_asked_without_end(study, board):
    ran = len(board.measured)
    board.changes = {"settings": MeasureSettings(threads=2)}
    with pytest.raises(CollectError, match="other settings"):
        measure_passes(study, board, labelled_models(study), PROFILE)
    assert len(board.measured) == ran + 1
