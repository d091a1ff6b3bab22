"""A predictor fitted to latencies of model files: with networks of a space, and alone."""

import errno
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from hytnas_agent.records import DeviceContext, LatencyLabel, Outcome
from hytnas_datasets.bundled import load
from hytnas_datasets.errors import NotEnoughDataError, StudyError
from hytnas_datasets.store import ExportRecord, Study
from hytnas_host.workflow.file_labels import read_labels_and_files
from hytnas_host.workflow.file_predictions import predict_files
from hytnas_host.workflow.labels import ANY, LabelChoice
from hytnas_host.workflow.leaderboards import make_leaderboard
from hytnas_host.workflow.predictors import train_predictor
from hytnas_predictors.errors import PredictorError
from hytnas_predictors.leaderboard import build_leaderboard
from hytnas_predictors.persistence import read_info

BUNDLED = LabelChoice(data="bundled:hyt-icount-a53")
LATENCY = "latency_ms"


def write_pools(path: Path, size: int, operator: str = "MaxPool") -> Path:
    """A convolution and a pooling: a network of an operator that no space has."""
    out = size // 2 if operator == "MaxPool" else size
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, 8, s, s))
        for name, s in (("x", size), ("y", out))
    ]
    attributes = {"kernel_shape": [2, 2], "strides": [2, 2]} if operator == "MaxPool" else {"size": 3}
    nodes = [
        helper.make_node("Conv", ["x", "k"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node(operator, ["c"], ["y"], **attributes),
    ]
    kernel = numpy_helper.from_array(np.ones((8, 8, 3, 3), np.float32), "k")
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], [kernel])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), path)
    return path


def add_file(study: Study, name: str, median_ms: float, size: int, context: DeviceContext, **changes) -> None:
    operator = changes.pop("operator", "MaxPool")
    write_pools(study.folder / f"{name}.onnx", size, operator)
    study.exports.add(ExportRecord(name, "onnx", f"{name}.onnx", 1, **changes))
    none = dict.fromkeys(LatencyLabel.__struct_fields__[5:18])
    known = {
        "median_ms": median_ms,
        "process_medians_ms": (median_ms,),
        "jobs": ("j",),
        "steady_processes": 1,
    }
    label = LatencyLabel(name, Outcome.OK, 1, 1, **(none | known))
    study.labels.add(label, "latency", "device-1", context)


@pytest.fixture
def context():
    device = load("hyt-icount-a53").context.device
    assert device is not None
    return device


@pytest.fixture
def study(tmp_path, context):
    """Latencies of six files, in proportion to their pixels."""
    with Study.open(tmp_path / "study") as opened:
        for size in (8, 16, 24, 32, 48, 64):
            add_file(opened, f"pool{size}", size**2 / 500, size, context)
        yield opened


def test_labels_of_files_alone_are_enough(study, tmp_path):
    folder = train_predictor(study.folder, LATENCY, "hyt", with_files=True)
    info = read_info(folder)
    assert (info.name, info.labels, info.networks, info.space) == ("layerwise", 6, 6, "hyt")
    stranger = write_pools(tmp_path / "new.onnx", 40)
    (found,) = predict_files(study.folder, LATENCY, [stranger]).predictions
    assert found.unseen == {}
    assert found.mean == pytest.approx(40**2 / 500, rel=0.1)


def test_files_join_the_labels_of_networks(study, tmp_path):
    stranger = write_pools(tmp_path / "new.onnx", 40)
    train_predictor(study.folder, LATENCY, "hyt", name="layerwise", choice=BUNDLED)
    (alone,) = predict_files(study.folder, LATENCY, [stranger]).predictions
    folder = train_predictor(study.folder, LATENCY, "hyt", choice=BUNDLED, with_files=True)
    (joined,) = predict_files(study.folder, LATENCY, [stranger]).predictions
    assert read_info(folder).labels == 436
    assert (set(alone.unseen), set(joined.unseen)) == ({"window_pool"}, set())
    assert joined.std / joined.mean < alone.std / alone.mean


