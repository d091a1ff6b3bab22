"""Inputs that somebody gives for models from elsewhere, kept in the study under their hash."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from hytnas_agent.regular_file import open_regular
from hytnas_agent.worker.tensors import MAX_TENSOR_BYTES, ArchiveError, read_archive
from hytnas_datasets.store import Study
from hytnas_host.collect.errors import CollectError
from hytnas_host.export.files import sha256_of, write_named_by_hash

FOLDER = "models/inputs"


@dataclass(frozen=True)
class GivenInputs:
    """An ``.npz`` of the study, its hash, and the shapes of its arrays by name."""

    path: Path
    sha256: str
    shapes: dict[str, tuple[int, ...]]

    @classmethod
    def take(cls, study: Study, file: Path) -> Self:
        """Copy a file into the study.

        Raises
        ------
        CollectError
            It cannot be read, is no archive of arrays without Python objects, or holds more than is allowed.
        ExportError
            The copy cannot be written.
        """
        try:
            with open_regular(file) as stream:
                content = stream.read(MAX_TENSOR_BYTES + 1)
            if len(content) > MAX_TENSOR_BYTES:
                raise ArchiveError(f"it has more than {MAX_TENSOR_BYTES} bytes")
            copy = write_named_by_hash(content, study.folder / FOLDER, ".npz")
            arrays = read_archive(copy)
        except OSError as error:
            raise CollectError(
                f"the inputs {file} cannot be read: {error.strerror or error}", "check the path"
            ) from error
        except ArchiveError as error:
            raise CollectError(
                f"the inputs {file} cannot be used: {error}",
                "write them with numpy.savez, an array for each input by its name",
            ) from error
        return cls(copy, sha256_of(content), {name: array.shape for name, array in arrays.items()})
