"""One process on a device: stored before it is acknowledged, and refused where it is no answer."""

import threading
from pathlib import Path

import msgspec
import pytest

from hytnas_agent.label import StoppingRule
from hytnas_agent.records import DeviceIdentity, MeasurePass, MeasureSettings, Outcome
from hytnas_datasets.store import ExportRecord, Purpose, Study
from hytnas_host.collect.errors import ContextChangedError, WrongAnswerError
from hytnas_host.collect.jobs import JobJournal
from hytnas_host.collect.measuring import Measurer
from hytnas_host.collect.model import Model
from hytnas_host.collect.running import JobRunner
from hytnas_host.collect.schedule import Passes, Slot

from .scripted import CONTEXT, ScriptedBoard, other, taking

SHA = "a" * 64
MODEL = Model(SHA, "onnx", Path("a.onnx"))
SETTINGS = MeasureSettings()
EVERY_PASS = [pytest.param(each, id=each.value) for each in MeasurePass]


@pytest.fixture
def study(tmp_path):
    with Study.open(tmp_path) as study:
        study.exports.add(ExportRecord(SHA, "onnx", "models/a.onnx", 1))
        yield study


@pytest.fixture
def device():
    device = ScriptedBoard("pi1")
    device.acquire("testing")
    return device


def journal(study: Study, device: ScriptedBoard) -> JobJournal:
    return JobJournal(study, Purpose.LATENCY, device.identity.device_id, CONTEXT, SETTINGS)


def runner(device: ScriptedBoard, *, stopped: bool = False) -> JobRunner:
    stop = threading.Event()
    if stopped:
        stop.set()
    return JobRunner(device, None, stop)


@pytest.mark.parametrize("measure_pass", EVERY_PASS)
def test_a_process_of_any_pass_is_stored_before_it_is_acknowledged(study, device, monkeypatch, measure_pass):
    slot = Slot(SHA, measure_pass, 0)
    stored_by_then = []
    acknowledge = device.acknowledge

    def look(job_ids):
        stored_by_then.append([stored.result.job_id for stored in study.results.all(Purpose.LATENCY)])
        acknowledge(job_ids)

    monkeypatch.setattr(device, "acknowledge", look)
    found = runner(device)
    result = found.run(journal(study, device), MODEL, slot)
    assert stored_by_then == [[result.job_id]]
    assert device.acknowledged == [result.job_id]
    assert found.running is None
    assert found.measure_s > 0


WRONG_ANSWERS = {
    "job": ({"job_id": "another"}, WrongAnswerError, "job .* -> another"),
    "model": ({"model_sha256": "b" * 64}, WrongAnswerError, "model aaaaaaaaaaaa -> bbbbbbbbbbbb"),
    "pass": ({"measure_pass": MeasurePass.PROFILE}, WrongAnswerError, "pass timed -> profile"),
    "settings": ({"settings": MeasureSettings(min_runs=7)}, WrongAnswerError, "settings min_runs: 10 -> 7"),
    "board": ({"identity": DeviceIdentity("id-pi2", "pi2")}, ContextChangedError, "id-pi1 -> id-pi2"),
}


@pytest.mark.parametrize("wrong", WRONG_ANSWERS)
@pytest.mark.parametrize("outcome", [Outcome.OK, Outcome.CRASH])
def test_what_is_no_answer_is_refused_by_name_not_stored_and_not_asked_for_again(
    study, device, wrong, outcome
):
    changes, error, said = WRONG_ANSWERS[wrong]
    measure, slot = device.measure, Slot(SHA, MeasurePass.TIMED, 0)
    device.outcome = lambda job: outcome
    device.measure = lambda job: msgspec.structs.replace(measure(job), **changes)
    with pytest.raises(error, match=said):
        runner(device).run(journal(study, device), MODEL, slot)
    assert study.results.all() == []
    assert [failure.subject for failure in study.failures.all("answer")] == [device.measured[0].job_id]
    device.measure = measure  # an honest one again
    asked = journal(study, device)
    found = [runner(device).run(asked, MODEL, slot).job_id for _ in range(2)]
    assert len({device.measured[0].job_id, *found, asked.job_id(slot)}) == 4
    assert [stored.result.job_id for stored in study.results.all()] == found


def test_of_two_results_of_one_job_the_stored_one_counts(study, device):
    """Two devices of one identity, as agents of one machine are, may both measure it."""
    slot, first, second = Slot(SHA, MeasurePass.TIMED, 0), journal(study, device), journal(study, device)
    stored = runner(device).run(first, MODEL, slot)
    device.journal.clear()
    device.median_ms *= 2
    assert runner(device).run(second, MODEL, slot) == stored
    assert study.results.of_model(SHA, Purpose.LATENCY) == second.last_attempts(SHA) == [stored]


def test_a_result_of_another_model_that_is_stored_keeps_no_study_from_going_on(study, device):
    """As versions of before did with whatever a board sent."""
    slot, asked = Slot(SHA, MeasurePass.TIMED, 0), journal(study, device)
    result = msgspec.structs.replace(runner(device).run(asked, MODEL, slot), model_sha256="b" * 64)
    foreign = msgspec.structs.replace(result, job_id=asked.job_id(slot))
    study.results.add(foreign, model_sha256=SHA, purpose=Purpose.LATENCY, replicate=0)
    again = journal(study, device)
    assert {each.model_sha256 for each in again.last_attempts(SHA)} == {SHA}
    assert runner(device).run(again, MODEL, slot).job_id != foreign.job_id


def test_what_cannot_have_been_measured_is_stored_as_internal(study, device):
    measure, asked = device.measure, journal(study, device)
    device.measure = lambda job: taking(measure(job), -1.0, started_unix_s=1e300, peak_rss_bytes=10**400)
    result = runner(device).run(asked, MODEL, Slot(SHA, MeasurePass.TIMED, 0))
    assert result.outcome is Outcome.INTERNAL
    assert "cannot be: started_unix_s is 1e+300" in result.message
    assert study.results.of_model(SHA, Purpose.LATENCY) == [result]
    assert device.acknowledged == [result.job_id]


@pytest.mark.parametrize("measure_pass", EVERY_PASS)
def test_a_changed_context_ends_it(study, device, measure_pass):
    asked = journal(study, device)
    device.context = other(governor="powersave")
    with pytest.raises(ContextChangedError, match="powersave"):
        runner(device).run(asked, MODEL, Slot(SHA, measure_pass, 0))


@pytest.mark.parametrize("sent", ["another", "twice"])
def test_results_that_were_not_asked_for_are_refused(study, device, sent):
    asked = journal(study, device)
    measurer = Measurer(
        device, asked, asked, passes=Passes(StoppingRule.fixed(2)), canary=None, canary_every=0
    )
    result = runner(device).run(journal(study, device), MODEL, Slot(SHA, MeasurePass.TIMED, 0))
    device.results = lambda job_ids: [result] * 2
    if sent == "another":
        asked.store(Slot(SHA, MeasurePass.TIMED, 0), result)
    with pytest.raises(WrongAnswerError, match=f"job {result.job_id[:12]}, which was not asked for"):
        measurer.fetch([SHA])


def test_nothing_is_begun_once_stopped(study, device):
    slot = Slot(SHA, MeasurePass.TIMED, 0)
    assert runner(device, stopped=True).run(journal(study, device), MODEL, slot) is None
    assert device.measured == []
