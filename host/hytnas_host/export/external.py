"""Weights that an ONNX file keeps in files beside it, taken into the model so that it is one file."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import TensorProto
from onnx.external_data_helper import ExternalDataInfo, uses_external_data

from hytnas_agent.regular_file import open_regular
from hytnas_host.export.errors import ModelFileError

MAX_MODEL_BYTES = 512 * 1024 * 1024

_LOCATION = b"\x0a\x08location"
"""In every model with weights elsewhere: field 1, the key, of an entry that says where."""


def packed(path: Path, *, max_bytes: int = MAX_MODEL_BYTES) -> bytes | None:
    """The model of an ONNX file as one file, where it keeps weights in others; ``None`` where it is one.

    A file that is no ONNX model is not judged here, nor is one of more than ``max_bytes``. The same graph and
    weights give the same bytes.

    Raises
    ------
    ModelFileError
        As `take_in`.
    OSError
        The file cannot be read.
    """
    with open_regular(path) as stream:
        content = stream.read(max_bytes + 1)
    if len(content) > max_bytes or _LOCATION not in content:
        return None
    try:
        model = onnx.load_model_from_string(content)
    except (DecodeError, ValueError):
        return None
    if not take_in(path, model, max_bytes=max_bytes):
        return None
    return bytes(model.SerializeToString(deterministic=True))


def take_in(path: Path, model: onnx.ModelProto, *, max_bytes: int = MAX_MODEL_BYTES) -> bool:
    """Move the weights that lie in files beside ``path`` into its model; whether there were any.

    Raises
    ------
    ModelFileError
        A file of weights is absent, unreadable, too short, or outside of the model's folder, or the model
        would have more than ``max_bytes``.
    """
    tensors = [tensor for tensor in _tensors(model) if uses_external_data(tensor)]
    left = max_bytes - (model.ByteSize() if tensors else 0)
    for tensor in tensors:
        content = _read(path, tensor, left)
        left -= len(content)
        tensor.raw_data = content
        tensor.ClearField("external_data")
        tensor.data_location = TensorProto.DEFAULT
    return bool(tensors)


def _read(path: Path, tensor: TensorProto, left: int) -> bytes:
    """The bytes of one tensor, at most ``left``."""
    try:
        place = ExternalDataInfo(tensor)
        offset, length = int(place.offset or 0), None if place.length is None else int(place.length)
    except ValueError as error:
        raise ModelFileError(f"{path} has a damaged entry for {tensor.name!r}", "Export it again") from error
    if offset < 0 or (length or 0) < 0:
        raise ModelFileError(f"{path} has a damaged entry for {tensor.name!r}", "Export it again")
    file = _beside(path, place.location)
    try:
        with open_regular(file) as stream:
            size = os.fstat(stream.fileno()).st_size
            wanted = max(size - offset, 0) if length is None else length
            _check_size(path, file, fits=offset + wanted <= size, allowed=wanted <= left)
            stream.seek(offset)
            return stream.read(wanted)
    except OSError as error:
        raise ModelFileError(
            f"{path} keeps weights in {file.name}, which cannot be read: {error.strerror or error}",
            "Put the file beside the model",
        ) from error


def _check_size(path: Path, file: Path, *, fits: bool, allowed: bool) -> None:
    if not fits:
        raise ModelFileError(
            f"{path} keeps weights in {file.name}, which is too short", "Export or copy both again"
        )
    if not allowed:
        raise ModelFileError(f"{path} and its weights have more bytes than is allowed", "Use a smaller model")


def _beside(path: Path, location: str) -> Path:
    """The file of that location; links may not lead out of the model's folder."""
    named = PurePosixPath(location)
    if not location or named.is_absolute() or ".." in named.parts or PureWindowsPath(location).drive:
        raise ModelFileError(
            f"{path} keeps weights in {location!r}, outside of its folder", "Save it with the data beside it"
        )
    file = path.parent / location
    try:
        inside = file.resolve().is_relative_to(path.parent.resolve())
    except (OSError, RuntimeError, ValueError):  # links in a circle; a name that no file has
        inside = False
    if not inside:
        raise ModelFileError(
            f"{path} keeps weights in {location!r}, which is a link out of its folder",
            "Copy the data beside the model",
        )
    return file


def _tensors(model: onnx.ModelProto) -> Iterator[TensorProto]:
    """All tensors of a model, those of inner graphs and functions too."""
    yield from _of_graph(model.graph)
    for function in model.functions:
        yield from _of_nodes(function.node)


def _of_graph(graph: onnx.GraphProto) -> Iterator[TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _of_nodes(graph.node)


def _of_nodes(nodes: Iterable[onnx.NodeProto]) -> Iterator[TensorProto]:
    for node in nodes:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            for graph in (*([attribute.g] if attribute.HasField("g") else ()), *attribute.graphs):
                yield from _of_graph(graph)
