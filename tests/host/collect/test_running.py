"""One process on a device: stored before it is acknowledged, and refused where it does not count."""

import threading
from pathlib import Path

import msgspec
import pytest

from hytnas_agent.records import MeasurePass, MeasureSettings
from hytnas_datasets.store import ExportRecord, Purpose, Study
from hytnas_host.collect.errors import CollectError, ContextChangedError
from hytnas_host.collect.jobs import JobJournal
from hytnas_host.collect.model import Model
from hytnas_host.collect.running import JobRunner
from hytnas_host.collect.schedule import Slot

from .scripted import CONTEXT, ScriptedBoard

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


@pytest.mark.parametrize("measure_pass", EVERY_PASS)
def test_a_result_of_other_settings_is_stored_and_refused(study, device, monkeypatch, measure_pass):
    measure = device.measure

    def otherwise(job):
        result = measure(job)
        return msgspec.structs.replace(result, settings=msgspec.structs.replace(job.settings, min_runs=7))

    monkeypatch.setattr(device, "measure", otherwise)
    with pytest.raises(CollectError, match="other settings"):
        runner(device).run(journal(study, device), MODEL, Slot(SHA, measure_pass, 0))
    assert len(study.results.all(Purpose.LATENCY)) == 1


@pytest.mark.parametrize("measure_pass", EVERY_PASS)
def test_a_changed_context_ends_it(study, device, measure_pass):
    asked = journal(study, device)
    device.context = msgspec.structs.replace(CONTEXT, governor="powersave")
    with pytest.raises(ContextChangedError, match="powersave"):
        runner(device).run(asked, MODEL, Slot(SHA, measure_pass, 0))


def test_nothing_is_begun_once_stopped(study, device):
    slot = Slot(SHA, MeasurePass.TIMED, 0)
    assert runner(device, stopped=True).run(journal(study, device), MODEL, slot) is None
    assert device.measured == []
