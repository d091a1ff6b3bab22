"""Where the derived results of a study lie, and how they are written and read back."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from hytnas_agent.errors import HytnasError

T = TypeVar("T")

MAX_JSON_BYTES = 256 * 1024 * 1024


class ResultFileError(HytnasError):
    """A derived result of a study is missing or cannot be read."""


@dataclass(frozen=True)
class StudyFiles:
    """The paths inside a study folder."""

    folder: Path

    @property
    def search(self) -> Path:
        """Outcome of the search."""
        return self.folder / "search.json"

    def search_checkpoint(self, key: str) -> Path:
        """Where an interrupted search goes on; ``key`` tells searches apart."""
        return self.folder / f"search-checkpoint-{key}.json"

    @property
    def verification(self) -> Path:
        """Front and controls, predicted against measured."""
        return self.folder / "verification.json"

    @property
    def run(self) -> Path:
        """Stages of the main job, with their times."""
        return self.folder / "run.json"

    def leaderboard(self, target: str) -> Path:
        """Leaderboard of one target."""
        return self.folder / f"leaderboard-{target}.json"

    def predictor(self, target: str) -> Path:
        """Folder of the fitted predictor of one target."""
        return self.folder / "predictors" / target


def digest(*paths: Path) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of files and folders' files; "" where one is missing."""
    content = hashlib.sha256()
    for path in paths:
        if not path.exists():
            return ""
        for file in [path] if path.is_file() else sorted(f for f in path.rglob("*") if f.is_file()):
            content.update(f"{file.relative_to(path.parent)}\0".encode())
            content.update(hashlib.sha256(file.read_bytes()).digest())
    return content.hexdigest()[:16]


def write_json(path: Path, value: Any) -> None:
    """Write a struct as JSON: wholly, or not at all (temporary file and rename)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(value), indent=1))
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def read_json(path: Path, kind: type[T], made_by: str) -> T:
    """Read a struct back.

    Parameters
    ----------
    path : Path
    kind : type
        The msgspec type the file holds.
    made_by : str
        The command that makes the file, named in the error.

    Raises
    ------
    ResultFileError
        The file is missing, too large, or not what it should be.
    """
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise ResultFileError(
                f"{path} is larger than {MAX_JSON_BYTES} bytes", f"make it again with: {made_by}"
            )
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError as error:
        raise ResultFileError(f"There is no {path}", f"make it with: {made_by}") from error
    except msgspec.DecodeError as error:
        raise ResultFileError(f"{path} cannot be read: {error}", f"make it again with: {made_by}") from error
