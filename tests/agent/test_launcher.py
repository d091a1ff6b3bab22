"""Workers behind a launcher: what they are started with, which clock they read, what they refuse."""

import mmap
import os
import stat
import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from hytnas_agent.device.describe import describe_device
from hytnas_agent.device.doctor import OF_TIME, examine
from hytnas_agent.device.hardware import Hardware
from hytnas_agent.device.identity import device_identity
from hytnas_agent.errors import AgentError
from hytnas_agent.launcher import (
    COUNTER_BYTES,
    COUNTER_PLACE,
    COUNTER_VARIABLE,
    LAUNCHER_VARIABLE,
    NATIVE,
    Launcher,
    current_launcher,
)
from hytnas_agent.paths import StateFolder
from hytnas_agent.protocol import DescribeParams
from hytnas_agent.records import EXECUTION_WORDS, DeviceIdentity, Execution, Outcome
from hytnas_agent.runtimes.probe import probe_runtime
from hytnas_agent.supervisor import run_job
from hytnas_agent.worker.clock import instruction_clock, process_clock
from hytnas_agent.worker_process import Cancellation

from .conftest import QUICK, Models, make_files, make_job

HARDWARE = Hardware(
    board="emulated test board",
    soc="test",
    architecture="aarch64",
    cores=1,
    memory_bytes=0,
    os="test system",
    kernel="test emulator",
    cpu_model="test",
    cpu_features=(),
    virtualisation="",
    execution="instruction_count",
)
COUNTING = Launcher(
    (sys.executable,), instructions_per_s=1_200_000_000, hardware=HARDWARE, serial="test serial"
)

# Its runs end by the counted time, however seldom the counting process gets a processor.
UNTIL_FIVE_COUNTED_MS = msgspec.structs.replace(QUICK, timed_budget_s=0.005, max_runs=1_000_000)

Use = Callable[[Launcher], Path]


@pytest.fixture
def use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Use:
    """Makes a launcher the current one."""

    def use(launcher: Launcher) -> Path:
        path = tmp_path / f"launcher-{len(list(tmp_path.iterdir()))}.json"
        path.write_bytes(msgspec.json.encode(launcher))
        path.chmod(0o600)
        monkeypatch.setenv(LAUNCHER_VARIABLE, str(path))
        return path

    return use


@pytest.fixture
def cancellation() -> Iterator[Cancellation]:
    cancellation = Cancellation()
    yield cancellation
    cancellation.close()


@pytest.fixture
def page() -> Iterator[int]:
    page = os.memfd_create("page")
    os.ftruncate(page, COUNTER_BYTES)
    yield page
    os.close(page)


def test_without_a_launcher_this_python_is_started() -> None:
    assert current_launcher() is NATIVE
    with NATIVE.launch("-m", "module") as launch:
        assert (launch.argv, launch.environment, launch.descriptors) == (
            (sys.executable, "-m", "module"),
            {},
            (),
        )


def test_a_counting_launcher_passes_a_page_of_its_own_to_each_process() -> None:
    launcher = msgspec.structs.replace(COUNTING, python=("emulator", f"page={COUNTER_PLACE}", "python"))
    with launcher.launch("-m", "module") as one, launcher.launch() as other:
        (page,) = one.descriptors
        assert one.argv == ("emulator", f"page={page}", "python", "-m", "module")
        assert one.environment[COUNTER_VARIABLE] == str(page)
        assert os.fstat(page).st_size == COUNTER_BYTES
        assert other.descriptors != one.descriptors
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(page)


def test_instructions_are_time_at_the_rate(page: int) -> None:
    clock = instruction_clock(page, 1_200_000_000)
    assert clock() == 0
    with mmap.mmap(page, COUNTER_BYTES) as counter:
        counter[:8] = struct.pack("=Q", 1_200_000_000)
        assert clock() == 1_000_000_000
        counter[:8] = struct.pack("=Q", 10**15)
        assert clock() == 10**15 * 5 // 6


def test_a_process_reads_the_page_it_was_given(page: int) -> None:
    with COUNTING.launch() as launch:
        variables = launch.environment | {COUNTER_VARIABLE: str(page)}
        assert process_clock(variables)() == 0


def test_without_a_page_the_clock_is_the_machines() -> None:
    clock = process_clock({})
    assert 0 < clock() <= clock()


