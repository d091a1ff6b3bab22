"""The wiring of onnx2tf, with a stub in its place: the real one needs Python 3.12 and versions of its own."""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from hytnas_host.export import ExportError
from hytnas_host.export.onnx2tf import PYTHON_VARIABLE, convert_onnx2tf
from hytnas_host.models import build_network

STUB = """#!{python}
import json, os, sys
words = sys.argv[1:]
if words[0] == "-c":
    print("9.9.9")
    sys.exit()
print("a word to the terminal")
if {status}:
    print("Traceback", "ValueError: it cannot", "  and says more", sep="\\n", file=sys.stderr)
    sys.exit({status})
source, folder = (words[words.index(option) + 1] for option in ("-i", "-o"))
json.dump({{"words": words, "PYTHONPATH": os.environ.get("PYTHONPATH")}}, open({said!r}, "w"))
os.rename(source, {kept!r})
os.mkdir(folder)
if {writes}:
    open(os.path.join(folder, "network_float32.tflite"), "wb").write(b"made")
"""


@pytest.fixture
def network(plan):
    return build_network(plan, rng=np.random.default_rng(0))


@pytest.fixture
def stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def make(*, status: int = 0, writes: bool = True) -> Path:
        path = tmp_path / "python"
        said, kept = str(tmp_path / "said.json"), str(tmp_path / "kept.onnx")
        text = STUB.format(python=sys.executable, status=status, writes=writes, said=said, kept=kept)
        path.write_text(text)
        path.chmod(0o755)
        monkeypatch.setenv(PYTHON_VARIABLE, str(path))
        return tmp_path

    return make


def test_it_is_given_a_clean_model_and_its_file_is_taken(plan, network, stub, monkeypatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    folder = stub()
    conversion = convert_onnx2tf(network, plan)
    assert (conversion.content, conversion.version, conversion.channels_last) == (b"made", "9.9.9", True)
    said = json.loads((folder / "said.json").read_text())
    assert said["words"][:2] == ["-m", "onnx2tf"]
    assert said["words"][said["words"].index("-tb") + 1] == "flatbuffer_direct"
    assert said["PYTHONPATH"] is None
    model = onnx.load(folder / "kept.onnx")
    onnx.checker.check_model(model, full_check=True)
    shaped = {value.name for value in model.graph.value_info} | {value.name for value in model.graph.output}
    assert all(name in shaped for node in model.graph.node for name in node.output)


def test_the_exception_it_ends_with_is_the_reason(plan, network, stub) -> None:
    stub(status=3)
    with pytest.raises(ExportError, match=r"onnx2tf cannot convert network \w+: ValueError: it cannot"):
        convert_onnx2tf(network, plan)


def test_no_file_is_a_failure(plan, network, stub) -> None:
    stub(writes=False)
    with pytest.raises(ExportError, match=r"left no network_float32\.tflite"):
        convert_onnx2tf(network, plan)


def test_without_an_interpreter_the_variable_is_named(plan, network, monkeypatch) -> None:
    monkeypatch.delenv(PYTHON_VARIABLE, raising=False)
    with pytest.raises(ExportError, match=f"set {PYTHON_VARIABLE}"):
        convert_onnx2tf(network, plan)
    monkeypatch.setenv(PYTHON_VARIABLE, "/nowhere/python")
    with pytest.raises(ExportError, match="/nowhere/python cannot be started"):
        convert_onnx2tf(network, plan)
