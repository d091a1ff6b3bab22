"""The export stage, with real exports of small networks."""

import signal
from concurrent.futures import Future
from multiprocessing import active_children
from pathlib import Path

import msgspec
import pytest

from hytnas_agent.errors import HytnasError
from hytnas_datasets.errors import StudyError
from hytnas_datasets.plan import LayerPlan, Task
from hytnas_datasets.spaces import get_space
from hytnas_datasets.store import Study
from hytnas_host.collect.exporting import Exporter, model_of
from hytnas_host.collect.sampling import sample_networks
from hytnas_host.export import ExportedModel, ExportError, ExportTarget
from hytnas_host.export.errors import NoRoomError

TASK = Task(resolution=32)
TARGET = ExportTarget()
MADE = {"format": TARGET.format, "precision": TARGET.precision, "converter": TARGET.converter}


@pytest.fixture
def study(tmp_path):
    with Study.open(tmp_path / "study") as study:
        yield study


class FailingPool:
    """Fails every export."""

    error: HytnasError = ExportError("it does not convert", "choose another")

    def __init__(self, workers: int | None, *, target: ExportTarget) -> None:
        self.masks: list[set[signal.Signals]] = []

    def submit(self, plan: LayerPlan, folder: Path, *, seed: int) -> Future[ExportedModel]:
        self.masks.append(signal.pthread_sigmask(signal.SIG_BLOCK, []))
        future: Future[ExportedModel] = Future()
        future.set_exception(self.error)
        return future

    def shutdown(self, *, cancel: bool = False) -> None:
        return None


@pytest.fixture
def failing_pool(monkeypatch):
    monkeypatch.setattr("hytnas_host.collect.exporting.ExportPool", FailingPool)


def test_networks_are_exported_once_and_found_again(study, monkeypatch):
    networks = sample_networks(study, get_space("hyt"), 2, TASK, purpose="latency", seed=0)
    with Exporter(study, TASK, seed=0, workers=1, target=TARGET) as exporter:
        models = [*exporter.prepare(networks[:1]), *exporter.prepare(networks[1:], last=True)]
        assert active_children() == []
    assert len(models) == 2
    assert list(exporter.hashes.items()) == [
        (h, m.sha256) for (_, h), m in zip(networks, models, strict=True)
    ]
    for model in models:
        assert model.reference is not None
        assert all(file.is_file() for file in (model.path, model.inputs_file, model.outputs_file))
    assert study.exports.find(networks[0][1], TASK, **MADE).sha256 == models[0].sha256

    monkeypatch.setattr("hytnas_host.collect.exporting.ExportPool", FailingPool)
    with Exporter(study, TASK, seed=0, target=TARGET) as again:
        assert again.prepare(networks) == models
        assert again.known_hashes(networks) == [model.sha256 for model in models]

    whole = models[0].path.read_bytes()
    for damaged in (whole[:-1] + b"!", None):
        models[0].path.unlink() if damaged is None else models[0].path.write_bytes(damaged)
        with Exporter(study, TASK, seed=0, target=TARGET) as lost:
            assert lost.prepare(networks) == models[1:]
            assert list(lost.failed) == [networks[0][1]]

    outside = msgspec.structs.replace(study.exports.all()[1], path=f"../{models[1].path.name}")
    models[1].path.rename(study.folder / outside.path)
    study.exports.add(outside)
    with Exporter(study, TASK, seed=0, target=TARGET) as outer:
        assert outer.prepare(networks) == []
    with pytest.raises(StudyError, match="outside of itself"):
        model_of(study, outside)


def test_network_that_cannot_be_exported_is_a_failure_and_left_out(study, failing_pool):
    networks = sample_networks(study, get_space("hyt"), 2, TASK, purpose="latency", seed=0)
    with Exporter(study, TASK, seed=0, target=TARGET) as exporter:
        assert exporter.prepare(networks) == []
    assert set(exporter.failed) == {plan_hash for _, plan_hash in networks}
    failures = study.failures.all("export")
    assert [failure.subject for failure in failures] == [plan_hash for _, plan_hash in networks]
    assert "it does not convert. choose another" in failures[0].message


@pytest.mark.parametrize(
    "error",
    [
        NoRoomError("models/a.onnx cannot be written: No space left on device", "Free 7 bytes"),
        ExportError("onnx2tf cannot convert network 0123: OSError: [Errno 28] No space left on device"),
    ],
)
def test_a_full_disk_is_no_fault_of_a_network(study, failing_pool, monkeypatch, error):
    monkeypatch.setattr(FailingPool, "error", error)
    networks = sample_networks(study, get_space("hyt"), 2, TASK, purpose="latency", seed=0)
    with (
        pytest.raises(NoRoomError, match="No space left on device"),
        Exporter(study, TASK, seed=0, target=TARGET) as exporter,
    ):
        exporter.prepare(networks)
    assert study.failures.all("export") == []


def test_cancelled_exporter_starts_nothing(study):
    networks = sample_networks(study, get_space("hyt"), 2, TASK, purpose="latency", seed=0)
    with Exporter(study, TASK, seed=0, target=TARGET) as exporter:
        exporter.cancel()
        assert exporter.prepare(networks) == []
    assert exporter.failed == {}


def test_processes_of_the_pool_start_with_ctrl_c_blocked(study, failing_pool):
    networks = sample_networks(study, get_space("hyt"), 1, TASK, purpose="latency", seed=0)
    with Exporter(study, TASK, seed=0, target=TARGET) as exporter:
        exporter.prepare(networks)
        assert all(signal.SIGINT in mask for mask in exporter._pool.masks)
        assert exporter._pool.masks
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
