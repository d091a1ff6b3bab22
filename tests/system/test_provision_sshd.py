"""Provisioning over a real sshd: the board is this machine, with a home folder of its own."""

import hashlib
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from typer.testing import CliRunner, Result

from hytnas_agent import __version__
from hytnas_agent.records import MeasureJob, MeasureSettings, Outcome, ProcessResult
from hytnas_host.cli.app import app
from hytnas_host.devices import open_device
from hytnas_host.devices.inventory import DeviceEntry, Inventory

from .ssh.server import SshServer
from .wheels import build_wheel

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]

QUICK = MeasureSettings(warmup_max_runs=4, warmup_window=2, min_runs=3, max_runs=5, timed_budget_s=0.0)


@pytest.fixture
def home() -> Iterator[Path]:
    """The board's home folder; its path is short enough for a socket."""
    folder = Path(tempfile.mkdtemp(prefix="hyt"))
    yield folder
    agent = folder / ".local/share/hytnas/current/bin/hytnas-agent"
    if agent.exists():
        state = folder / ".local/state/hytnas-agent"
        subprocess.run([agent, "--state", state, "stop"], check=True, capture_output=True, timeout=120)
    shutil.rmtree(folder)


@pytest.fixture
def board(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SshServer]:
    """An sshd whose users live in ``home``, enrolled as `board`."""
    monkeypatch.setenv("HYTNAS_DEVICES", str(tmp_path / "devices.toml"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    folder = tmp_path / "sshd"
    folder.mkdir()
    with SshServer(folder, home) as sshd:
        entry = DeviceEntry(
            name="board",
            host=sshd.host,
            port=sshd.port,
            user=sshd.user,
            host_key=str(sshd.host_key),
            key_files=(str(sshd.key_file),),
        )
        Inventory().put(entry)
        yield sshd


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of this very toolkit."""
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def newer_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of this very toolkit with another version."""
    return build_wheel(tmp_path_factory.mktemp("newer"), "99.0.0")


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3, 8, 8])],
    )
    path = tmp_path / "tiny.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def profile(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def provision(*words: str | Path) -> Result:
    done = profile("device", "provision", "board", "--python", sys.executable, *words)
    assert done.exit_code == 0, done.output
    return done


def measure(model: Path, job_id: str) -> ProcessResult:
    sha256 = hashlib.sha256(model.read_bytes()).hexdigest()
    with open_device("board") as device:
        device.acquire("testing")
        device.push(model, sha256, ".onnx")
        result = device.measure(MeasureJob(job_id, sha256, "onnx", QUICK))
        device.acknowledge([job_id])
    return result


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if not path.is_dir()]


def test_a_board_is_provisioned_measures_is_upgraded_and_left_as_it_was(
    board: SshServer, home: Path, tiny: Path, wheel: Path, newer_wheel: Path
) -> None:
    told = provision("--wheel", wheel, "--runtime", "onnxruntime")
    assert f"board has agent {__version__} now, with onnxruntime 1.26.0" in told.output
    entry = Inventory().get("board")
    assert entry.agent == (f"{home}/.local/share/hytnas/current/bin/hytnas-agent",)
    assert entry.provisioned_at is not None
    first = measure(tiny, "first")
    assert (first.outcome, first.agent_version) == (Outcome.OK, __version__)
    assert np.isfinite(first.samples_ms).all()

    assert "nothing to do" in provision("--wheel", wheel).output

    # Nothing is copied or installed while somebody has the device.
    with open_device("board") as device:
        device.acquire("latencies of somebody")
        Inventory().put(msgspec.structs.replace(entry, agent=()))  # as on a host that only has enrolled it
        refused = profile("device", "provision", "board", "--python", sys.executable, "--wheel", newer_wheel)
    assert refused.exit_code == 1
    assert "latencies of somebody" in str(refused.output) + str(refused.exception)
    assert "99.0.0" not in " ".join(map(str, files_in(home)))

    # The agent that runs is stopped, and the next question starts the new one.
    assert "agent 99.0.0 now" in provision("--wheel", newer_wheel).output
    second = measure(tiny, "second")
    assert (second.outcome, second.agent_version) == (Outcome.OK, "99.0.0")
    assert Inventory().get("board").agent == entry.agent
    assert len(list((home / ".local/share/hytnas/environments").iterdir())) == 2

    removed = profile("device", "unprovision", "board", "--python", sys.executable)
    assert removed.exit_code == 0, removed.output
    assert files_in(home) == []
    assert Inventory().get("board").agent == ()


@pytest.mark.parametrize(
    "moment",
    [
        "wheels/*/numpy*.part",
        "environments/*/pyvenv.cfg",
        "environments/*/lib/python*/site-packages/numpy",
        "environments/*/hytnas.json",
    ],
)
def test_a_board_that_goes_away_in_the_middle_is_gone_on_with(
    board: SshServer, home: Path, wheel: Path, moment: str
) -> None:
    """It is off the network as soon as this is there, while it is copied, made, filled or complete.

    A connection that was merely cut between two commands would be made anew without a word.
    """
    root = home / ".local/share/hytnas"
    cut = threading.Event()

    def cut_in_time() -> None:
        while not list(root.glob(moment)):
            if cut.wait(0.001):
                return
        board.stop()

    watcher = threading.Thread(target=cut_in_time)
    watcher.start()
    words = ("device", "provision", "board", "--python", sys.executable, "--runtime", "onnxruntime")
    broken = profile(*words, "--wheel", wheel)
    cut.set()
    watcher.join()
    board.start()
    assert broken.exit_code == 1
    assert "Run the same command again" in str(broken.output) + str(broken.exception)
    assert not (root / "current").exists() or (root / "current/hytnas.json").exists()
    assert "now, with onnxruntime" in provision("--wheel", wheel, "--runtime", "onnxruntime").output
    assert "nothing to do" in provision("--wheel", wheel).output
    assert len(list((root / "environments").iterdir())) == 1
    with open_device("board") as device:
        assert device.describe().agent_version == __version__
