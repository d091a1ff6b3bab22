"""Where the agent keeps its state: one private folder a user."""

import contextlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from hytnas_agent.errors import AgentError
from hytnas_agent.whole_file import DRAFTS

STATE_VARIABLE = "HYTNAS_AGENT_STATE"
LEASE_VARIABLE = "HYTNAS_AGENT_LEASE"
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
        return Path(os.environ.get(LEASE_VARIABLE) or self.root / "lease.lock")

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

    def delete(self) -> None:
        """Delete what the agent keeps here, and the folder if nothing else is in it.

        `hytnas_agent.removal` says when that may be done.

        Raises
        ------
        AgentError
            If something cannot be deleted.
        """
        journal = [self.journal.with_name(self.journal.name + suffix) for suffix in ("", "-wal", "-shm")]
        own = [
            self.socket,
            self.server_log,
            self.timed_lock,
            self.identity,
            self.runtimes,
            self.core_speeds,
            self.held_governors,
            self.tuned,
            *journal,
        ]
        try:
            if self.spool.exists():
                shutil.rmtree(self.spool)
            for path in (*own, *self.root.glob("*.lock"), *self.root.glob(DRAFTS)):
                path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # not empty: something of somebody else's
                self.root.rmdir()
        except OSError as error:
            raise AgentError(f"{error.filename} cannot be deleted: {error.strerror}") from error

    def create(self) -> "StateFolder":
        """Create the folder with mode 0700 and its parts; refuse one that others can read or write.

        Raises
        ------
        AgentError
            If it cannot be created, belongs to someone else, or its path is too long for a Unix socket.
        """
        if len(os.fsencode(self.socket)) > MAX_SOCKET_PATH_BYTES:
            raise AgentError(
                f"the socket path {self.socket} is longer than Linux allows ({MAX_SOCKET_PATH_BYTES})",
                f"Choose a shorter folder with --state or {STATE_VARIABLE}",
            )
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            status = self.root.stat()
            if status.st_uid != os.geteuid():
                raise AgentError(
                    f"the state folder {self.root} belongs to another user (uid {status.st_uid})",
                    f"Choose one of your own with --state or {STATE_VARIABLE}",
                )
            if status.st_mode & 0o077:
                self.root.chmod(0o700)
            self.incoming.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise AgentError(
                f"the state folder {self.root} cannot be used: {error.strerror or error}",
                f"Choose another with --state or {STATE_VARIABLE}",
            ) from error
        return self


def state_folder(path: str | os.PathLike[str] | None = None) -> StateFolder:
    """The state folder at ``path``, else ``HYTNAS_AGENT_STATE``, else under ``XDG_STATE_HOME``."""
    chosen = path or os.environ.get(STATE_VARIABLE)
    if chosen is None:
        base = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
        chosen = Path(base) / "hytnas-agent"
    return StateFolder(Path(chosen).expanduser().absolute())
