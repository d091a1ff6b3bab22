"""Files that are written as a whole: a reader, even after a crash, finds the old content or the new."""

import contextlib
import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from hytnas_agent.own_folder import make_private


@contextlib.contextmanager
def replacing(path: Path, *, private: bool = False, durable: bool = True) -> Iterator[BinaryIO]:
    """A file to write into, which takes the place of ``path`` once the block ends without an error.

    It lies beside ``path`` under a hidden name meanwhile, and is removed if the block fails. A link to a file
    elsewhere stays a link. A file that is replaced keeps its mode.

    Parameters
    ----------
    path : Path
        In a folder that exists.
    private : bool
        Readable for the user alone (mode 0600) where it is new; by default as the umask says.
    durable : bool
        The new content outlives a loss of power from then on, which costs a write to the disk.

    Raises
    ------
    OSError
        The file cannot be written; ``path`` is as it was.
    """
    target = Path(os.path.realpath(path))  # a loop of links is itself, and is replaced
    with _placed(target, os.replace, private, durable) as file:
        with contextlib.suppress(OSError):  # new; a file system without modes
            os.fchmod(file.fileno(), stat.S_IMODE(target.stat().st_mode))
        yield file


def write_whole(path: Path, content: bytes, *, private: bool = False, durable: bool = True) -> None:
    """Replace the content of ``path``, wholly or not at all; see `replacing`."""
    with replacing(path, private=private, durable=durable) as file:
        file.write(content)


def written_once(path: Path, text: str, *, private: bool = False) -> str:
    """What the file holds; ``text`` where it had to be made, with its folder, ``private`` as of `replacing`.

    Of several processes that make it at once the first one wins. Raises OSError.
    """
    make_private(path.parent)
    if not path.exists():
        with contextlib.suppress(FileExistsError), _placed(path, os.link, private, durable=True) as file:
            file.write(text.encode())
    return path.read_text(encoding="utf-8").strip()


def is_draft_of(name: str, path: Path) -> bool:
    """Whether a writer of ``path`` that was killed may have left a file of this name beside it."""
    return re.fullmatch(rf"\.{re.escape(path.name)}\.[0-9a-f]{{8}}\.draft", name) is not None


@contextlib.contextmanager
def _placed(
    target: Path, place: Callable[[Path, Path], None], private: bool, durable: bool
) -> Iterator[BinaryIO]:
    """A draft beside ``target``, which ``place`` gives its name once it is written."""
    draft = target.with_name(f".{target.name}.{os.urandom(4).hex()}.draft")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    descriptor = os.open(draft, flags, 0o600 if private else 0o666)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            if durable:
                os.fsync(descriptor)
        place(draft, target)
        if durable:
            sync_folder(target.parent)
    finally:
        draft.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Have the names in a folder last over a loss of power. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
