"""Model files from elsewhere come into the study as they are."""

import os
from pathlib import Path

import pytest

from hytnas_datasets.store import Study
from hytnas_host.collect.errors import CollectError
from hytnas_host.collect.files import FileImporter, find_models, one_kind
from hytnas_host.export.target import ModelKind


@pytest.fixture
def study(tmp_path):
    with Study.open(tmp_path / "study") as study:
        yield study


@pytest.fixture
def folder(tmp_path) -> Path:
    folder = tmp_path / "given"
    folder.mkdir()
    for name, content in {"b.onnx": b"b", "a.onnx": b"a", "c.TFLITE": b"c", "notes.txt": b"x"}.items():
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
        ("onnx", b"a"),
        ("onnx", b"b"),
        ("tflite", b"c"),
    ]
    records = study.exports.all()
    assert [record.precision for record in records] == ["int8", "int8", "fp32"]
    assert [record.path.split("-", 1)[1] for record in records] == ["a.onnx", "b.onnx", "c.TFLITE"]
    assert all((study.folder / record.path).is_file() for record in records)
    assert all(record.plan_hash is None for record in records)
    for file in folder.iterdir():
        file.unlink()
    assert all(model.path.is_file() for model in models)


def test_the_kind_is_that_of_all_files_and_mixtures_are_refused(folder):
    with pytest.raises(CollectError, match=r"several kinds.*--format"):
        one_kind(find_models(folder))
    assert one_kind(find_models(folder, "tflite")) == (ModelKind("tflite"), [folder / "c.TFLITE"])
    quantised = folder / "b.onnx"
    quantised.write_bytes(b'..."\x0bQLinearConv...')
    with pytest.raises(CollectError, match="1 onnx fp32, 1 onnx int8"):
        one_kind(find_models(folder, "onnx"))
    assert one_kind(find_models(folder, "onnx"), "int8") == (ModelKind("onnx", "int8"), [quantised])
    with pytest.raises(CollectError, match="no model of precision fp16"):
        one_kind(find_models(folder, "onnx"), "fp16")


def test_equal_files_are_one_model(study, folder):
    (folder / "copy.onnx").write_bytes(b"a")
    assert len(FileImporter(study).take(find_models(folder, "onnx"), ModelKind())) == 2


def test_unreadable_file_is_a_failure_and_the_others_are_taken(study, folder):
    os.remove(folder / "b.onnx")
    os.symlink(folder / "nowhere", folder / "b.onnx")
    importer = FileImporter(study)
    assert len(importer.take([folder / "a.onnx", folder / "b.onnx"], ModelKind())) == 1
    assert list(importer.failed) == [str(folder / "b.onnx")]
    assert [failure.stage for failure in study.failures.all()] == ["file"]
