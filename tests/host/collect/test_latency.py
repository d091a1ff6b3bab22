"""Collecting latencies with a real agent on this machine, and what may befall it."""

import contextlib
import hashlib
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from hytnas_agent.records import MeasureSettings, Outcome, ProcessResult
from hytnas_agent.runtimes.tflite import TINY_MODEL
from hytnas_datasets.plan import Task
from hytnas_datasets.spaces import get_space
from hytnas_datasets.store import Study
from hytnas_host.collect.errors import CollectError
from hytnas_host.collect.label_rows import rows_of_study
from hytnas_host.collect.latency import collect_files, collect_latency, measure_architectures
from hytnas_host.collect.options import MeasureOptions
from hytnas_host.devices.client import AgentDevice
from hytnas_host.devices.errors import DeviceError

from ..devices.calm import CalmTransport
from ..exports_here import PoolHere

QUICK = MeasureSettings(
    warmup_window=3, warmup_max_runs=6, min_runs=5, max_runs=5, timed_budget_s=0.01, deadline_s=60
)
TASK = Task(resolution=32)

# Collects the files of a folder; its arguments are the repository, study, agent state and folder.
PROGRAM = """
import sys
from pathlib import Path
from hytnas_agent.records import MeasureSettings
from hytnas_datasets.store import Study
from hytnas_host.collect.latency import collect_files
from hytnas_host.collect.options import MeasureOptions
from hytnas_host.devices.client import AgentDevice
sys.path.insert(0, sys.argv[1])
from tests.host.devices.calm import CalmTransport
study, state, folder = map(Path, sys.argv[2:])
settings = MeasureSettings(
    warmup_window=3, warmup_max_runs=6, min_runs=5, max_runs=5, timed_budget_s=0.01, deadline_s=60
)
device = AgentDevice("local", CalmTransport(state), client_id="me", shares_processor=True)
with Study.open(study) as opened, device:
    options = MeasureOptions(settings=settings, processes=2, window=3, canary_every=0)
    collect_files(opened, [device], folder, options=options)
"""


