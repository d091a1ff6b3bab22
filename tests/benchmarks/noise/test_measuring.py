"""Blocks on a device that answers at once: interrupted anywhere, they go on with the jobs that were left."""

import contextlib
import os
import signal
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from noise.code import CodeWatch, agent_files, digest, study_files
from noise.hog import Hog
from noise.journal import Header, Journal
from noise.measuring import hog_plan, process_of, run_block
from noise.setup import begin, export_models, kept_models, other_core

from hytnas_agent.core_speed import CoreSpeed
from hytnas_agent.records import (
    DeviceIdentity,
    HealthSnapshot,
    MeasureJob,
    MeasureSettings,
    Outcome,
    ProcessResult,
    Verdict,
)

MODELS = tuple(f"{number:064x}" for number in range(3))
HEADER = Header(
    "local", "board", "context", "0.1", "a0", "b0", 64, 0, MODELS, 1, 0, 0.1, 0.015, 5, 10, 4.0, 8.0
)
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


def run(
    path: Path,
    device: InstantDevice,
    place: tuple[int, str] = PLACE,
    code: CodeWatch = CodeWatch([]),  # noqa: B008 (it holds nothing)
) -> int:
    with Journal(path) as journal:
        return len(list(run_block(device, None, journal, HEADER, place, code=code)))  # type: ignore[arg-type]


def test_a_block_that_was_interrupted_goes_on(tmp_path: Path) -> None:
    whole = InstantDevice()
    count = run(tmp_path / "whole.jsonl", whole)
    assert count == len(whole.jobs) == len(MODELS) * 7
    for stop in (0, 1, count // 2, count - 1):
        path, before, after = tmp_path / f"{stop}.jsonl", InstantDevice(stop), InstantDevice()
        with pytest.raises(ConnectionError):
            run(path, before)
        run(path, after)
        assert turns(before.jobs + after.jobs) == turns(whole.jobs)
        with Journal(path) as journal:
            assert len(journal.processes) == count
            assert [(block.repeat, block.condition) for block in journal.blocks] == [PLACE]


def turns(jobs: list[MeasureJob]) -> list[MeasureJob]:
    return [msgspec.structs.replace(job, job_id="") for job in jobs]


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
    before = HealthSnapshot(0.0, core_steal_s=7.1, monotonic_s=20.0)
    after = HealthSnapshot(0.0, core_steal_s=7.13, monotonic_s=20.5)
    result = result_of(
        job, samples_ms=(1.23456789,), verdict=disturbed, health_before=before, health_after=after
    )
    kept = process_of(result, PLACE, "ours", 3, 0.5)
    assert (kept.repeat, kept.condition, kept.samples_ms, kept.replicate) == (2, "quiet", (1.2346,), 3)
    assert (kept.steal_s, kept.runs_s) == (0.03, 0.5)
    assert not kept.usable
    assert kept.disturbed == disturbed.reasons
    unknown = process_of(result_of(job), PLACE, "ours", 0, 0.5)
    assert unknown.usable
    assert unknown.steal_s is None


def test_only_the_runs_that_count_are_kept() -> None:
    job = MeasureJob("0000", MODELS[0], "onnx", MeasureSettings())
    speed = CoreSpeed(40.0, (40.0, 40.0, 52.0, 40.0, 40.0), (0, 0, 0, 1, 2, 3, 3, 3))
    result = result_of(job, samples_ms=(1.0, 1.1, 1.2, 9.0, 9.0, 1.3, 1.4, 1.5), core_speed=speed)
    assert process_of(result, PLACE, "ours", 0, 0.5).samples_ms == (1.0, 1.1, 1.2, 1.3, 1.4, 1.5)


class Deadly(InstantDevice):
    """Kills what disturbs it in the middle of one process."""

    def __init__(self, hogs: list[Hog], at: int) -> None:
        super().__init__()
        self.hogs, self.at = hogs, at

    def measure(self, job: MeasureJob) -> ProcessResult:
        if len(self.jobs) == self.at:
            os.kill(self.hogs[-1]._connection._process.pid, signal.SIGKILL)  # type: ignore[attr-defined]
        return super().measure(job)


@pytest.fixture
def hogs(monkeypatch: pytest.MonkeyPatch) -> list[Hog]:
    started: list[Hog] = []

    def start(*arguments: Any) -> Hog:
        started.append(Hog(*arguments))
        return started[-1]

    monkeypatch.setattr("noise.measuring.Hog", start)
    return started


@pytest.mark.parametrize("at", [0, 5, len(MODELS) * 7 - 1])
def test_nothing_is_kept_that_was_measured_when_the_hog_had_died(
    tmp_path: Path, hogs: list[Hog], at: int
) -> None:
    path, place = tmp_path / "journal.jsonl", (0, "same-core")
    with pytest.raises(SystemExit, match="ended early"):
        run(path, Deadly(hogs, at), place)
    with Journal(path) as journal:
        assert (len(journal.processes), journal.blocks) == (at, [])
    assert run(path, InstantDevice(), place) == len(MODELS) * 7 - at
    assert len(hogs) == 2
    with Journal(path) as journal:
        assert len(journal.blocks) == 1
        assert len(journal.processes) == len(MODELS) * 7
        assert all(each.hog_s is not None and each.hog_s > 0 for each in journal.processes)
        # The spells of the second one are others.
        assert hog_plan(HEADER, place, at) != hog_plan(HEADER, place, at + 1)


def test_a_hog_is_renewed_before_its_life_is_over(
    tmp_path: Path, hogs: list[Hog], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("noise.measuring.RENEW_S", 0.0)
    count = run(tmp_path / "journal.jsonl", InstantDevice(), (0, "other-core"))
    assert len(hogs) == count
    assert hogs[0]._connection._process.poll() is not None  # type: ignore[attr-defined]


def test_a_study_that_is_begun_again_after_its_last_process_starts_no_hog(
    tmp_path: Path, hogs: list[Hog]
) -> None:
    path, place = tmp_path / "journal.jsonl", (0, "other-core")
    run(path, InstantDevice(), place)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]))
    assert run(path, InstantDevice(), place) == 0
    assert len(hogs) == 1
    assert path.read_bytes().splitlines()[-1].startswith(b'{"type":"block"')
    with Journal(path) as journal:
        assert journal.blocks[0].seconds == pytest.approx(sum(each.wall_s for each in journal.processes))


