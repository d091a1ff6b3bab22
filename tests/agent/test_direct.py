"""Measuring a file without a server: what is measured again, and what stands."""

import hashlib
import os
import signal
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from hytnas_agent import direct
from hytnas_agent.cli import main
from hytnas_agent.errors import AgentError
from hytnas_agent.paths import StateFolder
from hytnas_agent.records import MeasureJob, MeasureSettings, ProcessResult, Verdict
from hytnas_agent.runtimes.identity import model_identity

from .conftest import Models, make_result

DISTURBED = Verdict("INVALID", ("other processes took 50% of core 3",))


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, Verdict]]:
    """The median and verdict of each timed process in order; what is left of them at the end."""
    left: list[tuple[float, Verdict]] = []

    def run_job(job: MeasureJob, *_: object, **__: object) -> ProcessResult:
        if job.measure_pass != "timed":
            return make_result(measure_pass=job.measure_pass)
        median_ms, verdict = left.pop(0)
        return make_result((median_ms,) * 3, median_ms=median_ms, verdict=verdict)

    monkeypatch.setattr(direct, "run_job", run_job)
    return left


def measured(
    models: Models, state: StateFolder, answers: Sequence[tuple[float, Verdict]]
) -> direct.Measurement:
    done: list[tuple[int, int]] = []
    measurement = direct.measure_file(
        models.tiny,
        state,
        MeasureSettings(),
        processes=3,
        on_result=lambda number, total: done.append((number, total)),
    )
    assert not answers
    assert done[-1] == (len(measurement.results), len(measurement.results))
    return measurement


def test_a_disturbed_process_is_measured_again_after_the_others(
    models: Models, state: StateFolder, answers: list[tuple[float, Verdict]]
) -> None:
    valid = Verdict("VALID")
    answers += [(1.0, valid), (9.0, DISTURBED), (1.2, valid), (1.1, valid)]
    measurement = measured(models, state, answers)
    assert measurement.label.process_medians_ms == (1.0, 1.1, 1.2)
    assert measurement.label.disturbed_processes == 0
    kept = [result.median_ms for result in measurement.results if result.measure_pass == "timed"]
    assert kept == [1.0, 9.0, 1.1, 1.2]


def test_where_it_is_never_quiet_the_fastest_attempt_stands_and_says_so(
    models: Models, state: StateFolder, answers: list[tuple[float, Verdict]]
) -> None:
    answers += [(20.0 - number, DISTURBED) for number in range(8)]  # three, and five further attempts
    label = measured(models, state, answers).label
    assert label.process_medians_ms == (13.0,)
    assert label.disturbed_processes == 3
    assert "3 of 3 processes were disturbed: other processes took 50% of core 3" in label.message


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_end_puts_back_what_was_set(
    models: Models, state: StateFolder, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    restored: list[bool] = []

    def signalled(*_: object, **__: object) -> ProcessResult:
        signal.raise_signal(number)
        raise AssertionError

    def refuse(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(direct, "run_job", signalled)
    monkeypatch.setattr(direct.PinnedGovernors, "restore", lambda _: restored.append(True))
    before = signal.signal(number, refuse)
    try:
        assert main(["measure", str(models.tiny), "--state", str(state.root)]) == 1
        assert signal.getsignal(number) == refuse
    finally:
        signal.signal(number, before)
    assert restored == [True]


def kept_apart(folder: Path, weights: float) -> Path:
    w = numpy_helper.from_array(np.full((4, 4), weights, np.float32), "w")
    x, y = (helper.make_tensor_value_info(name, 1, [1, 4]) for name in "xy")
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", [x], [y], [w])
    path = folder / "net.onnx"
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path, save_as_external_data=True, location="w.data", size_threshold=0)
    return path


def test_the_identity_of_a_model_covers_the_weights_beside_it(
    models: Models, state: StateFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def run_job(job: MeasureJob, *_: object, **__: object) -> ProcessResult:
        seen.append(job.model_sha256)
        return make_result(measure_pass=job.measure_pass)

    monkeypatch.setattr(direct, "run_job", run_job)
    graphs = set()
    for weights in (1.0, 2.0):
        path = kept_apart(tmp_path, weights)
        graphs.add(path.read_bytes())
        direct.measure_file(path, state, MeasureSettings(), processes=1)
        (tmp_path / "w.data").unlink()
    assert len(graphs) == 1
    assert len(set(seen)) == 2
    with pytest.raises(AgentError, match="cannot be read: No such file"):
        direct.measure_file(path, state, MeasureSettings())
    kept_apart(tmp_path, 1.0)
    assert model_identity(path, "onnx") == seen[0], "what the worker checks it against"
    direct.measure_file(models.tiny, state, MeasureSettings(), processes=1)
    assert seen[-1] == hashlib.sha256(models.tiny.read_bytes()).hexdigest()


def test_a_pipe_and_a_name_that_is_no_text_are_clear_errors(state: StateFolder, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.onnx")
    with pytest.raises(AgentError, match="no regular file"):
        direct.measure_file(tmp_path / "pipe.onnx", state, MeasureSettings())
    with pytest.raises(AgentError, match="is not UTF-8"):
        direct.measure_file(tmp_path / os.fsdecode(b"\xff.onnx"), state, MeasureSettings())
