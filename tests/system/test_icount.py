"""The emulated Cortex-A53 in truth: built if need be, measured on twice, limited, and killed with its agent.

The system is kept in the user's cache; building it takes 12 seconds and a download of 50 MB.
"""

import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from hytnas_agent.launcher import LAUNCHER_VARIABLE
from hytnas_agent.paths import StateFolder
from hytnas_agent.records import EXECUTION_WORDS, MeasureJob, Outcome, ProcessResult
from hytnas_datasets.plan import Task, build_plan
from hytnas_datasets.spaces import get_space
from hytnas_datasets.store import Study
from hytnas_host.collect.latency import collect_latency
from hytnas_host.collect.options import MeasureOptions
from hytnas_host.devices import AgentDevice, DeviceError, open_device
from hytnas_host.devices.icount import build, is_built
from hytnas_host.devices.icount.device import write_launcher
from hytnas_host.export import ExportedModel

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

TASK = Task(resolution=32)
AIM = 1e-3


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ExportedModel:
    from hytnas_host.export import export_onnx  # here: whoever collects tests need not load torch

    (architecture,) = get_space("hyt").sample(1, np.random.default_rng(0))
    return export_onnx(build_plan(architecture, TASK), tmp_path_factory.mktemp("models"), seed=0)


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the agent; to look for runtimes takes the emulated system 10 s, once in each state folder."""
    return tmp_path_factory.mktemp("icount") / "state"


@pytest.fixture
def device(state: Path) -> Iterator[AgentDevice]:
    with open_device("icount-a53", state=state) as device:
        device.acquire("tests/system/test_icount.py")
        yield device


def measure(device: AgentDevice, model: ExportedModel, **settings: int) -> ProcessResult:
    folder = model.path.parent
    device.push(model.path, model.sha256, ".onnx")
    for sha256 in (model.reference.inputs_sha256, model.reference.outputs_sha256):
        device.push(folder / f"{sha256}.npz", sha256, ".npz")
    chosen = msgspec.structs.replace(device.method.settings, **settings)
    job = MeasureJob(uuid.uuid4().hex, model.sha256, "onnx", chosen, reference=model.reference)
    return device.measure(job)


def test_fresh_processes_count_the_same_instructions(device: AgentDevice, model: ExportedModel) -> None:
    first, again = measure(device, model), measure(device, model, max_runs=3, min_runs=3)
    assert (first.outcome, again.outcome) == (Outcome.OK, Outcome.OK)
    assert first.parity is not None
    assert first.parity.max_error <= first.parity.limit
    counts = np.array([*first.samples_ms, *again.samples_ms])
    assert counts.size == 4
    assert np.ptp(counts) <= AIM * np.median(counts)
    assert first.cold_ms is not None
    assert first.cold_ms > counts.max() * (1 - AIM)


def test_its_context_is_the_emulated_boards_and_no_machines(device: AgentDevice) -> None:
    description = device.describe()
    context = description.context
    assert context.board == "emulated Cortex-A53 (instruction count)"
    assert (context.architecture, context.runtime, context.threads) == ("aarch64", "onnxruntime", 1)
    assert EXECUTION_WORDS[context.execution] == "instruction-count latency, emulated Cortex-A53"
    with pytest.raises(DeviceError, match="one thread, 2 were asked for"):
        device.describe(threads=2)


def test_the_memory_limit_holds_for_the_emulator(device: AgentDevice, model: ExportedModel) -> None:
    result = measure(device, model, memory_limit_bytes=64 << 20)
    assert result.outcome is Outcome.OOM


def test_a_worker_dies_with_its_agent(model: ExportedModel, tmp_path: Path) -> None:
    state = tmp_path / "state"
    write_launcher(StateFolder(state), build())
    agent = subprocess.Popen(
        [sys.executable, "-P", "-m", "hytnas_agent", "--state", state, "measure", model.path],
        env=os.environ | {LAUNCHER_VARIABLE: str(state / "launcher.json")},
    )
    try:
        workers = _wait_until(lambda: _emulators_of(agent.pid))
    finally:
        agent.kill()
        agent.wait()
    _wait_until(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers))


def test_a_collection_takes_one_process_a_model(device: AgentDevice, tmp_path: Path) -> None:
    device.release()
    with Study.open(tmp_path / "study") as study:
        options = MeasureOptions.of(device.method, seed=0)
        summary = collect_latency(study, [device], get_space("hyt"), 2, TASK, options=options)
        labelled = study.labelled("latency_ms", space=get_space("hyt"))
    assert summary.outcomes == {"OK": 2}
    assert labelled.context.execution == "instruction_count"
    assert [repeats.size for repeats in labelled.repeats] == [1, 1]


def test_it_is_built_again_from_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    steps: list[str] = []
    built = build(on_step=steps.append)
    assert is_built()
    assert len(steps) == 5
    assert built.manifest.wheels[0].startswith("onnxruntime==")
    assert build(on_step=steps.append) == built
    assert len(steps) == 5
    shutil.rmtree(built.folder)


def _emulators_of(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task")
    return [
        int(child)
        for task in children.glob("*/children")
        for child in task.read_text().split()
        if b"qemu-aarch64" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]


def _wait_until(found: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 120
    while not (value := found()):
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)
    return value
