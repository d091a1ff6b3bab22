"""Model files from elsewhere: found, copied into the study under their hash, and recorded."""

import errno
import hashlib
import io
import os
import shutil
from collections.abc import Collection, Sequence
from pathlib import Path

from hytnas_agent.errors import HytnasError
from hytnas_agent.records import ModelFormat, Outcome
from hytnas_agent.regular_file import open_regular
from hytnas_agent.runtimes.base import RuntimeFailure
from hytnas_agent.runtimes.not_a_model import what_it_is
from hytnas_agent.runtimes.onnx_file import TOO_MANY_FIELDS, element_types, has_too_many_fields
from hytnas_agent.runtimes.precision import read_precision
from hytnas_agent.whole_file import replacing
from hytnas_datasets.store import ExportRecord, Study
from hytnas_host.collect.errors import CollectError
from hytnas_host.collect.label_rows import FAILURES, NOT_READ, GivenFile
from hytnas_host.collect.model import Model
from hytnas_host.devices.client import check_unchanged
from hytnas_host.devices.errors import FileChangedError
from hytnas_host.export import ModelFileError, inspect_onnx
from hytnas_host.export.external import MAX_MODEL_BYTES, packed
from hytnas_host.export.fixing import fix_onnx, fix_tflite
from hytnas_host.export.shapes import AS_THEY_ARE, Shape, WantedShapes
from hytnas_host.export.target import ModelKind

FOLDER = "models/files"
MAX_NAME_BYTES = 180
"""Of a copy's name after its hash; file systems allow 255 in all, and a draft has a longer one."""

FORMATS: dict[str, ModelFormat] = {".onnx": "onnx", ".tflite": "tflite"}


def find_models(
    folder_or_files: Path | Sequence[Path], model_format: ModelFormat | None = None
) -> list[Path]:
    """The model files of a folder (sorted by name), or the files themselves; those of the format, if given.

    Raises
    ------
    CollectError
        There is no such folder or file, or no model file among them.
    """
    given = [folder_or_files] if isinstance(folder_or_files, Path) else list(folder_or_files)
    wanted = [suffix for suffix, found in FORMATS.items() if model_format in (None, found)]
    suffixes = " or ".join(wanted)
    found: list[Path] = []
    for path in given:
        if path.is_dir():
            found += sorted(file for file in path.iterdir() if file.suffix.lower() in wanted)
        elif not path.exists():
            raise CollectError(f"there is no model file or folder {path}", "check the path")
        elif path.suffix.lower() in wanted:
            found.append(path)
        else:
            raise CollectError(f"{path} is not a model file", f"its name must end in {suffixes}")
    if not found:
        places = ", ".join(str(path) for path in given)
        raise CollectError(f"there is no model in {places or 'an empty list'}", f"put {suffixes} files there")
    return found


def by_kind(files: Sequence[Path], precision: str | None = None) -> dict[ModelKind, list[Path]]:
    """The files by their kinds, whose latencies do not compare; those of the precision, if one is given.

    A file whose kind cannot be read goes with the first kind of its format: what is wrong with it is for the
    device to say.

    Raises
    ------
    CollectError
        None has the precision.
    """
    kinds = {file: _kind(file) for file in files}
    known = {kind for kind in kinds.values() if kind is not None and precision in (None, kind.precision)}
    if precision is not None and not known:
        raise CollectError(f"there is no model of precision {precision}", "leave the option --precision out")
    groups: dict[ModelKind, list[Path]] = {kind: [] for kind in sorted(known, key=str)}
    for file, found in kinds.items():
        model_format = FORMATS[file.suffix.lower()]
        alike = (kind for kind in groups if kind.format == model_format)
        kind = found or next(alike, ModelKind(model_format, precision or "fp32"))
        if found is None or found in groups:
            groups.setdefault(kind, []).append(file)
    return groups


def one_kind(files: Sequence[Path]) -> tuple[ModelKind, list[Path]]:
    """The kind of the files, and the files; raises CollectError where they are of several."""
    groups = by_kind(files)
    if len(groups) > 1:
        counted = ", ".join(f"{len(some)} {kind}" for kind, some in groups.items())
        raise CollectError(
            f"the models are of several kinds ({counted}), whose latencies do not compare",
            "name files of one kind",
        )
    return next(iter(groups.items()))


def _kind(file: Path) -> ModelKind | None:
    """``None`` where the file cannot be read, or holds no graph."""
    model_format = FORMATS[file.suffix.lower()]
    try:
        if model_format == "onnx" and not element_types(file):
            return None
        return ModelKind(model_format, read_precision(file, model_format))
    except (RuntimeFailure, OSError):
        return None


