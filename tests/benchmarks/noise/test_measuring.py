"""Blocks on a device that answers at once: interrupted anywhere, they go on with the jobs that were left."""

import contextlib
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from noise.journal import Header, Journal
from noise.measuring import process_of, run_block
from noise.setup import begin, export_models, kept_models, other_core

from hytnas_agent.records import (
    DeviceIdentity,
    GateReport,
    HealthSnapshot,
    MeasureJob,
    MeasureSettings,
    Outcome,
    ProcessResult,
    Verdict,
)

MODELS = tuple(f"{number:064x}" for number in range(3))
HEADER = Header("id", "local", "board", "context", 64, 0, MODELS, 1, 0, 0.1, 0.015, 5, 10, 4.0, 8.0)
PLACE = (2, "quiet")


def result_of(job: MeasureJob, **fields: Any) -> ProcessResult:
    values: dict[str, Any] = {
        "outcome": Outcome.OK,
        "samples_ms": (5.0 + int(job.job_id[:4], 16) / 1e6,) * job.settings.min_runs,
        "cold_ms": 9.0,
    }
    return ProcessResult(
        job_id=job.job_id,
        model_sha256=job.model_sha256,
        measure_pass="timed",
        settings=job.settings,
        started_unix_s=1.0,
        wall_s=0.1,
        agent_version="0",
        identity=DeviceIdentity("board", "host"),
        **(values | fields),
    )


class InstantDevice:
    """Answers every job at once, and is lost after ``jobs``."""

    name = "instant"

    def __init__(self, jobs: int = 1000, **fields: Any) -> None:
        self.left, self.fields = jobs, fields
        self.jobs: list[MeasureJob] = []
        self.acknowledged: list[str] = []

    def quiet(self) -> AbstractContextManager[None]:
        return contextlib.nullcontext()

    def measure(self, job: MeasureJob) -> ProcessResult:
        if self.left == 0:
            raise ConnectionError
        self.left -= 1
        self.jobs.append(job)
        return result_of(job, **self.fields)

    def acknowledge(self, job_ids: list[str]) -> None:
        self.acknowledged += job_ids


def run(path: Path, device: InstantDevice) -> int:
    with Journal(path) as journal:
        return len(list(run_block(device, None, journal, HEADER, PLACE)))  # type: ignore[arg-type]


def test_a_block_that_was_interrupted_goes_on(tmp_path: Path) -> None:
    whole = InstantDevice()
    count = run(tmp_path / "whole.jsonl", whole)
    assert count == len(whole.jobs) == len(MODELS) * 7
    for stop in (0, 1, count // 2, count - 1):
        path, before, after = tmp_path / f"{stop}.jsonl", InstantDevice(stop), InstantDevice()
        with pytest.raises(ConnectionError):
            run(path, before)
        run(path, after)
        assert before.jobs + after.jobs == whole.jobs
        with Journal(path) as journal:
            assert len(journal.processes) == count
            assert [(block.repeat, block.condition) for block in journal.blocks] == [PLACE]


def test_every_process_is_a_job_of_its_own_and_acknowledged(tmp_path: Path) -> None:
    device = InstantDevice()
    run(tmp_path / "journal.jsonl", device)
    ids = [job.job_id for job in device.jobs]
    assert len(set(ids)) == len(ids)
    assert device.acknowledged == ids


def test_only_ours_waits_for_a_fit_device(tmp_path: Path) -> None:
    device = InstantDevice()
    run(tmp_path / "journal.jsonl", device)
    # A single run, ten and fifty, and our timed budget tell the methods apart.
    assert {(job.settings.max_runs, job.gate) for job in device.jobs} == {
        (1, False),
        (50, False),
        (100, True),
    }


def test_a_device_that_cannot_measure_such_models_ends_the_study(tmp_path: Path) -> None:
    device = InstantDevice(outcome=Outcome.UNSUPPORTED, samples_ms=(), message="no such core")
    with pytest.raises(SystemExit, match="no such core"):
        run(tmp_path / "journal.jsonl", device)


def test_a_defect_of_the_agent_ends_the_study_and_is_held_against_no_model(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    for _ in range(2):
        with pytest.raises(SystemExit, match=r"3 processes in a row ended as INTERNAL \(broken\)"):
            run(path, InstantDevice(outcome=Outcome.INTERNAL, samples_ms=(), message="broken"))
    repaired = InstantDevice()
    assert run(path, repaired) == len(MODELS) * 7
    with Journal(path) as journal:
        assert len({each.job_id for each in journal.processes}) == len(MODELS) * 7 + 6


def test_what_is_kept_of_a_result() -> None:
    job = MeasureJob("0000", MODELS[0], "onnx", MeasureSettings())
    disturbed = Verdict("INVALID", reasons=("other processes took 40% of core 1",))
    before, after = (HealthSnapshot(0.0, steal_ticks=ticks) for ticks in (7, 10))
    result = result_of(
        job, samples_ms=(1.23456789,), verdict=disturbed, health_before=before, health_after=after
    )
    kept = process_of(result, PLACE, "ours", 0.5)
    assert (kept.repeat, kept.condition, kept.samples_ms, kept.steal_ticks) == (2, "quiet", (1.2346,), 3)
    assert not kept.usable
    assert kept.disturbed == disturbed.reasons
    unknown = process_of(result_of(job), PLACE, "ours", 0.5)
    assert unknown.usable
    assert unknown.steal_ticks is None


def test_a_result_from_the_agents_journal_costs_what_it_cost() -> None:
    job = MeasureJob("0000", MODELS[0], "onnx", MeasureSettings())
    replayed = msgspec.structs.replace(result_of(job, gate=GateReport(1.5, (), ())), wall_s=0.5)
    assert process_of(replayed, PLACE, "ours", 0.01).wall_s == 2.0
    assert process_of(replayed, PLACE, "ours", 2.25).wall_s == 2.25


def test_a_study_goes_on_with_the_same_options_only(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.jsonl") as journal:
        assert begin(journal, HEADER) == HEADER
        assert begin(journal, msgspec.structs.replace(HEADER, study_id="another")) == HEADER
        with pytest.raises(SystemExit, match="resolution: 64 -> 96"):
            begin(journal, msgspec.structs.replace(HEADER, resolution=96))
        with pytest.raises(SystemExit, match="context: context -> changed"):
            begin(journal, msgspec.structs.replace(HEADER, context="changed"))
        with pytest.raises(SystemExit, match="models: other files"):
            begin(journal, msgspec.structs.replace(HEADER, models=MODELS[::-1]))


def test_models_are_exported_once(tmp_path: Path) -> None:
    paths = export_models(2, 32, 0, tmp_path, lambda _: None)
    header = msgspec.structs.replace(HEADER, models=tuple(path.stem for path in paths))
    with Journal(tmp_path / "journal.jsonl") as journal:
        assert kept_models(journal, tmp_path) == []
        journal.add(header)
        assert kept_models(journal, tmp_path) == paths
        paths[0].unlink()
        assert kept_models(journal, tmp_path) == []


@pytest.mark.parametrize(("core", "cores", "other"), [(1, 2, 0), (0, 2, 1), (3, 4, 2), (0, 1, 0)])
def test_the_other_core(core: int, cores: int, other: int) -> None:
    assert other_core(core, cores) == other
