"""Models made by hand, a state folder, and a client that talks to a real server."""

import hashlib
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tests.calm_agent import COMMAND as CALM_AGENT
from tests.calm_agent import RUNTIMES_VARIABLE

from hytnas_agent import protocol, wire
from hytnas_agent.connect import open_socket
from hytnas_agent.device.governor import governor_file
from hytnas_agent.paths import StateFolder
from hytnas_agent.records import MeasureJob, MeasureSettings, Outcome, ProcessResult, Reference
from hytnas_agent.statistics import median
from hytnas_agent.supervisor import JobFiles

WAIT_S = 60.0
LATE = {Outcome.TIMEOUT, Outcome.THROTTLED}
"""What running out of time is called, by whether this machine was left alone meanwhile."""
QUICK = MeasureSettings(
    warmup_window=2, warmup_max_runs=4, min_runs=3, max_runs=5, timed_budget_s=0.0, deadline_s=60.0
)


def wait_until(condition: Callable[[], object]) -> None:
    """Poll for something another process does; fails after a minute."""
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def save_model(path: Path, nodes: list[onnx.NodeProto], inputs: list, outputs: list, weights: dict) -> Path:
    graph = helper.make_graph(
        nodes,
        "made-by-hand",
        [helper.make_tensor_value_info(name, kind, shape) for name, kind, shape in inputs],
        [helper.make_tensor_value_info(name, kind, shape) for name, kind, shape in outputs],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("example.org", 1)],
        ir_version=8,
    )
    onnx.save(model, path)
    return path


