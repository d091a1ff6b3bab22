"""Networks exported to TFLite once, and a device for each of the two runtimes in its own environment."""

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from hytnas_datasets.plan import LayerPlan, Task, build_plan
from hytnas_datasets.spaces import get_space
from hytnas_host.devices.client import AgentDevice
from hytnas_host.devices.transport import LocalTransport, PipeConnection
from hytnas_host.export import ExportedModel, ExportPool, ExportTarget

PYTHONS = {
    "ai-edge-litert": sys.executable,
    "tflite-runtime": os.environ.get("HYTNAS_TFLITE_PYTHON", ".venv-tflite/bin/python"),
}
FP32, INT8 = ExportTarget("tflite"), ExportTarget("tflite", "int8")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """They need environments of their own (make test-tflite), so that other runs leave them out."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker("system")
            item.add_marker("tflite")
            item.add_marker(pytest.mark.timeout(900))


@dataclass(frozen=True)
class Case:
    """A network of ``hyt`` and what it is exported to."""

    seed: int
    resolution: int
    target: ExportTarget

    @property
    def plan(self) -> LayerPlan:
        architecture = get_space("hyt").sample(1, np.random.default_rng(self.seed))[0]
        return build_plan(architecture, Task(resolution=self.resolution))


CASES = {
    "small": Case(1, 64, FP32),
    "other": Case(2, 64, FP32),
    "large": Case(3, 224, FP32),
    "int8": Case(1, 64, INT8),
}


@pytest.fixture(scope="session")
def exports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ExportedModel]:
    """The models of ``CASES``; litert-torch takes half a minute for each."""
    folder = tmp_path_factory.mktemp("models")
    with ExportPool(2, target=FP32) as floats, ExportPool(1, target=INT8) as integers:
        pools = {FP32: floats, INT8: integers}
        futures = {name: pools[case.target].submit(case.plan, folder, seed=0) for name, case in CASES.items()}
        return {name: future.result() for name, future in futures.items()}


class EnvironmentTransport(LocalTransport):
    """This machine's agent in an environment of its own, as it would be on a board."""

    def __init__(self, python: str, state: Path) -> None:
        super().__init__(state)
        self._agent = [python, "-P", "-m", "hytnas_agent", "--state", str(state), "connect"]

    def connect(self) -> PipeConnection:
        return PipeConnection([*self._agent, "--idle-exit-s", "60"], {})


@pytest.fixture(scope="session")
def open_device(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], AgentDevice]]:
    """The device with this runtime, its lease taken."""
    os.environ["XDG_STATE_HOME"] = str(tmp_path_factory.mktemp("state-home"))
    opened: dict[str, AgentDevice] = {}

    def make(runtime: str) -> AgentDevice:
        if runtime not in opened:
            transport = EnvironmentTransport(PYTHONS[runtime], tmp_path_factory.mktemp("agent"))
            opened[runtime] = AgentDevice(runtime, transport, client_id="tester", shares_processor=True)
            opened[runtime].acquire("test")
        return opened[runtime]

    yield make
    for device in opened.values():
        pid = device.hello().agent_pid
        device.close()
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