class FileImporter:
    """Takes files into a study without judging them: whether one can be run is for the device to say.

    Attributes
    ----------
    given : list of GivenFile
        Every file so far, those too that could not be read.
    input_names : set of str
        What the inputs of the files so far are called.
    """

    def __init__(
        self, study: Study, wanted: WantedShapes = AS_THEY_ARE, inputs_file: Path | None = None
    ) -> None:
        self.given: list[GivenFile] = []
        self.input_names: set[str] = set()
        self._study, self._wanted, self._inputs_file = study, wanted, inputs_file
        self._names = {record.sha256: record.names for record in study.exports.all()}

    def take(self, files: Sequence[Path], kind: ModelKind) -> list[Model]:
        """The models of these files of one kind, each content once, with the weights that lie beside them.

        What cannot be read is left out and a failure. Raises OSError where the study's disk is full.
        """
        models: dict[str, Model] = {}
        for file in files:
            try:
                what = what_it_is(file, kind.format) or _too_much(file, kind.format)
                if what:
                    self._fail(file, what, Outcome.INVALID_MODEL)
                    continue
                model = self._take(file, kind)
            except ModelFileError as error:
                self._fail(file, str(error))
            except OSError as error:
                if error.errno in (errno.ENOSPC, errno.EDQUOT):  # no fault of the file
                    raise
                self._fail(file, f"it cannot be read: {error.strerror or error}")
            else:
                models.setdefault(model.sha256, model)
                self.given.append(GivenFile(as_text(file.name), model.sha256))
        return list(models.values())

    def _fail(self, file: Path, reason: str, outcome: str = NOT_READ) -> None:
        said = as_text(reason.replace(str(file), file.name))
        self.given.append(GivenFile(as_text(file.name), reason=said, outcome=str(outcome)))
        self._study.failures.add(FAILURES[outcome], as_text(file), said)

    def _take(self, file: Path, kind: ModelKind) -> Model:
        whole, shapes = self._prepared(file, kind.format)
        with open_regular(file) if whole is None else io.BytesIO(whole) as source:
            sha256 = hashlib.file_digest(source, "sha256").hexdigest()
            path = f"{FOLDER}/{sha256[:16]}-{_short(as_text(file.name))}"
            copy = self._study.folder / path
            if not _holds(copy, sha256):
                copy.parent.mkdir(parents=True, exist_ok=True)
                source.seek(0)
                with replacing(copy) as content:
                    shutil.copyfileobj(source, content)
        opset, producer = _look_into(copy) if kind.format == "onnx" else (None, "")
        self._names[sha256] = tuple(dict.fromkeys((*self._names.get(sha256, ()), as_text(file.name))))
        self._study.exports.add(
            ExportRecord(
                sha256=sha256,
                format=kind.format,
                precision=kind.precision,
                path=path,
                size_bytes=copy.stat().st_size,
                opset=opset,
                converter=producer,
                names=self._names[sha256],
                shapes=shapes,
            )
        )
        return Model(sha256, kind.format, copy, inputs_file=self._inputs_file)

    def check_names(self, names: Collection[str]) -> None:
        """Raise CollectError where no file so far has an input of one of the names."""
        missing = sorted(set(names) - self.input_names)
        if missing:
            raise CollectError(
                f"no model has an input {', '.join(map(repr, missing))}",
                f"name one of: {', '.join(sorted(self.input_names)) or 'there is none'}",
            )

    def _prepared(self, file: Path, model_format: ModelFormat) -> tuple[bytes | None, dict[str, Shape]]:
        """A file with its weights and fixed inputs, and the shapes of these; ``None`` for it as it is."""
        whole = packed(file) if model_format == "onnx" else None
        if whole is None:
            with open_regular(file) as stream:
                found = stream.read(MAX_MODEL_BYTES + 1)
            if len(found) > MAX_MODEL_BYTES:
                return None, {}
        else:
            found = whole
        fix = fix_onnx if model_format == "onnx" else fix_tflite
        fixed = fix(file, found, self._wanted)
        self.input_names.update(fixed.names)
        return (fixed.content if fixed.shapes else whole), fixed.shapes


def _too_much(file: Path, model_format: ModelFormat) -> str:
    return TOO_MANY_FIELDS if model_format == "onnx" and has_too_many_fields(file) else ""


def _holds(copy: Path, sha256: str) -> bool:
    """Whether the copy that an earlier call made is there and as it was."""
    try:
        check_unchanged(copy, sha256)
    except FileChangedError:
        return False
    return True


def as_text(name: Path | str) -> str:
    """A path as UTF-8 can hold it: what of it is none is replaced."""
    return os.fsencode(name).decode(errors="replace")


def _short(name: str) -> str:
    """A name of a file with room beside it for a hash: the end of a long one's stem is left out."""
    stem, suffix = os.path.splitext(name)
    return stem.encode()[: MAX_NAME_BYTES - len(suffix)].decode(errors="ignore") + suffix


def _look_into(file: Path) -> tuple[int | None, str]:
    """Operator set and producer of an ONNX file; nothing of one that cannot be read."""
    try:
        info = inspect_onnx(file)
    except HytnasError:
        return None, ""
    return info.opset, info.producer
