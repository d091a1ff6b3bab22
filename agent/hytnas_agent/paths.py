"""Where the agent keeps its state: one private folder a user."""

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hytnas_agent.account import base_folder
from hytnas_agent.errors import AgentError
from hytnas_agent.own_folder import is_own, make_own, mark, place_for, unmark
from hytnas_agent.whole_file import is_draft_of

STATE_VARIABLE = "HYTNAS_AGENT_STATE"
LEASE_VARIABLE = "HYTNAS_AGENT_LEASE"
FOLDER_NAME = "hytnas-agent"
SPOOL_NAME = re.compile(r"[0-9a-f]{64}\.(onnx|tflite|npz)")
"""What a verified file of the spool is called."""

MAX_SOCKET_PATH_BYTES = 107  # sockaddr_un.sun_path holds 108 with the closing zero: unix(7)


@dataclass(frozen=True)
class StateFolder:
    """The paths under the state folder."""

    root: Path

    @property
    def socket(self) -> Path:
        """The server's Unix socket."""
        return self.root / "agent.sock"

    @property
    def server_lock(self) -> Path:
        """Held by the one server; holds its process id."""
        return self.root / "serve.lock"

    @property
    def server_log(self) -> Path:
        """What a detached server writes to standard error."""
        return self.root / "serve.log"

    @property
    def spool(self) -> Path:
        """Models and reference tensors, named by their hash."""
        return self.root / "spool"

    @property
    def incoming(self) -> Path:
        """Uploads that are not verified yet."""
        return self.spool / "incoming"

    @property
    def journal(self) -> Path:
        """Jobs and their results."""
        return self.root / "journal.sqlite"

    @property
    def lease(self) -> Path:
        """The device's lease. ``HYTNAS_AGENT_LEASE`` may name one file for all users of a board."""
        return Path(os.environ.get(LEASE_VARIABLE) or self._own_lease)

    @property
    def _own_lease(self) -> Path:
        return self.root / "lease.lock"

    @property
    def timed_lock(self) -> Path:
        """Locked by the server while a timed run goes on, whoever asked for it and be they still there."""
        return self.root / "timed.lock"

    @property
    def identity(self) -> Path:
        """A generated identity, where the device has none of its own."""
        return self.root / "identity"

    @property
    def held_governors(self) -> Path:
        """The clock's governors as they were found, while somebody measures."""
        return self.root / "governors-held.json"

    @property
    def tuned(self) -> Path:
        """The clock's governors as they were found before a person had them tuned."""
        return self.root / "governors-tuned.json"

    @property
    def core_speeds(self) -> Path:
        """How fast the cores have been at best."""
        return self.root / "core-speeds.json"

    @property
    def runtimes(self) -> Path:
        """What the runtimes answered when last tried."""
        return self.root / "runtimes.json"

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file that the agent keeps here, apart from those of the spool."""
        journal = [self.journal.with_name(self.journal.name + suffix) for suffix in ("", "-wal", "-shm")]
        return (
            self.socket,
            self.server_lock,
            self.server_log,
            self._own_lease,
            self.timed_lock,
            self.identity,
            self.runtimes,
            self.core_speeds,
            self.held_governors,
            self.tuned,
            *journal,
        )

    def is_own_file(self, name: str) -> bool:
        """Whether the agent gives this name to a file that it keeps in the folder."""
        return any(name == file.name or is_draft_of(name, file) for file in self.files)

    def _spooled(self) -> Iterator[Path]:
        """Verified files and uploads; an upload may have any name."""
        with contextlib.suppress(FileNotFoundError):
            yield from (path for path in self.spool.iterdir() if SPOOL_NAME.fullmatch(path.name))
        with contextlib.suppress(FileNotFoundError):
            yield from (path for path in self.incoming.iterdir() if path.is_symlink() or not path.is_dir())

    def delete(self) -> None:
        """Delete what the agent keeps here, by name; the folder, too, if the agent made it and it is empty.

        `hytnas_agent.removal` says when that may be done.

        Raises
        ------
        AgentError
            If something cannot be deleted.
        """
        try:
            for path in self._spooled():
                path.unlink(missing_ok=True)
            for folder in (self.incoming, self.spool):
                _remove_empty(folder)
            for path in list(self.root.iterdir()):
                if self.is_own_file(path.name):
                    path.unlink(missing_ok=True)
            if is_own(self.root):
                unmark(self.root)
                # A new agent may have begun to use it.
                if not _remove_empty(self.root) and any(map(self.is_own_file, os.listdir(self.root))):
                    mark(self.root)
        except OSError as error:
            raise AgentError(f"{error.filename} cannot be deleted: {error.strerror}") from error

    def create(self) -> "StateFolder":
        """Create the folder with mode 0700 and its parts.

        Raises
        ------
        AgentError
            If it cannot be created, belongs to someone else, holds something else than an agent's state, or
            its path is too long for a Unix socket.
        """
        if len(os.fsencode(self.socket)) > MAX_SOCKET_PATH_BYTES:
            raise AgentError(
                f"the socket path {self.socket} is longer than Linux allows ({MAX_SOCKET_PATH_BYTES})",
                f"Choose a shorter folder with --state or {STATE_VARIABLE}",
            )
        if self.root.is_symlink():
            raise AgentError(
                f"the state folder {self.root} is a link",
                f"Name the folder that it leads to with --state or {STATE_VARIABLE}",
            )
        try:
            if _is_unmarked_default(self):
                mark(self.root)
            elif not make_own(self.root):
                raise AgentError(
                    f"{self.root} is there already and no agent has made it",
                    f"Name a folder that does not exist yet with --state or {STATE_VARIABLE}",
                )
            status = self.root.stat()
            if status.st_uid != os.geteuid():
                raise AgentError(
                    f"the state folder {self.root} belongs to another user (uid {status.st_uid})",
                    f"Choose one of your own with --state or {STATE_VARIABLE}",
                )
            if status.st_mode & 0o077:
                self.root.chmod(0o700)
            self.spool.mkdir(mode=0o700, exist_ok=True)
            self.incoming.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise AgentError(
                f"the state folder {self.root} cannot be used: {error.filename}: {error.strerror or error}",
                f"Choose another with --state or {STATE_VARIABLE}",
            ) from error
        return self


def _remove_empty(folder: Path) -> bool:
    """Remove a folder; whether it could be: one with something in it, and a link, stay."""
    with contextlib.suppress(OSError):
        folder.rmdir()
        return True
    return False


def _default_folder() -> Path:
    return base_folder("XDG_STATE_HOME", ".local/state") / FOLDER_NAME


def _is_unmarked_default(state: StateFolder) -> bool:
    """Whether it is the default folder, which nobody has named, and nothing of somebody else's is in it."""
    root = state.root
    with contextlib.suppress(OSError, AgentError):  # without a home there is no default
        return (
            root == _default_folder()
            and not root.is_symlink()
            and all(name == state.spool.name or state.is_own_file(name) for name in os.listdir(root))
        )
    return False


def state_folder(path: str | os.PathLike[str] | None = None) -> StateFolder:
    """The state folder at ``path``, else ``HYTNAS_AGENT_STATE``, else under ``XDG_STATE_HOME``.

    An empty text counts as not given. A folder that is there already and that no agent has made stays as it
    is: the state folder is ``hytnas-agent`` inside it.
    """
    chosen = path or os.environ.get(STATE_VARIABLE)
    folder = Path(os.path.expanduser(chosen)).absolute() if chosen else _default_folder()
    state = StateFolder(folder)
    return state if _is_unmarked_default(state) else StateFolder(place_for(folder, FOLDER_NAME))
