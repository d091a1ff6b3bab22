"""The scripted boards keep the promises of a device: one suite for them and for a real agent."""

import contextlib
import hashlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from hytnas_agent.records import MeasureJob, MeasureSettings, Outcome
from hytnas_host.devices.base import Device
from hytnas_host.devices.client import AgentDevice
from hytnas_host.devices.errors import DeviceError

from ..devices.calm import CalmTransport
from .scripted import ScriptedBoard
from .test_latency import folder, own_state_home

__all__ = ["folder", "own_state_home"]

QUICK = MeasureSettings(
    warmup_window=3, warmup_max_runs=6, min_runs=5, max_runs=5, timed_budget_s=0.01, deadline_s=60
)


@pytest.fixture(params=["scripted", "agent"])
def device(request, tmp_path) -> Iterator[Device]:
    if request.param == "scripted":
        yield ScriptedBoard("board")
        return
    transport = CalmTransport(tmp_path / "agent")
    with AgentDevice("board", transport, client_id="me", shares_processor=True) as device:
        pid = device.hello().agent_pid
        yield device
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)


@pytest.fixture
def job(folder: Path) -> tuple[MeasureJob, Path]:
    path = folder / "product-8.onnx"
    return MeasureJob("job-1", hashlib.sha256(path.read_bytes()).hexdigest(), "onnx", QUICK), path


def test_describes_itself_the_same_twice(device):
    first, second = device.describe(), device.describe(runtime=None, threads=1)
    assert (first.identity, first.context) == (second.identity, second.context)


def test_same_job_again_gives_the_same_result_and_it_can_be_fetched(device, job):
    asked, path = job
    device.acquire("test")
    assert device.results([asked.job_id]) == []
    device.push(path, asked.model_sha256, ".onnx")
    stages: list[str] = []
    with device.quiet():
        result = device.measure(asked, stages.append)
    assert result.outcome is Outcome.OK
    assert result.median_ms is not None
    assert "started" in stages
    assert result.identity == device.describe().identity
    assert result.context == device.describe().context
    assert device.results(["never-asked", asked.job_id]) == [result]
    device.acknowledge([asked.job_id])
    assert device.measure(asked) == result
    assert device.results([asked.job_id]) == [result]


def test_neither_without_a_lease_nor_without_its_file_a_job_is_run(device, job):
    asked, _ = job
    with pytest.raises(DeviceError):
        device.measure(asked)
    device.acquire("test")
    with pytest.raises(DeviceError):
        device.measure(asked)
    assert device.results([asked.job_id]) == []


def test_lease_can_be_given_back_and_taken_again(device):
    device.release()
    device.acquire("first")
    device.release()
    device.acquire("second")
    device.acquire("second")
    device.close()