def test_a_job_is_measured_through_the_launcher(
    use: Use, models: Models, cancellation: Cancellation, tmp_path: Path
) -> None:
    counter = tmp_path / "python"
    counter.write_text(
        # Stands for an emulator: a process beside the program counts in steps of 1.2 million.
        f"#!{sys.executable}\n"
        "import mmap, os, sys, time\n"
        "page, program = int(sys.argv[1]), os.getpid()\n"
        "if os.fork() != 0:\n"
        f"    os.execv({sys.executable!r}, [{sys.executable!r}, *sys.argv[2:]])\n"
        "count = memoryview(mmap.mmap(page, 4096)).cast('Q')\n"
        "os.closerange(0, 64)\n"
        "while os.getppid() == program:\n"
        "    count[0] += 1_200_000\n"
        "    time.sleep(1e-5)\n"
    )
    counter.chmod(0o700)
    use(msgspec.structs.replace(COUNTING, python=(str(counter), COUNTER_PLACE)))
    result = run_job(
        make_job(models.tiny, settings=UNTIL_FIVE_COUNTED_MS),
        make_files(models.tiny),
        DeviceIdentity("id", "host"),
        allowed_cores=sorted(os.sched_getaffinity(0)),
        cancellation=cancellation,
    )
    assert (result.outcome, result.message) == (Outcome.OK, "")
    assert result.context.execution == "instruction_count"
    durations_ms = (result.load_ms, result.cold_ms, *result.warmup_ms, *result.samples_ms)
    assert all(duration_ms == round(duration_ms) for duration_ms in durations_ms)
    # Not the runs alone: the counting process may count between them.
    assert sum(durations_ms) > 0


def test_more_threads_than_one_are_refused(use: Use, models: Models, cancellation: Cancellation) -> None:
    use(COUNTING)
    job = make_job(models.tiny)
    job = msgspec.structs.replace(job, settings=msgspec.structs.replace(job.settings, threads=2))
    result = run_job(
        job,
        make_files(models.tiny),
        DeviceIdentity("id", "host"),
        allowed_cores=(0, 1),
        cancellation=cancellation,
    )
    assert result.outcome is Outcome.UNSUPPORTED
    assert result.message == "instructions are counted of one thread, 2 were asked for"


def test_the_memory_of_an_emulator_is_not_the_boards(
    use: Use, models: Models, cancellation: Cancellation
) -> None:
    use(COUNTING)
    result = run_job(
        make_job(models.tiny, measure_pass="memory"),
        make_files(models.tiny),
        DeviceIdentity("id", "host"),
        allowed_cores=(0,),
        cancellation=cancellation,
    )
    assert result.outcome is Outcome.UNSUPPORTED
    assert result.peak_rss_bytes is None
    assert "emulator" in result.message


def test_context_and_identity_are_the_emulated_boards(use: Use, tmp_path: Path) -> None:
    state = StateFolder(tmp_path / "state").create()
    native = device_identity(state)
    use(COUNTING)
    described = describe_device(state, (), DescribeParams())
    assert described.context.board == "emulated test board"
    assert described.context.execution == "instruction_count"
    assert described.context.governor == "none"
    assert described.identity.device_id != native.device_id
    assert device_identity(StateFolder(tmp_path / "other").create()).device_id == described.identity.device_id
    with pytest.raises(AgentError, match="one thread, 4 were asked for"):
        describe_device(state, (), DescribeParams(threads=4))


def test_the_doctor_leaves_out_what_changes_no_count(use: Use, tmp_path: Path) -> None:
    state = StateFolder(tmp_path / "state").create()
    before = [check.name for check in examine(state, ()).checks]
    use(COUNTING)
    after = [check.name for check in examine(state, ()).checks]
    assert [name for name in before if name not in OF_TIME] == after
    assert set(before) >= OF_TIME


def test_runtimes_are_tried_through_the_launcher(use: Use) -> None:
    use(Launcher(("/nonexistent/python",)))
    missing = probe_runtime("onnxruntime")
    assert not missing.usable
    assert missing.reason.startswith("/nonexistent/python cannot be started")
    use(Launcher((sys.executable,), environment={"PYTHONPATH": "/nonexistent"}))
    assert probe_runtime("onnxruntime").usable


def test_a_launcher_that_others_may_change_is_refused(use: Use) -> None:
    path = use(COUNTING)
    path.chmod(stat.S_IRUSR | stat.S_IWUSR | stat.S_IWGRP)
    with pytest.raises(AgentError, match="others can change the launcher"):
        current_launcher()


@pytest.mark.parametrize(
    "content", ["", "{}", '{"python": []}', '{"python": ["x"], "instructions_per_s": 0}', '{"unknown": 1}']
)
def test_a_malformed_launcher_is_refused(use: Use, content: str) -> None:
    path = use(COUNTING)
    path.write_text(content)
    with pytest.raises(AgentError, match="launcher"):
        current_launcher()


def test_a_missing_launcher_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LAUNCHER_VARIABLE, "/nonexistent/launcher.json")
    with pytest.raises(AgentError, match="cannot be read"):
        current_launcher()


def test_every_execution_has_words() -> None:
    assert set(EXECUTION_WORDS) == set(Execution.__args__)
    assert EXECUTION_WORDS["instruction_count"] == "instruction-count latency, emulated Cortex-A53"
