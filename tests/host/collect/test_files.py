"""Model files from elsewhere come into the study as they are."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from onnx import helper

from hytnas_datasets.store import Study
from hytnas_host.collect import files
from hytnas_host.collect.errors import CollectError
from hytnas_host.collect.files import FileImporter, by_kind, find_models, one_kind
from hytnas_host.collect.label_rows import rows_of_study
from hytnas_host.devices.client import check_unchanged
from hytnas_host.export import inspect_onnx
from hytnas_host.export.target import ModelKind

from ..export.test_external import WEIGHTS, save_apart
from ..export.test_inspect import empty_graph


@pytest.fixture
def study(tmp_path):
    with Study.open(tmp_path / "study") as study:
        yield study


A, B = empty_graph("a"), empty_graph("b")
C = b"damagedTFL3"[3:] + bytes(100)


@pytest.fixture
def folder(tmp_path) -> Path:
    folder = tmp_path / "given"
    folder.mkdir()
    files = {"b.onnx": B, "a.onnx": A, "c.TFLITE": C, "notes.txt": b"x"}
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def test_models_of_a_folder_are_found_by_name(folder):
    assert [file.name for file in find_models(folder)] == ["a.onnx", "b.onnx", "c.TFLITE"]
    assert find_models([folder / "b.onnx"]) == [folder / "b.onnx"]


@pytest.mark.parametrize("name", ["absent", "notes.txt"])
def test_what_is_no_model_is_a_clear_error(folder, name):
    with pytest.raises(CollectError, match=name):
        find_models(folder / name)


def test_folder_without_models_is_a_clear_error(tmp_path):
    with pytest.raises(CollectError, match=r"no model in .*\.onnx or \.tflite"):
        find_models(tmp_path)
    with pytest.raises(CollectError, match="an empty list"):
        find_models([])


def test_files_are_copied_and_recorded_without_judgement(study, folder):
    models = FileImporter(study).take(find_models(folder, "onnx"), ModelKind("onnx", "int8"))
    models += FileImporter(study).take(find_models(folder, "tflite"), ModelKind("tflite"))
    assert [(model.format, model.path.read_bytes()) for model in models] == [
        ("onnx", A),
        ("onnx", B),
        ("tflite", C),
    ]
    records = study.exports.all()
    assert [record.precision for record in records] == ["int8", "int8", "fp32"]
    assert [record.path.split("-", 1)[1] for record in records] == ["a.onnx", "b.onnx", "c.TFLITE"]
    assert all((study.folder / record.path).is_file() for record in records)
    assert all(record.plan_hash is None for record in records)
    for file in folder.iterdir():
        file.unlink()
    assert all(model.path.is_file() for model in models)


def kind_of(path: Path, dtype: type) -> None:
    x = helper.make_tensor_value_info("x", helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), [1, 4])
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["x"])], "g", [x], [x])
    path.write_bytes(helper.make_model(graph).SerializeToString())


def test_files_are_measured_kind_by_kind_and_predicted_of_one_alone(folder):
    assert one_kind(find_models(folder, "tflite"))[0] == ModelKind("tflite")
    with pytest.raises(CollectError, match=r"several kinds.*name files of one kind"):
        one_kind(find_models(folder))
    kind_of(folder / "a.onnx", np.float32)
    quantised = folder / "b.onnx"
    kind_of(quantised, np.float32)
    with quantised.open("ab") as stream:
        stream.write(b'"\x0bQLinearConv')
    assert by_kind(find_models(folder)) == {
        ModelKind("onnx", "fp32"): [folder / "a.onnx"],
        ModelKind("onnx", "int8"): [quantised],
        ModelKind("tflite", "fp32"): [folder / "c.TFLITE"],
    }
    with pytest.raises(CollectError, match="1 onnx fp32, 1 onnx int8"):
        one_kind(find_models(folder, "onnx"))
    assert by_kind(find_models(folder, "onnx"), "int8") == {ModelKind("onnx", "int8"): [quantised]}
    with pytest.raises(CollectError, match="no model of precision fp16"):
        by_kind(find_models(folder, "onnx"), "fp16")


def test_files_of_unknown_kind_go_with_those_of_their_format(study, folder):
    kind_of(folder / "good.onnx", np.float16)
    (folder / "._good.onnx").write_bytes(b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X" + bytes(100))
    os.mkfifo(folder / "pipe.onnx")
    chosen = by_kind(find_models(folder))
    names = {str(kind): [file.name for file in files] for kind, files in chosen.items()}
    assert names == {
        "onnx fp16": ["._good.onnx", "a.onnx", "b.onnx", "good.onnx", "pipe.onnx"],
        "tflite fp32": ["c.TFLITE"],
    }


def test_equal_files_are_one_model(study, folder):
    (folder / "copy.onnx").write_bytes(A)
    importer = FileImporter(study)
    assert len(importer.take(find_models(folder, "onnx"), ModelKind())) == 2
    assert len({file.sha256 for file in importer.given}) == 2
    assert [record.names for record in study.exports.all()] == [("a.onnx", "copy.onnx"), ("b.onnx",)]
    for model in (models := importer.take(find_models(folder, "onnx"), ModelKind())):
        model.path.write_bytes(b"changed")
    FileImporter(study).take(find_models(folder, "onnx"), ModelKind())
    for model in models:
        check_unchanged(model.path, model.sha256)


def test_a_model_beside_its_weights_is_one_file_in_the_study(study, tmp_path):
    models = []
    for name, weights in (("a.onnx", WEIGHTS), ("b.onnx", WEIGHTS + 1)):
        models += FileImporter(study).take([save_apart(tmp_path / name, weights)], ModelKind())
    (tmp_path / "b.onnx.data").unlink()
    importer = FileImporter(study)
    assert importer.take([tmp_path / "a.onnx", tmp_path / "b.onnx"], ModelKind()) == models[:1]
    assert models[0].sha256 != models[1].sha256
    assert all(inspect_onnx(model.path).sha256 == model.sha256 for model in models)
    reason = importer.given[-1].reason
    assert "b.onnx keeps weights in b.onnx.data, which cannot be read" in reason


def test_names_that_are_long_or_no_text_are_taken(study, tmp_path):
    names = [b"\xe9\xff.onnx", b"n" * 240 + b".onnx", "\u00e9".encode() * 120 + b".onnx"]
    for number, name in enumerate(names):
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(empty_graph(str(number)))
    importer = FileImporter(study)
    assert len(importer.take(find_models(tmp_path), ModelKind())) == 3
    assert not any(file.reason for file in importer.given)
    assert all(record.path.endswith(".onnx") for record in study.exports.all())


def test_what_is_no_model_is_named_and_not_taken(study, folder):
    os.mkfifo(folder / "pipe.onnx")
    (folder / os.fsdecode(b"folder\xff.onnx")).mkdir()
    (folder / "pointer.onnx").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    (folder / "empty.onnx").write_bytes(b"")
    importer = FileImporter(study)
    assert len(importer.take(find_models(folder, "onnx"), ModelKind())) == 2
    assert {file.name: (file.outcome, file.reason) for file in importer.given if file.reason} == {
        "empty.onnx": ("INVALID_MODEL", "it is empty"),
        "folder\ufffd.onnx": ("not read", "it cannot be read: Is a directory"),
        "pipe.onnx": ("not read", "it cannot be read: it is no regular file"),
        "pointer.onnx": (
            "INVALID_MODEL",
            "it is a Git LFS pointer, not the model: fetch that with: git lfs pull",
        ),
    }
    assert [row.outcome for row in rows_of_study(study)] == ["not read"] * 2 + ["INVALID_MODEL"] * 2


def test_a_full_disk_is_no_fault_of_a_file(study, folder, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files, "replacing", full)
    with pytest.raises(OSError, match="No space left"):
        FileImporter(study).take([folder / "a.onnx"], ModelKind())
    assert not study.failures.all()


def test_unreadable_file_is_a_failure_and_the_others_are_taken(study, folder):
    os.remove(folder / "b.onnx")
    os.symlink(folder / "nowhere", folder / "b.onnx")
    importer = FileImporter(study)
    assert len(importer.take([folder / "a.onnx", folder / "b.onnx"], ModelKind())) == 1
    assert [file.name for file in importer.given if file.reason] == ["b.onnx"]
    assert [failure.stage for failure in study.failures.all()] == ["file"]
