"""The files of a study beside its store: where derived results lie, how they are written and read back."""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from hytnas_agent.errors import HytnasError
from hytnas_agent.regular_file import open_regular
from hytnas_agent.whole_file import write_whole

T = TypeVar("T")

MAX_JSON_BYTES: Final = 256 * 1024 * 1024
"""What a JSON file of a study may have; a larger one is none of ours, or damaged."""

MAX_NUMBER: Final = 1e100
"""No result is near it, and what is reckoned with smaller ones stays finite."""

_COMMANDS: Final = {"search.json": "search", "verification.json": "verify", "run.json": "run"}

_CHECKPOINT: Final = re.compile(r"search-checkpoint-([0-9a-f]{8})?-[0-9a-f]{8}\.jsonl?")


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

    @property
    def searched_space(self) -> Path:
        """The space that was searched."""
        return self.folder / "search-space.toml"

    def search_checkpoint(self, key: str) -> Path:
        """Where a search goes on; ``key`` tells searches apart."""
        return self.folder / f"search-checkpoint-{key}.jsonl"

    def search_checkpoints(self) -> list[Path]:
        """The checkpoints that are there, of all searches and versions."""
        return [path for path in self.folder.glob("*.json*") if _CHECKPOINT.fullmatch(path.name)]

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

    @property
    def report(self) -> Path:
        """The page to open in a browser."""
        return self.folder / "report.html"

    @property
    def figures(self) -> Path:
        """Folder of the report's figures, each a file."""
        return self.folder / "figures"


def command_for(path: Path) -> str:
    """The command that makes a derived result of a study."""
    if path.name.startswith("leaderboard-"):
        command = f"leaderboard --target {path.stem.removeprefix('leaderboard-')}"
    else:
        command = _COMMANDS[path.name]
    return f"hytnas-profile {command} --study {path.parent}"


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
    """Write a struct as JSON, wholly or not at all; its folder is made where it is missing.

    Raises
    ------
    ResultFileError
        A file of that name is there that is no such result: somebody else's, or damaged.
    OSError
        It cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    check_json_replaceable(path, type(value))
    write_whole(path, msgspec.json.format(msgspec.json.encode(value), indent=1))


def check_json_replaceable(path: Path, kind: type) -> None:
    """Refuse before the work what `write_json` would refuse after it; raises ResultFileError."""
    check_replaceable(path, lambda content: _is_json_of(content, kind))


def check_replaceable(path: Path, is_own: Callable[[bytes], bool]) -> None:
    """Refuse to replace a file whose content ``is_own`` says no to; raises ResultFileError."""
    try:
        content = _read(path)
        if content is not None and is_own(content):
            return
    except FileNotFoundError:
        return
    except OSError as error:
        raise ResultFileError(f"{path} cannot be read ({error.strerror})", "Check its permissions") from error
    raise ResultFileError(
        f"{path} is there already and is not what would be written in its place",
        "Move it away, or name another folder with --study",
    )


def _is_json_of(content: bytes, kind: type) -> bool:
    """Whether it is JSON of such a struct, be it of another version: most of its names are fields of it."""
    try:
        names = msgspec.json.decode(content, type=dict[str, msgspec.Raw]).keys()
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    fields = {field.encode_name for field in msgspec.structs.fields(kind)}
    return 2 * len(names & fields) > len(names)


def read_json(path: Path, kind: type[T]) -> T:
    """Read a struct back.

    Parameters
    ----------
    path : Path
        One of the results that `StudyFiles` names.
    kind : type
        The msgspec type the file holds.

    Raises
    ------
    ResultFileError
        The file is missing, too large, or not what it should be; it names the command that makes it.
    """
    found = read_json_if_there(path, kind)
    if found is None:
        raise ResultFileError(f"There is no {path}", f"Make it with: {command_for(path)}")
    return found


def read_json_if_there(path: Path, kind: type[T]) -> T | None:
    """As `read_json`, but ``None`` where the file has not been made yet."""
    again = f"Delete it and make it again with: {command_for(path)}"
    try:
        content = _read(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ResultFileError(f"{path} cannot be read ({error.strerror})", "Check its permissions") from error
    if content is None:
        raise ResultFileError(f"{path} is larger than {MAX_JSON_BYTES // 2**20} MiB", again)
    try:
        found = msgspec.json.decode(content, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ResultFileError(f"{path} is damaged ({error})", again) from error
    except HytnasError as error:  # of a struct that checks itself
        raise ResultFileError(f"{path} is damaged ({error.what})", again) from error
    if number := _beyond(found):
        raise ResultFileError(f"{path} is damaged ({number} can be no result)", again)
    return found


def _read(path: Path) -> bytes | None:
    """The content of a regular file; ``None`` for one that is too large. Raises OSError."""
    with open_regular(path) as file:
        content = file.read(MAX_JSON_BYTES + 1)
    return content if len(content) <= MAX_JSON_BYTES else None


def _beyond(value: Any) -> str:
    """The first number of a decoded value that is too large to reckon with; empty without."""
    if isinstance(value, int | float):
        return "" if -MAX_NUMBER <= value <= MAX_NUMBER else f"{value:.3g}"
    if isinstance(value, msgspec.Struct):
        value = [getattr(value, name) for name in value.__struct_fields__]
    elif isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return next((found for each in value if (found := _beyond(each))), "")
    return ""