@pytest.fixture(autouse=True)
def own_state_home(tmp_path, monkeypatch) -> None:
    """Locks and identities of these tests are not the user's."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state-home"))


@pytest.fixture
def state(tmp_path) -> Iterator[Path]:
    """The state folder of an agent that ends with the test."""
    state = tmp_path / "agent"
    yield state
    device = open_local(state)
    pid = device.hello().agent_pid
    device.close()
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)


def open_local(state: Path) -> AgentDevice:
    return AgentDevice("local", CalmTransport(state), client_id="me", shares_processor=True)


@pytest.fixture
def study(tmp_path) -> Iterator[Study]:
    with Study.open(tmp_path / "study") as study:
        yield study


@pytest.fixture
def folder(tmp_path) -> Path:
    """Four small models."""
    folder = tmp_path / "models"
    folder.mkdir()
    for width in (8, 12, 16, 20):
        weights = np.random.default_rng(width).normal(size=(width, width)).astype(np.float32)
        graph = helper.make_graph(
            [helper.make_node("MatMul", ["x", "w"], ["y"])],
            "product",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, width])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, width])],
            [numpy_helper.from_array(weights, "w")],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        (folder / f"product-{width}.onnx").write_bytes(model.SerializeToString())
    return folder


def collect_quickly(study: Study, device: AgentDevice, folder: Path):
    options = MeasureOptions(settings=QUICK, processes=2, window=3, canary_every=0)
    return collect_files(study, [device], folder, options=options)


def slots(study: Study) -> dict[tuple[str, str, int], int]:
    """How often each process of each model is stored; disturbed attempts count as the one they stand for."""
    attempts: dict[tuple[str, str, int], list[bool]] = {}
    for sha256, results in study.results.by_model("latency").items():
        for replicate, result in results:
            if result.outcome is not Outcome.CANCELLED:
                undisturbed = result.verdict is None or result.verdict.usable
                attempts.setdefault((sha256, result.measure_pass, replicate), []).append(undisturbed)
    return {slot: sum(found) or 1 for slot, found in attempts.items()}


def assert_complete(study: Study, models: int = 4) -> None:
    """Every process of every model is stored once, all went well, and each model has its label."""
    counts = slots(study)
    assert set(counts.values()) == {1}
    assert Counter((kind, replicate) for _, kind, replicate in counts) == {
        ("timed", 0): models,
        ("timed", 1): models,
        ("memory", 0): models,
    }
    assert [each.label.outcome for each in study.labels.all("latency")] == [Outcome.OK] * models


def test_sample_is_exported_measured_labelled_and_verified_afresh(study, state, exports_here):
    space = get_space("hyt")
    options = MeasureOptions(settings=QUICK, processes=2, window=2, canary_every=3, drift_tolerance=100.0)
    with open_local(state) as device:
        summary = collect_latency(study, [device], space, 2, TASK, options=options)
        again = collect_latency(study, [device], space, 2, TASK, options=options)
        assert summary.outcomes == again.outcomes == {"OK": 2}
        assert summary.measured_jobs >= 6, "more where the machine disturbed some"
        assert (again.measured_jobs, again.resumed_jobs) == (0, 6)
        assert_complete(study, models=2)
        chosen = [architecture for architecture, _ in study.architectures.of("latency")][:1]
        fresh = measure_architectures(
            study,
            [device],
            chosen,
            TASK,
            purpose="verify",
            options=MeasureOptions(seed=1, settings=QUICK, processes=2, canary_every=0),
        )
    labelled = study.labelled("latency_ms", space=space)
    assert labelled.architectures == tuple(a for a, _ in study.architectures.of("latency"))
    medians = [each.label.process_medians_ms for each in study.labels.all("latency")]
    assert [tuple(repeats) for repeats in labelled.repeats] == medians
    assert all(1 <= len(each) <= 2 for each in medians), "fewer where the machine disturbed some"
    assert [architecture for architecture, _ in fresh] == chosen
    assert all(label.outcome is Outcome.OK for _, label in fresh)
    ids = {
        p: {r.job_id for m in study.results.by_model(p).values() for _, r in m} for p in ("latency", "verify")
    }
    assert ids["latency"].isdisjoint(ids["verify"])
    results = [result for model in study.results.by_model("latency").values() for _, result in model]
    assert all(r.parity is not None for r in results if r.measure_pass == "timed")
    assert len(study.results.canaries()) >= 2
    said = f"2 models (onnx fp32): 2 OK; {summary.measured_jobs} processes measured in"
    assert summary.describe().startswith(said)


def test_export_processes_end_with_the_last_export(study, exports_here, monkeypatch):
    ends: list[bool] = []
    ended_after: list[int] = []
    monkeypatch.setattr(PoolHere, "shutdown", lambda _, *, cancel: ends.append(cancel))

    def prepare_all(_study, _devices, source, *_, **__) -> None:
        for window in source.windows:
            assert len(window()) == 1
            ended_after.append(len(ends))
        raise DeviceError("it is gone")

    monkeypatch.setattr("hytnas_host.collect.latency.collect", prepare_all)
    with pytest.raises(DeviceError, match="gone"):
        collect_latency(study, [], get_space("hyt"), 2, TASK, options=MeasureOptions(window=1))
    assert (ended_after, ends) == ([0, 1], [False])


def test_damaged_file_is_a_record_and_the_others_go_on_kind_by_kind(study, state, folder):
    whole = (folder / "product-8.onnx").read_bytes()
    for width in (16, 20):
        (folder / f"product-{width}.onnx").unlink()
    half = onnx.load(folder / "product-12.onnx")
    for value in (*half.graph.input, *half.graph.output):
        value.type.tensor_type.elem_type = TensorProto.FLOAT16
    weights = numpy_helper.to_array(half.graph.initializer[0]).astype(np.float16)
    half.graph.initializer[0].CopyFrom(numpy_helper.from_array(weights, "w"))
    onnx.save(half, folder / "product-12.onnx")
    broken = onnx.load(folder / "product-8.onnx")
    broken.graph.node[0].input[0] = "absent"
    onnx.save(broken, folder / "damaged.onnx")
    (folder / "half.onnx").write_bytes(whole[: len(whole) // 2])
    (folder / "gone.onnx").symlink_to(folder / "nowhere")
    (folder / "tiny.tflite").write_bytes(TINY_MODEL)
    with open_local(state) as device:
        summary = collect_quickly(study, device, folder)
    assert [each.kind for each in summary.collections] == ["onnx fp16", "onnx fp32", "tflite fp32"]
    assert summary.outcomes == {"OK": 3, "INVALID_MODEL": 2, "not read": 1}
    rows = {row.file: row for row in summary.labels}
    assert {name: (row.kind, row.outcome) for name, row in rows.items()} == {
        "product-12.onnx": ("onnx fp16", "OK"),
        "damaged.onnx": ("onnx fp32", "INVALID_MODEL"),
        "gone.onnx": ("", "not read"),
        "half.onnx": ("", "INVALID_MODEL"),
        "product-8.onnx": ("onnx fp32", "OK"),
        "tiny.tflite": ("tflite fp32", "OK"),
    }
    assert "No such file" in rows["gone.onnx"].reason
    assert rows["damaged.onnx"].reason
    assert sorted(rows_of_study(study), key=str) == sorted(summary.labels, key=str)


def test_open_inputs_are_fixed_to_those_that_are_given(study, state, tmp_path):
    ids, y = (helper.make_tensor_value_info(name, TensorProto.INT64, [1, "length"]) for name in ("ids", "y"))
    one, table = numpy_helper.from_array(np.array(1), "one"), numpy_helper.from_array(np.arange(2), "table")
    nodes = [
        helper.make_node("Add", ["ids", "one"], ["n"]),
        helper.make_node("Gather", ["table", "n"], ["y"]),
    ]
    graph = helper.make_graph(nodes, "lookup", [ids], [y], [one, table])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "lookup.onnx")
    np.savez(tmp_path / "given.npz", ids=np.zeros((1, 6), np.int64))
    options = MeasureOptions(settings=QUICK, processes=1, memory_pass=False, canary_every=0)
    collect = partial(collect_files, study, folder_or_files=tmp_path / "lookup.onnx", options=options)
    with open_local(state) as device:
        (row,) = collect([device], inputs=tmp_path / "given.npz").labels
        with pytest.raises(CollectError, match="no model has an input 'image'"):
            collect([device], shapes={"image": (1, 3)})
        with pytest.raises(CollectError, match="cannot be read: No such file"):
            collect([device], inputs=tmp_path / "absent.npz")
    assert (row.outcome, row.shapes) == ("OK", "ids:1,6"), row.reason
    (result,) = (result for results in study.results.by_model("latency").values() for _, result in results)
    assert result.settings.inputs_sha256 == hashlib.sha256((tmp_path / "given.npz").read_bytes()).hexdigest()


def test_folder_without_models_is_refused_before_the_device_is_asked(study, tmp_path):
    with pytest.raises(CollectError, match="no model"):
        collect_quickly(study, open_local(tmp_path / "never-started"), tmp_path)


def start(study: Study, state: Path, folder: Path) -> subprocess.Popen[bytes]:
    arguments = [str(Path(__file__).parents[3]), str(study.folder), str(state), str(folder)]
    return subprocess.Popen([sys.executable, "-c", PROGRAM, *arguments], stderr=subprocess.PIPE)


def wait_for_results(study: Study, count: int, process: subprocess.Popen[bytes] | None = None) -> None:
    deadline = time.monotonic() + 120
    while sum(slots(study).values()) < count:
        assert process is None or process.poll() is None, process.stderr.read().decode()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def agent_attempts(state: Path) -> Counter[int]:
    with contextlib.closing(sqlite3.connect(state / "journal.sqlite")) as journal:
        return Counter(attempts for (attempts,) in journal.execute("SELECT attempts FROM jobs"))


def count_repeated(study: Study) -> int:
    """How many attempts of processes were followed by another one; each must have been disturbed."""
    attempts: dict[tuple[str, str, int], list[ProcessResult]] = {}
    for sha256, results in study.results.by_model("latency").items():
        for replicate, result in results:
            attempts.setdefault((sha256, result.measure_pass, replicate), []).append(result)
    repeated = [result for found in attempts.values() for result in found[:-1]]
    assert all(result.is_disturbed for result in repeated)
    return len(repeated)


def test_killed_host_goes_on_where_it_was(study, state, folder):
    process = start(study, state, folder)
    wait_for_results(study, 4, process)
    process.kill()
    process.communicate()
    process = start(study, state, folder)
    assert process.communicate(timeout=240)[1] == b""
    assert process.returncode == 0
    assert_complete(study)
    assert agent_attempts(state) == {1: 12 + count_repeated(study)}, "nothing was begun a second time"


def test_interrupted_host_frees_the_device_and_goes_on_where_it_was(study, state, folder):
    process = start(study, state, folder)
    wait_for_results(study, 3, process)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert b"KeyboardInterrupt" in said
    with open_local(state) as device:
        collect_quickly(study, device, folder)
    assert_complete(study)


def test_killed_agent_is_started_again_and_the_collection_completes(study, state, folder):
    with open_local(state) as device:
        pid = device.hello().agent_pid

        def kill() -> None:
            wait_for_results(study, 3)
            os.kill(pid, signal.SIGKILL)

        killer = threading.Thread(target=kill)
        killer.start()
        collect_quickly(study, device, folder)
        killer.join()
        assert device.hello().agent_pid != pid
    assert_complete(study)


def test_two_hosts_do_not_measure_on_one_device_at_once(study, state, folder, tmp_path):
    from hytnas_host.devices.errors import DeviceBusyError

    with open_local(state) as device, Study.open(tmp_path / "other") as other:
        device.acquire("something important")
        with open_local(state) as second, pytest.raises(DeviceBusyError, match="something important"):
            collect_quickly(other, second, folder)
