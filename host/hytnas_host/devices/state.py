"""What outlives a command on this user's host: the state folder, and who the host is to agents."""

import contextlib
import os
import uuid
from pathlib import Path

from hytnas_host.devices.errors import DeviceError


def host_state_folder() -> Path:
    """Where this user's host keeps what outlives a command: ``$XDG_STATE_HOME/hytnas``."""
    return Path(os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")) / "hytnas"


def written_once(path: Path, text: str) -> str:
    """What the file holds; ``text`` where it had to be made. Of several processes the first one wins.

    Raises OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        draft = path.with_name(f"{path.name}.{os.getpid()}")
        try:
            with draft.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileExistsError):
                os.link(draft, path)  # whole or not at all
                sync_folder(path.parent)
        finally:
            draft.unlink(missing_ok=True)
    return path.read_text(encoding="utf-8").strip()


def sync_folder(folder: Path) -> None:
    """Have the names in a folder last over a loss of power. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def client_id() -> str:
    """Who this user on this host is to agents: random, made once, kept in the state folder.

    Raises DeviceError if it can be neither read nor written.
    """
    path = host_state_folder() / "client-id"
    try:
        return written_once(path, uuid.uuid4().hex)
    except OSError as error:
        raise DeviceError(
            f"{path} cannot be read or written: {error.strerror}",
            "set XDG_STATE_HOME to a folder that can be written",
        ) from error
