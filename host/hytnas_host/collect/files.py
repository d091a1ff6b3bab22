"""Model files from elsewhere: found, copied into the study under their hash, and recorded."""

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path

from hytnas_agent.errors import HytnasError
from hytnas_agent.records import ModelFormat
from hytnas_datasets.store import ExportRecord, Study
from hytnas_host.collect.errors import CollectError
from hytnas_host.collect.measuring import Model
from hytnas_host.export import inspect_onnx

FOLDER = "models/files"
FORMATS: dict[str, ModelFormat] = {".onnx": "onnx", ".tflite": "tflite"}


def find_models(folder_or_files: Path | Sequence[Path]) -> list[Path]:
    """The model files of a folder (sorted by name), or the files themselves.

    Raises
    ------
    CollectError
        There is no such folder or file, or no model file among them.
    """
    given = [folder_or_files] if isinstance(folder_or_files, Path) else list(folder_or_files)
    suffixes = " or ".join(FORMATS)
    found: list[Path] = []
    for path in given:
        if path.is_dir():
            found += sorted(file for file in path.iterdir() if file.suffix.lower() in FORMATS)
        elif not path.exists():
            raise CollectError(f"there is no model file or folder {path}", "check the path")
        elif path.suffix.lower() in FORMATS:
            found.append(path)
        else:
            raise CollectError(f"{path} is not a model file", f"its name must end in {suffixes}")
    if not found:
        places = ", ".join(str(path) for path in given)
        raise CollectError(f"there is no model in {places or 'an empty list'}", f"put {suffixes} files there")
    return found


class FileImporter:
    """Takes files into a study without judging them: whether one can be run is for the device to say.

    Attributes
    ----------
    failed : dict
        Path of every file that could not be read, and why.
    """

    def __init__(self, study: Study) -> None:
        self.failed: dict[str, str] = {}
        self._study = study

    def take(self, files: Sequence[Path]) -> list[Model]:
        """The models of these files, each content once; what cannot be read is left out and a failure."""
        models: dict[str, Model] = {}
        for file in files:
            try:
                model = self._take(file)
            except OSError as error:
                self.failed[str(file)] = error.strerror or str(error)
                self._study.add_failure("file", str(file), error.strerror or str(error))
            else:
                models.setdefault(model.sha256, model)
        return list(models.values())

    def _take(self, file: Path) -> Model:
        with file.open("rb") as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        model_format = FORMATS[file.suffix.lower()]
        path = f"{FOLDER}/{sha256[:16]}-{file.name}"
        copy = self._study.folder / path
        if not copy.is_file():
            copy.parent.mkdir(parents=True, exist_ok=True)
            draft = copy.with_name(f".{copy.name}.part")
            shutil.copyfile(file, draft)
            draft.replace(copy)
        opset, producer = _look_into(copy) if model_format == "onnx" else (None, "")
        self._study.add_export(
            ExportRecord(
                sha256=sha256,
                format=model_format,
                path=path,
                size_bytes=copy.stat().st_size,
                opset=opset,
                converter=producer,
            )
        )
        return Model(sha256, model_format, copy)


def _look_into(file: Path) -> tuple[int | None, str]:
    """Operator set and producer of an ONNX file; nothing of one that cannot be read."""
    try:
        info = inspect_onnx(file)
    except HytnasError:
        return None, ""
    return info.opset, info.producer
