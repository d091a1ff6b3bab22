"""The passes beside the timed one, each a job of its own in a real process."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from hytnas_agent.records import DeviceIdentity, MeasureJob, MeasurePass, Outcome, ProcessResult
from hytnas_agent.supervisor import run_job
from hytnas_agent.worker_process import Cancellation

from .conftest import QUICK, Models, make_files, make_job

IDENTITY = DeviceIdentity("id", "host")


@pytest.fixture
def cancellation() -> Iterator[Cancellation]:
    cancellation = Cancellation()
    yield cancellation
    cancellation.close()


def run(job: MeasureJob, models: Models, cancellation: Cancellation) -> ProcessResult:
    return run_job(
        job,
        make_files(models.tiny, models),
        IDENTITY,
        allowed_cores=sorted(os.sched_getaffinity(0)),
        cancellation=cancellation,
    )


def job_of(models: Models, measure_pass: MeasurePass, **settings: float) -> MeasureJob:
    job = make_job(models.tiny, measure_pass=measure_pass, reference=models.reference)
    return msgspec.structs.replace(job, settings=msgspec.structs.replace(QUICK, **settings))


def test_the_profile_pass_times_operators_and_nothing_else(
    models: Models, cancellation: Cancellation
) -> None:
    result = run(job_of(models, "profile"), models, cancellation)
    assert (result.outcome, result.message) == (Outcome.OK, "")
    assert result.profile is not None
    assert "Conv" in {operator.op_type for operator in result.profile.operators}
    assert result.profile.runs >= 5
    assert (result.samples_ms, result.median_ms, result.load_ms) == ((), None, None)
    assert (result.energy, result.sustained) == (None, None)
    assert result.context is not None


def test_the_profile_leaves_no_files(
    models: Models, cancellation: Cancellation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    result = run(job_of(models, "profile"), models, cancellation)
    assert result.profile is not None
    assert list(tmp_path.iterdir()) == []


def test_the_sustained_pass_is_cut_into_windows(models: Models, cancellation: Cancellation) -> None:
    result = run(job_of(models, "sustained", load_s=2.5), models, cancellation)
    assert (result.outcome, result.message) == (Outcome.OK, "")
    series = result.sustained
    assert series is not None
    assert series.windows
    assert all(window.runs > 0 and window.median_ms > 0 for window in series.windows)
    assert series.windows[-1].end_s >= 2.5
    assert series.burst_ms > 0
    assert series.sustained_ms > 0
    assert (result.samples_ms, result.median_ms) == ((), None)
    assert result.parity is not None
    assert result.steady is not None


@pytest.mark.parametrize("measure_pass", ["profile", "sustained"])
def test_a_pass_is_judged_by_what_it_got_of_the_processor(
    models: Models, cancellation: Cancellation, measure_pass: MeasurePass
) -> None:
    result = run(job_of(models, measure_pass, load_s=1.0), models, cancellation)
    assert result.outcome is Outcome.OK
    assert result.verdict is not None
    assert result.processor_time.runs is None
    assert 0 < result.processor_time.cpu_s <= result.processor_time.wall_s * 1.1
    assert result.health_before.monotonic_s < result.health_after.monotonic_s


def test_a_hog_beside_a_lasting_load_is_found(models: Models, cancellation: Cancellation) -> None:
    core = max(os.sched_getaffinity(0))
    hog = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        os.sched_setaffinity(hog.pid, {core})
        result = run(job_of(models, "sustained", load_s=1.0, core=core), models, cancellation)
    finally:
        hog.kill()
        hog.wait()
    assert result.sustained is not None
    assert result.is_disturbed
    assert not result.asks_again
    assert "other processes took" in result.verdict.reasons[0]


def test_a_timed_pass_has_none_of_it(models: Models, cancellation: Cancellation) -> None:
    result = run(job_of(models, "timed"), models, cancellation)
    assert result.outcome is Outcome.OK
    assert (result.profile, result.energy, result.sustained) == (None, None, None)


def test_an_emulated_device_has_no_energy(
    models: Models, cancellation: Cancellation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HYTNAS_AGENT_EXECUTION", "emulated")
    result = run(job_of(models, "energy", load_s=1.0), models, cancellation)
    assert result.outcome is Outcome.UNSUPPORTED
    assert "EMULATED" in result.message
    assert result.energy is None


def test_records_of_before_these_passes_are_read(models: Models, cancellation: Cancellation) -> None:
    result = run(job_of(models, "timed"), models, cancellation)
    former = msgspec.to_builtins(result)
    for name in ("profile", "energy", "sustained"):
        del former[name]
    assert msgspec.convert(former, ProcessResult) == result


def test_settings_without_a_load_are_written_as_they_were_before() -> None:
    """An older agent refuses a setting that it does not know, and ids of jobs are made of the settings."""
    assert b"load_s" not in msgspec.json.encode(QUICK)
    chosen = msgspec.structs.replace(QUICK, load_s=60.0)
    assert msgspec.json.decode(msgspec.json.encode(chosen), type=type(QUICK)) == chosen
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(QUICK), type=type(QUICK)) == QUICK
