"""Every way a worker can end, with real processes."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from hytnas_agent import supervisor
from hytnas_agent.core_speed import CoreSpeed
from hytnas_agent.device.gate import Gate, Pause
from hytnas_agent.device.health import health_snapshot
from hytnas_agent.device.probes import TimedRuns
from hytnas_agent.records import (
    DeviceIdentity,
    GateReport,
    HealthSnapshot,
    MeasureJob,
    MeasurePass,
    MeasureSettings,
    Outcome,
    ProcessResult,
    Verdict,
)
from hytnas_agent.supervisor import JobFiles, run_job, worker_cores
from hytnas_agent.worker.speed import PATIENCE_S
from hytnas_agent.worker_process import Cancellation, group_rss_bytes

from .conftest import LATE, QUICK, Models, make_files, make_job, sha256, wait_until

IDENTITY = DeviceIdentity("id", "host")


@pytest.fixture
def cancellation() -> Iterator[Cancellation]:
    cancellation = Cancellation()
    yield cancellation
    cancellation.close()


def run(job: MeasureJob, files: JobFiles, cancellation: Cancellation, **options: object) -> ProcessResult:
    allowed = sorted(os.sched_getaffinity(0))
    return run_job(job, files, IDENTITY, allowed_cores=allowed, cancellation=cancellation, **options)


def script(text: str) -> list[str]:
    """A stand-in for the worker: Python text that finds the result descriptor in ``fd``."""
    return [sys.executable, "-c", f"import os, sys; fd = int(sys.argv[1]); sys.stdin.read()\n{text}"]


def test_a_model_is_measured(models: Models, cancellation: Cancellation) -> None:
    job = make_job(models.tiny, reference=models.reference)
    result = run(job, make_files(models.tiny, models), cancellation)
    assert (result.outcome, result.message) == (Outcome.OK, "")
    assert 3 <= len(result.samples_ms) <= 5
    assert result.median_ms == pytest.approx(np.median(result.samples_ms))
    assert min(result.load_ms, result.cold_ms, result.median_ms) > 0
    assert result.parity.max_error <= result.parity.limit
    assert result.steady is not None
    assert result.warmup_ms
    assert result.involuntary_switches >= 0
    assert result.model_bytes == models.tiny.stat().st_size
    assert result.peak_rss_bytes is None
    assert result.context.runtime == "onnxruntime"
    assert result.context.threads == 1
    assert result.health_before.at_unix_s <= result.health_after.at_unix_s
    assert (result.job_id, result.identity, result.settings) == ("job", IDENTITY, QUICK)


def test_the_memory_pass_has_a_peak_and_no_samples(models: Models, cancellation: Cancellation) -> None:
    result = run(make_job(models.tiny, measure_pass="memory"), make_files(models.tiny), cancellation)
    assert (result.outcome, result.samples_ms, result.median_ms) == (Outcome.OK, (), None)
    assert 20 * 2**20 < result.peak_rss_bytes < 2**31


def test_wrong_outputs_are_told_and_not_timed(
    models: Models, cancellation: Cancellation, tmp_path: Path
) -> None:
    wrong = tmp_path / "wrong.npz"
    with np.load(models.outputs) as right:
        np.savez(wrong, output_0=right["output_0"] + 1)
    reference = msgspec.structs.replace(models.reference, outputs_sha256=sha256(wrong))
    job = make_job(models.tiny, reference=reference)
    result = run(job, JobFiles(models.tiny, models.inputs, wrong), cancellation)
    assert (result.outcome, result.samples_ms) == (Outcome.PARITY, ())
    assert result.parity.max_error == pytest.approx(1, rel=1e-3)


@pytest.mark.parametrize(
    ("which", "outcome"),
    [
        ("corrupt", Outcome.INVALID_MODEL),
        ("free_width", Outcome.UNSUPPORTED),
        ("unknown_operator", Outcome.UNSUPPORTED),
        ("free_batch", Outcome.OK),
    ],
)
def test_a_model_that_cannot_run_is_a_result(
    models: Models, cancellation: Cancellation, which: str, outcome: Outcome
) -> None:
    path = getattr(models, which)
    result = run(make_job(path), make_files(path), cancellation)
    assert result.outcome is outcome, result.message
    assert bool(result.message) == (outcome is not Outcome.OK)
    assert result.context.runtime_version


def test_a_file_of_another_hash_is_not_measured(models: Models, cancellation: Cancellation) -> None:
    job = make_job(models.tiny)
    assert run(job, make_files(models.free_batch), cancellation).outcome is Outcome.INVALID_MODEL
    assert run(job, make_files(Path("/nonexistent.onnx")), cancellation).outcome is Outcome.INVALID_MODEL


def test_a_model_that_needs_10_gb_runs_out_of_memory(models: Models, cancellation: Cancellation) -> None:
    settings = msgspec.structs.replace(QUICK, memory_limit_bytes=512 << 20)
    result = run(make_job(models.huge, settings=settings), make_files(models.huge), cancellation)
    assert result.outcome is Outcome.OOM, result.message


def test_a_model_that_loops_is_stopped_at_the_deadline(models: Models, cancellation: Cancellation) -> None:
    settings = msgspec.structs.replace(QUICK, deadline_s=2.0)
    result = run(make_job(models.endless, settings=settings), make_files(models.endless), cancellation)
    assert result.outcome in LATE
    assert result.samples_ms == ()
    assert "the first inference" in result.message
    assert workers_of(os.getpid()) == []


def test_a_killed_worker_is_a_crash_with_its_signal(models: Models, cancellation: Cancellation) -> None:
    me = os.getpid()

    def kill_the_worker() -> None:
        wait_until(lambda: workers_of(me))
        os.kill(workers_of(me)[0], signal.SIGKILL)

    killer = threading.Thread(target=kill_the_worker)
    killer.start()
    result = run(make_job(models.endless), make_files(models.endless), cancellation)
    killer.join()
    assert (result.outcome, result.signal) == (Outcome.CRASH, "SIGKILL")


def workers_of(pid: int) -> list[int]:
    """Workers whose parent is ``pid`` and that have become Python already."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    children = [int(child) for task in tasks for child in (task / "children").read_text().split()]
    return [pid for pid in children if b"hytnas_agent.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def test_a_running_job_can_be_cancelled(models: Models, cancellation: Cancellation) -> None:
    canceller = threading.Timer(0.5, cancellation.cancel)
    canceller.start()
    result = run(make_job(models.endless), make_files(models.endless), cancellation)
    canceller.join()
    assert result.outcome is Outcome.CANCELLED


@pytest.mark.parametrize(
    ("text", "outcome", "name"),
    [
        ("os.kill(os.getpid(), 11)", Outcome.CRASH, "SIGSEGV"),
        ("os.kill(os.getpid(), 4)", Outcome.CRASH, "SIGILL"),
        ("os.kill(os.getpid(), 40)", Outcome.CRASH, "SIGRTMIN+6"),
        ("os.write(2, b'terminate called: std::bad_alloc'); os.abort()", Outcome.OOM, "SIGABRT"),
        ("raise MemoryError", Outcome.OOM, None),
        ("sys.exit('no reason')", Outcome.INTERNAL, None),
        ("sys.exit(0)", Outcome.INTERNAL, None),
        ("os.write(fd, b'{not json}\\n')", Outcome.INTERNAL, None),
        ('os.write(fd, b\'{"type":"other"}\\n\')', Outcome.INTERNAL, None),
        ("[os.write(fd, b'x' * 65536) for _ in range(64)]", Outcome.INTERNAL, None),
        ('print(\'noise\'); os.write(fd, b\'{"type":"report","outcome":"UNSUPPORTED"}\\n\')', None, None),
    ],
)
def test_a_worker_that_dies_or_babbles_has_its_outcome(
    models: Models, cancellation: Cancellation, text: str, outcome: Outcome | None, name: str | None
) -> None:
    result = run(make_job(models.tiny), make_files(models.tiny), cancellation, command=script(text))
    assert (result.outcome, result.signal) == (outcome or Outcome.UNSUPPORTED, name), result.message
    assert result.median_ms is None


def test_the_watch_kills_what_grows_past_the_limit(models: Models, cancellation: Cancellation) -> None:
    settings = msgspec.structs.replace(QUICK, memory_limit_bytes=64 << 20)
    text = "import time; kept = b'x' * (128 << 20); time.sleep(60)"
    job = make_job(models.tiny, settings=settings)
    result = run(job, make_files(models.tiny), cancellation, command=script(text))
    assert result.outcome is Outcome.OOM
    assert "64 MiB allowed" in result.message


@pytest.mark.parametrize("measure_pass", ["timed", "sustained"])
@pytest.mark.parametrize(
    ("verdict", "outcome", "said"),
    [
        (Verdict("VALID"), Outcome.TIMEOUT, "while in the first inference"),
        (Verdict("INVALID", ("81 degrees Celsius",)), Outcome.THROTTLED, "was disturbed: 81 degrees Celsius"),
    ],
)
def test_running_out_of_time_is_judged_over_the_whole_process(
    models: Models,
    cancellation: Cancellation,
    monkeypatch: pytest.MonkeyPatch,
    *,
    verdict: Verdict,
    outcome: Outcome,
    said: str,
    measure_pass: MeasurePass,
) -> None:
    judged: list[tuple[TimedRuns, MeasurePass]] = []

    def judge(runs: TimedRuns, measure_pass: MeasurePass) -> Verdict:
        judged.append((runs, measure_pass))
        return verdict

    monkeypatch.setattr(supervisor, "judge", judge)
    settings = msgspec.structs.replace(QUICK, deadline_s=1.5)
    job = make_job(models.endless, settings=settings, measure_pass=measure_pass)
    result = run(job, make_files(models.endless), cancellation)
    assert (result.outcome, result.verdict) == (outcome, verdict)
    assert result.message.endswith(said)
    ((runs, judged_as),) = judged
    assert judged_as == measure_pass
    assert (runs.before, runs.after) == (result.health_before, result.health_after)
    assert runs.processor.wall_s >= 1.5
    assert 0.1 < runs.processor.cpu_s < runs.processor.wall_s * 1.1


@pytest.mark.parametrize(
    ("measure_pass", "outcome", "reasons"),
    [
        ("timed", Outcome.THROTTLED, ("85 degrees Celsius",)),
        ("profile", Outcome.THROTTLED, ("85 degrees Celsius",)),
        ("sustained", Outcome.TIMEOUT, ()),
        ("memory", Outcome.TIMEOUT, None),
    ],
)
def test_out_of_time_on_a_hot_board_is_judged_by_the_rules_for_the_pass(
    models: Models,
    cancellation: Cancellation,
    monkeypatch: pytest.MonkeyPatch,
    *,
    measure_pass: MeasurePass,
    outcome: Outcome,
    reasons: tuple[str, ...] | None,
) -> None:
    def hot(cores: Sequence[int]) -> HealthSnapshot:
        return HealthSnapshot(
            time.time(),
            monotonic_s=time.monotonic(),
            cores=tuple(cores),
            temperature_celsius=85.0,
            temperature_limit_celsius=80.0,
        )

    monkeypatch.setattr(supervisor, "health_snapshot", hot)
    settings = msgspec.structs.replace(QUICK, deadline_s=0.5)
    job = make_job(models.tiny, settings=settings, measure_pass=measure_pass)
    sleeper = script("import time; time.sleep(60)")
    result = run(job, make_files(models.tiny), cancellation, command=sleeper)
    assert result.outcome is outcome, result.message
    assert (None if result.verdict is None else result.verdict.reasons) == reasons
    assert result.is_disturbed is (outcome is Outcome.THROTTLED)
    assert ("was disturbed" in result.message) is (outcome is Outcome.THROTTLED)


def test_out_of_time_beside_a_hog_is_no_fact_about_the_model(
    models: Models, cancellation: Cancellation
) -> None:
    core = max(os.sched_getaffinity(0))
    job = make_job(models.tiny, settings=msgspec.structs.replace(QUICK, deadline_s=1.5, core=core))
    hog = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        os.sched_setaffinity(hog.pid, {core})
        sleeper = script("import time; time.sleep(60)")
        result = run(job, make_files(models.tiny), cancellation, command=sleeper)
    finally:
        hog.kill()
        hog.wait()
    assert result.outcome is Outcome.THROTTLED
    assert result.is_disturbed
    assert "other processes took" in result.message


def test_the_whole_group_is_killed(models: Models, cancellation: Cancellation, tmp_path: Path) -> None:
    note = tmp_path / "pid"
    text = (
        "import subprocess, time\n"
        f"child = subprocess.Popen(['sleep', '60']); open({str(note)!r}, 'w').write(str(child.pid))\n"
        "time.sleep(60)"
    )
    settings = msgspec.structs.replace(QUICK, deadline_s=1.5)
    job = make_job(models.tiny, settings=settings)
    result = run(job, make_files(models.tiny), cancellation, command=script(text))
    assert result.outcome in LATE
    wait_until(lambda: group_rss_bytes(int(note.read_text())) == 0)


def test_a_command_that_does_not_exist_is_internal(models: Models, cancellation: Cancellation) -> None:
    result = run(make_job(models.tiny), make_files(models.tiny), cancellation, command=["/nonexistent"])
    assert result.outcome is Outcome.INTERNAL


def test_workers_get_the_last_cores_or_those_asked_for() -> None:
    assert worker_cores(MeasureSettings(), [0, 1, 2, 3]) == (3,)
    assert worker_cores(MeasureSettings(threads=2), [0, 1, 2, 3]) == (2, 3)
    assert worker_cores(MeasureSettings(threads=2), [0, 1]) == (0, 1)
    assert worker_cores(MeasureSettings(threads=3), [0, 1]) == ()
    assert worker_cores(MeasureSettings(core=1, threads=3), [0, 1]) == ()
    assert worker_cores(MeasureSettings(core=1), [0, 1, 2, 3]) == (1,)
    assert worker_cores(MeasureSettings(core=3, threads=2), [0, 1, 2, 3]) == (3, 0)
    assert worker_cores(MeasureSettings(core=9), [0, 1]) == ()


def test_a_core_that_is_not_there_is_unsupported(models: Models, cancellation: Cancellation) -> None:
    job = make_job(models.tiny, settings=msgspec.structs.replace(QUICK, core=4096))
    result = run(job, make_files(models.tiny), cancellation)
    assert result.outcome is Outcome.UNSUPPORTED
    assert "4096" in result.message


def test_more_threads_than_cores_are_unsupported(models: Models, cancellation: Cancellation) -> None:
    allowed = len(os.sched_getaffinity(0))
    job = make_job(models.tiny, settings=msgspec.structs.replace(QUICK, threads=allowed + 1))
    result = run(job, make_files(models.tiny), cancellation)
    assert result.outcome is Outcome.UNSUPPORTED
    assert result.message == f"{allowed + 1} threads, {allowed} cores"
    assert (result.verdict, result.samples_ms) == (None, ())


def test_no_descriptors_are_left_behind(models: Models, cancellation: Cancellation) -> None:
    before = len(os.listdir("/proc/self/fd"))
    run(make_job(models.corrupt), make_files(models.corrupt), cancellation)
    assert len(os.listdir("/proc/self/fd")) == before


class StandingGate(Gate):
    """Waits as long as it is told to."""

    def __init__(self, report: GateReport | None) -> None:
        super().__init__()
        self.report = report
        self.asked: list[Sequence[int]] = []
        self.told: list[Verdict | None] = []

    @property
    def speed_patience_s(self) -> float:
        return 0.1

    def wait(self, cores: Sequence[int], pause: Pause) -> GateReport | None:
        assert pause(0.0) is False
        self.asked.append(tuple(cores))
        return self.report

    def remember(
        self, after: HealthSnapshot | None, verdict: Verdict | None, speed: CoreSpeed | None = None
    ) -> None:
        assert after is None or after.cores
        self.told.append(verdict)
        super().remember(after, verdict, speed)


def test_a_timed_process_has_a_verdict_and_says_what_it_waited_for(
    models: Models, cancellation: Cancellation
) -> None:
    gate = StandingGate(GateReport(3.0, ("82 degrees Celsius, above 70",)))
    settings = msgspec.structs.replace(QUICK, max_runs=200, timed_budget_s=0.2)
    result = run(make_job(models.tiny, settings=settings), make_files(models.tiny), cancellation, gate=gate)
    assert result.outcome is Outcome.OK
    assert gate.asked == [result.health_after.cores]
    assert result.gate == gate.report
    assert result.verdict.status in {"VALID", "VALID_UNVERIFIED", "INVALID"}
    assert bool(result.verdict.reasons) == (result.verdict.status == "INVALID")
    time = result.processor_time
    assert 0 < time.cpu_s <= time.wall_s * 1.1
    assert time.wall_s >= sum(result.samples_ms) / 1000


def test_the_speed_of_the_core_is_watched_beside_timed_runs(
    models: Models, cancellation: Cancellation
) -> None:
    gate = StandingGate(GateReport(0.0))
    result = run(make_job(models.tiny), make_files(models.tiny), cancellation, gate=gate)
    found = result.core_speed
    assert len(found.before) == len(result.samples_ms) == len(result.counts)
    assert max(found.before) + 1 == len(found.probe_us) - 1
    assert 1 < found.best_us <= sorted(found.probe_us)[len(found.probe_us) // 2]
    assert gate.best_speed_us(result.health_after) == pytest.approx(found.best_us, abs=1e-3)
    assert result.median_ms == pytest.approx(np.median(result.counted_ms))
    assert "core speed" not in result.verdict.unverified


def test_runs_on_a_core_that_has_been_faster_are_disturbed_and_all_count(
    models: Models, cancellation: Cancellation
) -> None:
    gate = StandingGate(GateReport(0.0))
    before = health_snapshot(worker_cores(QUICK, sorted(os.sched_getaffinity(0))))
    gate.remember(before, None, CoreSpeed(0.1, (0.1,), ()))
    result = run(make_job(models.tiny), make_files(models.tiny), cancellation, gate=gate)
    assert result.outcome is Outcome.OK
    assert result.verdict.status == "INVALID"
    assert any("slower than at best" in reason for reason in result.verdict.reasons)
    assert result.core_speed.best_us == pytest.approx(0.1)
    assert result.core_speed.waited_s >= PATIENCE_S
    assert result.core_speed.waited_in_vain
    assert not result.core_speed.ended_early
    assert result.counted_ms == result.samples_ms


def test_a_process_that_may_end_early_times_nothing_on_a_core_that_stays_slow(
    models: Models, cancellation: Cancellation
) -> None:
    gate = StandingGate(GateReport(0.0))
    before = health_snapshot(worker_cores(QUICK, sorted(os.sched_getaffinity(0))))
    gate.remember(before, None, CoreSpeed(0.1, (0.1,), ()))
    job = make_job(models.tiny, may_end_early=True)
    result = run(job, make_files(models.tiny), cancellation, gate=gate)
    assert (result.outcome, result.samples_ms, result.median_ms) == (Outcome.THROTTLED, (), None)
    assert min(result.load_ms, result.cold_ms) > 0
    assert result.warmup_ms
    assert "stayed slow" in result.message
    assert result.is_disturbed
    assert any("slower than at best for" in reason for reason in result.verdict.reasons)
    found = result.core_speed
    assert (found.ended_early, found.wait_limit_s, found.before) == (True, 0.1, ())
    assert found.waited_in_vain
    assert found.probe_us
    assert gate.told[-1] == result.verdict


@pytest.mark.parametrize(
    ("job", "options"),
    [
        pytest.param({"gate": False}, {"gate": StandingGate(GateReport(0.0))}, id="not-held-back"),
        pytest.param({}, {}, id="no-gate"),
        pytest.param({"measure_pass": "profile"}, {"gate": StandingGate(GateReport(0.0))}, id="another-pass"),
    ],
)
def test_timed_runs_that_are_not_watched_are_unverified(
    models: Models, cancellation: Cancellation, job: dict[str, Any], options: dict[str, Any]
) -> None:
    result = run(make_job(models.tiny, **job), make_files(models.tiny), cancellation, **options)
    assert result.core_speed is None
    assert ("core speed" in result.verdict.unverified) is (result.measure_pass == "timed")
    assert result.counted_ms == result.samples_ms


def test_the_agent_can_be_told_not_to_watch(
    models: Models, cancellation: Cancellation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HYTNAS_AGENT_CORE_SPEED", "off")
    gate = StandingGate(GateReport(0.0))
    result = run(make_job(models.tiny), make_files(models.tiny), cancellation, gate=gate)
    assert (result.outcome, result.core_speed) == (Outcome.OK, None)
    assert "core speed" in result.verdict.unverified


def test_several_threads_are_not_watched(models: Models, cancellation: Cancellation) -> None:
    settings = msgspec.structs.replace(QUICK, threads=2)
    gate = StandingGate(GateReport(0.0))
    result = run(make_job(models.tiny, settings=settings), make_files(models.tiny), cancellation, gate=gate)
    assert (result.outcome, result.core_speed) == (Outcome.OK, None)
    assert "core speed" in result.verdict.unverified


def test_only_what_is_timed_waits_and_is_judged(models: Models, cancellation: Cancellation) -> None:
    gate = StandingGate(GateReport(0.0))
    memory = run(
        make_job(models.tiny, measure_pass="memory"), make_files(models.tiny), cancellation, gate=gate
    )
    assert (gate.asked, memory.gate, memory.verdict) == ([], None, None)
    failed = run(make_job(models.corrupt), make_files(models.corrupt), cancellation, gate=gate)
    assert failed.verdict is None


def test_what_is_not_held_back_is_judged_and_remembered(models: Models, cancellation: Cancellation) -> None:
    gate = StandingGate(GateReport(0.0))
    result = run(make_job(models.tiny, gate=False), make_files(models.tiny), cancellation, gate=gate)
    assert (gate.asked, result.gate, gate.told) == ([], None, [result.verdict])
    assert result.verdict is not None


def test_a_job_cancelled_while_it_waits_is_never_started(models: Models, cancellation: Cancellation) -> None:
    nothing = Path("/nonexistent.onnx")
    result = run(make_job(models.tiny), JobFiles(nothing), cancellation, gate=StandingGate(None))
    assert (result.outcome, result.load_ms) == (Outcome.CANCELLED, None)
    assert "while waiting" in result.message