def test_nothing_is_kept_that_was_measured_by_other_code(tmp_path: Path) -> None:
    worker, path = tmp_path / "worker.py", tmp_path / "journal.jsonl"
    worker.write_text("one")
    code = CodeWatch([worker])

    class Edited(InstantDevice):
        def measure(self, job: MeasureJob) -> ProcessResult:
            if len(self.jobs) == 4:
                worker.write_text("two")
            return super().measure(job)

    with pytest.raises(SystemExit, match="the code that measures has changed"):
        run(path, Edited(), code=code)
    with Journal(path) as journal:
        assert len(journal.processes) == 4
    worker.write_text("one")
    assert run(path, InstantDevice(), code=code) == len(MODELS) * 7 - 4
    worker.unlink()
    with pytest.raises(SystemExit, match="the code that measures has changed"):
        code.check()


def test_the_code_is_that_of_the_agent_and_of_the_study(tmp_path: Path) -> None:
    assert {"timing.py", "gate.py", "verdict.py", "attempts.py", "stopping.py"} <= {
        path.name for path in agent_files()
    }
    assert {"measuring.py", "methods.py"} <= {path.name for path in study_files()}
    one, other = tmp_path / "one.py", tmp_path / "other.py"
    one.write_text("a")
    other.write_text("a")
    assert digest([one]) != digest([other])
    before = digest([one])
    one.write_text("b")
    assert digest([one]) != before


def test_a_study_goes_on_with_the_same_options_only(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.jsonl") as journal:
        assert begin(journal, HEADER) == HEADER
        assert begin(journal, HEADER) == HEADER
        with pytest.raises(SystemExit, match="resolution: 64 -> 96"):
            begin(journal, msgspec.structs.replace(HEADER, resolution=96))
        with pytest.raises(SystemExit, match="context: context -> changed"):
            begin(journal, msgspec.structs.replace(HEADER, context="changed"))
        with pytest.raises(SystemExit, match=r"the agent's code has changed \(a0 -> a1\)"):
            begin(journal, msgspec.structs.replace(HEADER, agent_code="a1"))
        with pytest.raises(SystemExit, match="the agent is of another version"):
            begin(journal, msgspec.structs.replace(HEADER, agent_version="0.2"))
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
