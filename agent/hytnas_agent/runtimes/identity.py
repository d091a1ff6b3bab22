"""The identity of a model: the hash of its file, and of the files in which it keeps weights."""

import hashlib
from pathlib import Path

from hytnas_agent.records import ModelFormat
from hytnas_agent.regular_file import file_hash
from hytnas_agent.runtimes.onnx_file import data_files


def model_identity(path: Path, model_format: ModelFormat) -> str:
    """The SHA-256 of a model file; where it keeps weights in files beside it, that of all their hashes.

    Raises OSError where one of them cannot be read, ValueError where the name of one cannot be a file's.
    """
    beside = data_files(path) if model_format == "onnx" else []
    hashes = [file_hash(file) for file in (path, *(path.parent / name for name in beside))]
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()
