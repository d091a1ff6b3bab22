"""The file a search goes on from: written whole after every iteration, refused for another configuration."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from hytnas_agent.whole_file import write_whole
from hytnas_host import study_files
from hytnas_host.search.errors import CheckpointError
from hytnas_host.search.result import Evaluated
from hytnas_host.search.strategies import StrategyState

VERSION: Final = 1


class Checkpoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a search stands after an iteration.

    ``config`` says what the search is, field by field, and leaves out its budget; ``counts`` holds the number
    of evaluations after each whole batch; ``reference_point`` is minimised, and absent until the initial
    design is evaluated.
    """

    version: int
    config: dict[str, str]
    state: StrategyState
    evaluated: tuple[Evaluated, ...]
    counts: tuple[int, ...]
    reference_point: tuple[float, ...] | None
    seconds: float


def write_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Replace the file as a whole, so that a crash leaves the old one or the new one.

    Raises
    ------
    CheckpointError
        If the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, msgspec.json.encode(checkpoint))
    except OSError as error:
        raise CheckpointError(
            f"Cannot write the checkpoint {path}: {error.strerror or error}",
            "Free space or choose another place",
        ) from error


def read_checkpoint(path: Path, config: Mapping[str, str]) -> Checkpoint | None:
    """The checkpoint at ``path``, or None where there is none.

    Raises
    ------
    CheckpointError
        If the file cannot be read or belongs to a search with another ``config``; names what differs.
    """
    again = f"Delete {path} to begin again"
    try:
        if path.stat().st_size > study_files.MAX_JSON_BYTES:
            size = f"{study_files.MAX_JSON_BYTES // 2**20} MiB"
            raise CheckpointError(f"The checkpoint {path} is larger than {size}", again)
        checkpoint = msgspec.json.decode(path.read_bytes(), type=Checkpoint)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CheckpointError(f"Cannot read the checkpoint {path}: {error.strerror or error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CheckpointError(f"The checkpoint {path} is damaged: {error}", again) from error
    if checkpoint.version != VERSION:
        raise CheckpointError(f"The checkpoint {path} has version {checkpoint.version}, not {VERSION}", again)
    differing = [
        f"{field} was {checkpoint.config.get(field, 'absent')}, is {config.get(field, 'absent')}"
        for field in sorted({*config, *checkpoint.config})
        if checkpoint.config.get(field) != config.get(field)
    ]
    if differing:
        raise CheckpointError(f"The checkpoint {path} is of another search: {'; '.join(differing)}", again)
    return checkpoint