def save_endless_model(path: Path) -> Path:
    """A Loop that counts to 2^62."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go_in"], ["go_out"]),
            helper.make_node("Add", ["sum_in", "sum_in"], ["sum_out"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("step", TensorProto.INT64, []),
            helper.make_tensor_value_info("go_in", TensorProto.BOOL, []),
            helper.make_tensor_value_info("sum_in", TensorProto.FLOAT, [1, 4]),
        ],
        [
            helper.make_tensor_value_info("go_out", TensorProto.BOOL, []),
            helper.make_tensor_value_info("sum_out", TensorProto.FLOAT, [1, 4]),
        ],
    )
    loop = helper.make_node("Loop", ["trips", "go", "x"], ["y"], body=body)
    return save_model(
        path,
        [loop],
        [("x", TensorProto.FLOAT, [1, 4])],
        [("y", TensorProto.FLOAT, [1, 4])],
        {"trips": np.array(2**62, np.int64), "go": np.array(True)},
    )


def save_huge_model(path: Path, gibibytes: int = 10) -> Path:
    """An intermediate tensor of so many GiB, of a file of a few hundred bytes."""
    shape = np.array([gibibytes * 1024, 1024, 256], np.int64)
    nodes = [
        helper.make_node("Expand", ["x", "shape"], ["huge"]),
        helper.make_node("Exp", ["huge"], ["more"]),
        helper.make_node("ReduceSum", ["more"], ["y"], keepdims=0),
    ]
    inputs = [("x", TensorProto.FLOAT, [1, 1, 1])]
    return save_model(path, nodes, inputs, [("y", TensorProto.FLOAT, [])], {"shape": shape})


@dataclass(frozen=True)
class Models:
    """Files that a device may be given."""

    tiny: Path
    corrupt: Path
    huge: Path
    endless: Path
    free_batch: Path
    free_width: Path
    unknown_operator: Path
    inputs: Path
    outputs: Path
    reference: Reference


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    folder = tmp_path_factory.mktemp("models")
    rng = np.random.default_rng(20)
    weight = rng.standard_normal((4, 3, 3, 3), dtype=np.float32)
    conv = [helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])]

    def convolution(name: str, shape: list[int | str]) -> Path:
        out = [shape[0], 4, *shape[2:]]
        ends = [("x", TensorProto.FLOAT, shape)], [("y", TensorProto.FLOAT, out)]
        return save_model(folder / name, conv, *ends, {"w": weight})

    tiny = convolution("tiny.onnx", [1, 3, 8, 8])
    corrupt = folder / "corrupt.onnx"
    corrupt.write_bytes(tiny.read_bytes()[:-90] + b"\xff" * 50)
    unknown = folder / "unknown.onnx"
    save_model(
        unknown,
        [helper.make_node("NoSuchOperator", ["x"], ["y"], domain="example.org")],
        [("x", TensorProto.FLOAT, [1, 4])],
        [("y", TensorProto.FLOAT, [1, 4])],
        {},
    )
    inputs, outputs = folder / "inputs.npz", folder / "outputs.npz"
    cases = rng.standard_normal((3, 3, 8, 8), dtype=np.float32)
    expected = np.stack([convolve(case, weight) for case in cases])
    np.savez(inputs, input_0=cases)
    np.savez(outputs, output_0=expected)
    reference = Reference(sha256(inputs), sha256(outputs), spread=float(expected.std()))
    return Models(
        tiny,
        corrupt,
        save_huge_model(folder / "huge.onnx"),
        save_endless_model(folder / "endless.onnx"),
        convolution("free-batch.onnx", ["n", 3, 8, 8]),
        convolution("free-width.onnx", [1, 3, 8, "width"]),
        unknown,
        inputs,
        outputs,
        reference,
    )


def convolve(image: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """A 3x3 convolution with zero padding, written as plainly as can be."""
    padded = np.pad(image.astype(np.float64), ((0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    return np.einsum("chwij,ocij->ohw", windows, weight.astype(np.float64))


@pytest.fixture(scope="session", autouse=True)
def runtimes_are_tried_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What the tests' agents find out about runtimes is kept between them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(RUNTIMES_VARIABLE, str(tmp_path_factory.mktemp("runtimes") / "runtimes.json"))
        yield


@pytest.fixture
def state() -> Iterator[StateFolder]:
    """A state folder with a path short enough for a socket; its server is stopped at the end."""
    root = Path(tempfile.mkdtemp(prefix="hyt"))
    folder = StateFolder(root / "s").create()
    yield folder
    while _SERVERS:
        server = _SERVERS.pop()
        server.kill()
        server.wait()
    while (pid := server_pid(folder)) is not None:  # one that was on its way up may come after it
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda killed=pid: server_pid(folder) != killed)
    shutil.rmtree(root)


def make_cores(root: Path, *cores: str) -> Path:
    """A made-up /sys whose cores are governed by ``ondemand`` and could be by ``performance``."""
    for core in cores:
        file = governor_file(core, root)
        file.parent.mkdir(parents=True)
        file.write_text("ondemand\n")
        (file.parent / "scaling_available_governors").write_text("ondemand performance\n")
    return root


def server_pid(state: StateFolder) -> int | None:
    """The process id of the server, if one answers."""
    sock = open_socket(state)
    if sock is None:
        return None
    sock.close()
    return int(state.server_lock.read_text())


@dataclass
class AgentUnderTest:
    """A connection to the server of a state folder, which is started if need be."""

    state: StateFolder
    sock: socket.socket
    client_id: str = "client"
    notes: list[protocol.Progress] = field(default_factory=list)
    token: int = -1
    sent: int = 0

    def __post_init__(self) -> None:
        self.sock.settimeout(WAIT_S)
        self._splitter = wire.LineSplitter()
        self._lines: list[bytes] = []

    def send(self, method: str, params: msgspec.Struct) -> int:
        self.sent += 1
        self.sock.sendall(wire.encode_request(self.sent, method, params))
        return self.sent

    def receive(self) -> wire.Response:
        while True:
            while not self._lines:
                data = self.sock.recv(1 << 16)
                if not data:
                    raise EOFError("the agent closed the connection")
                self._lines += [line for line in self._splitter.feed(data) if line is not None]
            reply = wire.decode_reply(self._lines.pop(0))
            if isinstance(reply, wire.Response):
                return reply
            self.notes.append(msgspec.json.decode(reply.params, type=protocol.Progress))

    def ask(self, method: str, params: msgspec.Struct) -> msgspec.Struct:
        wanted = self.send(method, params)
        response = self.receive()
        assert response.id == wanted
        return wire.decode_result(response, protocol.METHODS[method][1])

    def hello(self, **changes: object) -> protocol.HelloResult:
        params = protocol.HelloParams(1, 0, self.client_id, f"{self.client_id}@test", os.getpid())
        return self.ask("hello", msgspec.structs.replace(params, **changes))

    def acquire(self, **changes: object) -> int:
        self.token = self.ask("acquire", protocol.AcquireParams("testing", **changes)).token
        return self.token

    def upload(self, path: Path) -> protocol.SpoolCommitResult:
        name = sha256(path) + path.suffix
        shutil.copy(path, self.state.incoming / "upload")
        return self.ask("spool_commit", protocol.SpoolCommitParams("upload", name, path.stat().st_size))

    def measure(self, job: MeasureJob) -> protocol.MeasureResult:
        return self.ask("measure", protocol.MeasureParams(job, self.token))

    def close(self) -> None:
        self.sock.close()


@pytest.fixture
def connect(state: StateFolder) -> Iterator[Callable[..., AgentUnderTest]]:
    """Makes clients of the server of ``state``, started by the first; says hello unless told not to."""
    opened: list[AgentUnderTest] = []

    def make(client_id: str = "client", *, hello: bool = True, idle_exit_s: float | None = None):
        if server_pid(state) is None:
            start_server(state, idle_exit_s)
        agent = AgentUnderTest(state, open_socket(state), client_id)
        opened.append(agent)
        if hello:
            agent.hello()
        return agent

    yield make
    for agent in opened:
        agent.close()


_SERVERS: list[subprocess.Popen[bytes]] = []


def start_server(
    state: StateFolder, idle_exit_s: float | None = None, *options: str
) -> subprocess.Popen[bytes]:
    """A calm server as a child of the test, ended and collected with the state folder."""
    command = [*CALM_AGENT, "--state", str(state.root), "serve", *options]
    command += ["--idle-exit-s", str(idle_exit_s)] if idle_exit_s is not None else []
    server = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    _SERVERS.append(server)
    wait_until(lambda: server_pid(state) is not None)
    return server


def start_endless(agent: AgentUnderTest, models: Models, job_id: str = "endless") -> int:
    """Send an endless job and wait until its process runs; the id of the request."""
    request = agent.send("measure", protocol.MeasureParams(make_job(models.endless, job_id), agent.token))
    worker_of(agent.state, job_id)
    return request


def worker_of(state: StateFolder, job_id: str) -> int:
    """The process id of the server's worker, once the journal says that the job began."""
    database = sqlite3.connect(state.journal)

    def begun() -> bool:
        return bool(database.execute("SELECT 1 FROM jobs WHERE job_id = ?", (job_id,)).fetchone())

    wait_until(lambda: begun() and workers(state))
    database.close()
    return workers(state)[0]


def workers(state: StateFolder) -> list[int]:
    tasks = Path(f"/proc/{server_pid(state)}/task").iterdir()
    children = [int(pid) for task in tasks for pid in (task / "children").read_text().split()]
    return [pid for pid in children if b"hytnas_agent.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def make_job(
    path: Path, job_id: str = "job", settings: MeasureSettings = QUICK, **fields: object
) -> MeasureJob:
    return MeasureJob(job_id, sha256(path), "onnx", settings, **fields)


def make_files(path: Path, models: Models | None = None) -> JobFiles:
    return JobFiles(path, models.inputs, models.outputs) if models else JobFiles(path)


def make_result(samples: tuple[float, ...] = (), **fields: object) -> ProcessResult:
    values: dict[str, object] = {
        "job_id": "job",
        "model_sha256": "0" * 64,
        "measure_pass": "timed",
        "outcome": Outcome.OK,
        "settings": QUICK,
        "started_unix_s": 1.0,
        "wall_s": 1.0,
        "agent_version": "0",
        "identity": protocol.DeviceIdentity("id", "host"),
        "samples_ms": samples,
        "median_ms": median(samples) if samples else None,
    }
    return ProcessResult(**(values | fields))
