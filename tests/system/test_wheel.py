"""The wheel with its base dependencies alone gives a working agent; one extra gives it a runtime."""

import json
import os
import subprocess
import sys
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

pytestmark = pytest.mark.system

ROOT = Path(__file__).parents[2]
WORKSTATION_ONLY = (
    "torch",
    "pandas",
    "scipy",
    "sklearn",
    "xgboost",
    "lightgbm",
    "onnx",
    "typer",
    "rich",
    "matplotlib",
)

FIND = "import sys; from importlib.util import find_spec; print(*filter(find_spec, sys.argv[1:]))"


def run(*words: str | Path, state: Path | None = None, **options: object) -> subprocess.CompletedProcess[str]:
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "HYTNAS"))
    }
    if state is not None:
        environment["HYTNAS_AGENT_STATE"] = str(state)
    return subprocess.run(
        [str(word) for word in words],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
        timeout=240,
        **options,
    )  # type: ignore[call-overload, no-any-return]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    built = run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT)
    assert built.returncode == 0, built.stdout + built.stderr
    (found,) = folder.glob("hytnas-*.whl")
    return found


@pytest.fixture(scope="module")
def board(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` folder of an environment that holds the wheel and its base dependencies."""
    environment = tmp_path_factory.mktemp("board")
    assert run(sys.executable, "-m", "venv", "--without-pip", environment).returncode == 0
    install(environment, wheel)
    return environment / "bin"


def install(environment: Path, package: str | Path) -> None:
    """By the pip of these tests; nothing is compiled that is not run."""
    words = ("install", "--quiet", "--no-compile", package)
    installed = run(sys.executable, "-m", "pip", "--python", environment, *words)
    assert installed.returncode == 0, installed.stderr


@pytest.fixture
def model(tmp_path: Path) -> Path:
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3, 8, 8])],
    )
    path = tmp_path / "tiny.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def test_the_base_wheel_serves_without_the_workstation(board: Path, model: Path, tmp_path: Path) -> None:
    came_along = run(board / "python", "-c", FIND, *WORKSTATION_ONLY)
    assert (came_along.returncode, came_along.stdout.split()) == (0, []), came_along.stderr
    hello = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "hello",
        "params": {"protocol_major": 1, "protocol_minor": 0, "client_id": "wheel-test"},
    }
    state = tmp_path / "state"
    answered = run(
        board / "hytnas-agent", "connect", "--idle-exit-s", "5", state=state, input=json.dumps(hello) + "\n"
    )
    assert answered.returncode == 0, answered.stderr
    assert json.loads(answered.stdout.splitlines()[0])["result"]["protocol_major"] == 1
    assert (state / "agent.sock").stat().st_mode & 0o777 == 0o600

    without = run(board / "hytnas-agent", "measure", model, state=state)
    assert without.returncode == 1
    assert "hytnas[onnx]" in without.stdout
    assert "Traceback" not in without.stdout + without.stderr

    install(board.parent, "onnxruntime>=1.23")
    measured = run(board / "hytnas-agent", "measure", model, "--processes", "2", "--json", state=state)
    assert measured.returncode == 0, measured.stderr
    assert '"outcome": "OK"' in measured.stdout.replace('":"', '": "')


def test_the_wheel_carries_the_licence_and_the_report_templates(wheel: Path) -> None:
    listed = run(sys.executable, "-m", "zipfile", "-l", wheel).stdout
    assert "licenses/LICENSE" in listed
    assert "hytnas_host/report/templates/" in listed
    assert "hytnas_agent/py.typed" in listed