def test_predictors_of_files_are_compared_and_files_of_one_graph_stay_together(study, context, monkeypatch):
    def read_only(path, value):
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    monkeypatch.setattr("hytnas_host.workflow.leaderboards.write_json", read_only)
    said = []
    for name, size in (("pool72", 72), ("pool80", 80), ("again", 80)):
        add_file(study, name, size**2 / 500, size, context)
    board = make_leaderboard(
        study.folder, LATENCY, "hyt", estimators=["layerwise", "ridge"], with_files=True, say=said.append
    )
    assert said == [f"{study.folder / 'leaderboard-latency_ms.json'} is not kept: Read-only file system"]
    assert (board.labels, board.networks, board.folds) == (9, 8, 8)
    assert {score.features for score in board.scores} == {"work"}
    assert [score.predictor for score in board.baselines] == ["macs", "mean"]
    assert board.architectures[-2:] == ("pool80.onnx", "again.onnx")
    assert any(note.startswith("9 of 9 labels are of model files") for note in board.notes)
    assert board.quality_flags is not None
    assert board.quality_flags.labels == 9
    predicted = {each.predictor: each.predicted for each in board.out_of_fold}
    assert predicted["layerwise"][-1] == predicted["layerwise"][-2]
    assert predicted["layerwise"][4] == pytest.approx(board.measured[4], rel=0.1)


def test_files_join_the_networks_of_a_leaderboard(study):
    """Of 10 networks and 6 files."""
    labelled, files = read_labels_and_files(study.folder, LATENCY, "hyt", BUNDLED)
    board = build_leaderboard(labelled.take(range(10)), more=files, estimators=["layerwise"], resamples=50)
    assert (board.labels, board.networks, len(board.measured)) == (16, 16, 16)


def test_doubtful_labels_of_files_are_left_out_where_stable_ones_are_asked_for(study, context):
    (label,) = [each.label for each in study.labels.all() if each.label.model_sha256 == "pool8"]
    study.labels.add(msgspec.structs.replace(label, too_few_undisturbed=True), "latency", "device-1", context)
    labelled, rows = read_labels_and_files(study.folder, LATENCY, "hyt", LabelChoice(stable_only=True))
    assert len(rows.y) == 5
    count = rows.count_flags(labelled)
    assert count is not None
    assert (count.labels, count.disturbed, count.left_out) == (6, 1, 1)


def test_other_estimators_learn_nothing_from_files(study):
    with pytest.raises(PredictorError, match="Fit layerwise"):
        train_predictor(study.folder, LATENCY, "hyt", name="lightgbm", choice=BUNDLED, with_files=True)


def test_only_latencies_are_read(study):
    with pytest.raises(PredictorError, match="are latencies, not accuracy"):
        read_labels_and_files(study.folder, "accuracy", "hyt", ANY)


def test_files_of_unknown_operators_are_left_out(study, context):
    add_file(study, "lrn", 1.0, 8, context, operator="LRN")
    _, rows = read_labels_and_files(study.folder, LATENCY, "hyt", ANY)
    assert len(rows.y) == 6


def test_labels_of_other_conditions_are_refused(study, context):
    add_file(study, "quantised", 1.0, 8, context, precision="int8")
    with pytest.raises(StudyError, match=r"precision: fp32 / int8.*--precision"):
        read_labels_and_files(study.folder, LATENCY, "hyt", ANY)
    _, rows = read_labels_and_files(study.folder, LATENCY, "hyt", LabelChoice(precision="fp32"))
    assert len(rows.y) == 6


def test_a_study_without_labels_says_so(tmp_path):
    with Study.open(tmp_path / "study") as empty, pytest.raises(NotEnoughDataError, match="0 latency"):
        read_labels_and_files(empty.folder, LATENCY, "hyt", ANY)
    with Study.open(tmp_path / "study") as empty, pytest.raises(NotEnoughDataError, match="of a model file"):
        read_labels_and_files(empty.folder, LATENCY, "hyt", BUNDLED)
