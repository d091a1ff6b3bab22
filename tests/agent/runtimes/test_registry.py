"""Runtimes of other packages: found after the bundled ones, and told of where they are broken."""

import re
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from hytnas_agent.device.doctor import check_runtimes
from hytnas_agent.records import Outcome
from hytnas_agent.runtimes.base import RuntimeEntry, RuntimeFailure
from hytnas_agent.runtimes.probe import probe_runtime, probe_runtimes, try_here
from hytnas_agent.runtimes.registry import RUNTIMES, candidates, create
from hytnas_agent.throwaway import Died

OFFERED = RuntimeEntry("no_such_adapter:Runtime", "my-runtime", ("onnx",))


@pytest.fixture
def offered(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [
        EntryPoint("mine", "json:JSONDecoder", RUNTIMES.group),
        EntryPoint("broken", "no_such_module:ENTRY", RUNTIMES.group),
    ]
    monkeypatch.setattr("json.JSONDecoder", OFFERED)
    monkeypatch.setattr(
        "hytnas_agent.registry._entry_points", lambda group: points if group == RUNTIMES.group else []
    )
    monkeypatch.setattr(RUNTIMES, "_loaded", {})


@pytest.mark.usefixtures("offered")
def test_bundled_ones_are_preferred_and_broken_ones_left_out() -> None:
    assert list(candidates("onnx")) == ["onnxruntime", "mine"]
    assert list(candidates("tflite")) == ["ai-edge-litert", "tflite-runtime"]
    assert list(candidates("onnx", "mine")) == ["mine"]


@pytest.mark.usefixtures("offered")
def test_a_broken_one_is_named_when_it_is_asked_for() -> None:
    with pytest.raises(RuntimeFailure, match="no_such_module") as raised:
        list(candidates("onnx", "broken"))
    assert raised.value.outcome is Outcome.UNSUPPORTED
    with pytest.raises(RuntimeFailure, match=r"mine is not usable .*no_such_adapter.* comes with my-runtime"):
        create("mine")


@pytest.mark.usefixtures("offered")
def test_the_doctor_tells_of_a_broken_one() -> None:
    info = try_here("broken")
    assert not info.usable
    (check,) = check_runtimes([info])
    assert check.status == "fail"
    assert "no_such_module" in check.found
    assert check.advice == "Repair or remove the package that brings it"


@pytest.mark.usefixtures("offered")
def test_all_are_tried_once(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setattr("hytnas_agent.runtimes.probe.probe_runtime", try_here)
    found = {info.name: info for info in probe_runtimes(tmp_path / "runtimes.json")}
    assert set(found) == {"onnxruntime", "ai-edge-litert", "tflite-runtime", "mine", "broken"}
    assert not found["mine"].usable
    assert "my-runtime" in found["mine"].reason


def test_no_process_is_started_for_a_bundled_one_that_is_not_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("hytnas_agent.runtimes.probe.run_apart", lambda *_, **__: pytest.fail("a process"))
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setattr(sys, "path_importer_cache", {})
    for name in RUNTIMES.bundled:
        monkeypatch.delitem(sys.modules, RUNTIMES.get(name).module, raising=False)
        info = probe_runtime(name)
        assert (info.usable, info.version, info.formats) == (False, "", RUNTIMES.get(name).formats)
        assert re.search(rf"{name} is not installed.* comes with hytnas\[\w+\]$", info.reason)


def test_what_ends_its_own_process_is_not_imported_into_another(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "deadly.py").write_text("raise SystemExit(3)")
    monkeypatch.syspath_prepend(tmp_path)
    points = (EntryPoint("deadly", "deadly:ENTRY", RUNTIMES.group),)
    monkeypatch.setattr("hytnas_agent.registry._entry_points", lambda group: points)

    def die(*_: object, **__: object) -> None:
        raise Died("the process was killed by SIGSEGV")

    monkeypatch.setattr("hytnas_agent.runtimes.probe.run_apart", die)
    info = probe_runtime("deadly")
    assert (info.usable, info.formats) == (False, ())
    assert "SIGSEGV" in info.reason
