"""An agent of its own for each test, and small models to measure."""

import hashlib
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from hytnas_host.devices.client import AgentDevice
from hytnas_host.devices.transport import Transport

from .calm import CalmTransport


@pytest.fixture(autouse=True)
def own_state_home(tmp_path, monkeypatch) -> None:
    """Locks and identities of these tests are not the user's."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state-home"))


@pytest.fixture(params=["local"])
def transport(request, tmp_path) -> Transport:
    """Every transport the host knows; each starts an agent of its own."""
    assert request.param == "local"
    return CalmTransport(tmp_path / "agent")


@pytest.fixture
def open_device(transport) -> Iterator[Callable[..., AgentDevice]]:
    """Opens any number of clients of one agent, which ends with the test."""
    opened: list[AgentDevice] = []

    def make(client_id: str = "tester", **more) -> AgentDevice:
        device = AgentDevice("tested", transport, client_id=client_id, shares_processor=True, **more)
        opened.append(device)
        return device

    yield make
    for device in opened:
        device.close()
    if opened:
        with AgentDevice("tested", transport, client_id="the end", shares_processor=True) as last:
            os.kill(last.hello().agent_pid, signal.SIGTERM)


def write_product(folder: Path, width: int) -> tuple[Path, str]:
    """A matrix product of (1, width) by (width, width) as an ONNX file, and its hash."""
    weights = np.random.default_rng(0).normal(size=(width, width)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "product",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, width])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, width])],
        [numpy_helper.from_array(weights, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    content = model.SerializeToString()
    sha256 = hashlib.sha256(content).hexdigest()
    path = folder / f"{sha256}.onnx"
    path.write_bytes(content)
    onnx.checker.check_model(model)
    return path, sha256


@pytest.fixture
def write_model() -> Callable[[Path, int], tuple[Path, str]]:
    return write_product


@pytest.fixture
def model(tmp_path) -> tuple[Path, str]:
    return write_product(tmp_path, 16)
