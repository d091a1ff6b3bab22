"""The profiler's events, made up and real."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hytnas_agent.records import Outcome
from hytnas_agent.runtimes.base import RuntimeFailure
from hytnas_agent.runtimes.onnx_profile import (
    MAX_NAME_CHARACTERS,
    MAX_OPERATORS,
    interquartile_mean,
    profile_of,
    read_profile,
)
from hytnas_agent.runtimes.registry import create


def node(name: str, dur: float, kind: str = "Conv") -> dict[str, Any]:
    return {"cat": "Node", "name": f"{name}_kernel_time", "dur": dur, "args": {"op_name": kind}}


def run(*nodes: dict[str, Any], dur: float) -> list[dict[str, Any]]:
    return [*nodes, {"cat": "Session", "name": "model_run", "dur": dur}]


def test_operators_are_averaged_over_the_runs_that_count() -> None:
    events = [
        {"cat": "Session", "name": "session_initialization", "dur": 9000},
        *run(node("/a", 500), node("/b", 900), dur=5000),
        *run(node("/a", 10), node("/b", 20, "Gemm"), dur=40),
        *run(node("/a", 12), node("/b", 22, "Gemm"), dur=44),
    ]
    profile = profile_of(events, skip_runs=1)
    assert profile.runs == 2
    assert [(o.name, o.op_type, o.time_us) for o in profile.operators] == [
        ("/a", "Conv", 11),
        ("/b", "Gemm", 21),
    ]
    assert profile.run_ms == pytest.approx(0.042)
    assert profile.kernel_ms == pytest.approx(0.032)
    assert profile.outside_ms == pytest.approx(0.010)


def test_calls_of_one_operator_in_a_run_are_added_and_a_loop_is_not_counted_twice() -> None:
    events = run(node("body", 3), node("body", 4), node("loop", 9, "Loop"), dur=12)
    (operator,) = profile_of(events, 0).operators
    assert (operator.name, operator.time_us) == ("body", 7)


def test_what_is_no_kernel_of_an_operator_is_left_out() -> None:
    fence = {"cat": "Node", "name": "/a_fence_before", "dur": 7, "args": {"op_name": "Conv"}}
    session = {"cat": "Session", "name": "SequentialExecutor::Execute", "dur": 11}
    profile = profile_of(run(fence, node("/a", 3), session, dur=12), 0)
    assert profile.kernel_ms == pytest.approx(0.003)


@pytest.mark.parametrize("events", [[], run(dur=3), run(node("/a", 1), dur=2)])
def test_a_profile_without_a_run_that_counts_is_of_no_use(events: list[dict[str, Any]]) -> None:
    with pytest.raises(RuntimeFailure, match="no operator") as raised:
        profile_of(events, skip_runs=1 if len(events) == 2 else 0)
    assert raised.value.outcome is Outcome.UNSUPPORTED


def test_too_many_operators_are_refused_and_long_names_cut() -> None:
    with pytest.raises(RuntimeFailure, match="more than"):
        profile_of(run(*(node(str(i), 1) for i in range(MAX_OPERATORS + 1)), dur=9), 0)
    (operator,) = profile_of(run(node("x" * 9999, 1, "y" * 9999), dur=9), 0).operators
    assert len(operator.name) == len(operator.op_type) == MAX_NAME_CHARACTERS


@pytest.mark.parametrize("content", [b"", b"[", b'{"a": 1}', b"[1, 2]"])
def test_a_damaged_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "profile.json"
    path.write_bytes(content)
    with pytest.raises(RuntimeFailure, match="cannot be read"):
        read_profile(path, 0)


def test_the_profiler_tells_of_every_operator(tmp_path: Path) -> None:
    runtime = create("onnxruntime")
    path = tmp_path / "tiny.onnx"
    path.write_bytes(runtime.tiny_model)
    model = runtime.load_profiled(path, threads=1, folder=tmp_path)
    for _ in range(4):
        model.run([np.ones((1, 4), np.float32)])
    profile = model.end_profile(skip_runs=1)
    assert profile.runs == 3
    assert [operator.op_type for operator in profile.operators] == ["Relu"]
    assert 0 <= profile.kernel_ms <= profile.run_ms
    (written,) = tmp_path.glob("profile*.json")
    assert json.loads(written.read_text())


@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_the_interquartile_mean_lies_among_the_middle_half(values: list[float]) -> None:
    ordered = sorted(values)
    cut = len(values) // 4
    low, high = ordered[cut], ordered[len(values) - 1 - cut]
    assert low * (1 - 1e-9) <= interquartile_mean(values) <= high * (1 + 1e-9)


def test_the_interquartile_mean_ignores_a_few_outliers() -> None:
    assert interquartile_mean([2.0, 3.0, 3.0, 2.0, 3.0, 2.0, 8073.0, 9.0]) == pytest.approx(2.75)
