"""This machine as a board behind an sshd and a proxy, with an agent whose state is at hand."""

import contextlib
import os
import shutil
import signal
import sqlite3
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

from tests.calm_agent import COMMAND as CALM_AGENT

from hytnas_agent.paths import StateFolder
from hytnas_host.devices.inventory import DeviceEntry, Inventory

from ..ssh.server import SshServer
from .disk import SmallDisk
from .proxy import Proxy

WAIT_S = 120.0


def wait_until(
    condition: Callable[[], object], what: str, timeout_s: float = WAIT_S, every_s: float = 0.01
) -> None:
    """Poll every 10 ms: seldom enough to leave the processor to what is waited for."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for: {what}"
        time.sleep(every_s)


class Board:
    """An agent's state folder behind a server and a proxy of its own.

    Parameters
    ----------
    folder : Path
        For the server's keys and the inventory.
    name : str
        Of the device.
    wrapper : sequence of str
        What the agent is started with, e.g. ``("faketime", ...)``.
    options : sequence of str
        Of the agent's server, where a test starts it with `serve`.
    disk_mib : int, optional
        Size of a disk of its own for the agent's state (a tmpfs; needs root).

    Attributes
    ----------
    accounted_for : set of str
        Jobs of studies that have been compared already.
    """

    def __init__(
        self,
        folder: Path,
        name: str = "board",
        *,
        wrapper: Sequence[str] = (),
        options: Sequence[str] = (),
        disk_mib: int | None = None,
    ) -> None:
        self.name = name
        # Short: the path of a Unix socket holds 107 bytes.
        self.state = StateFolder(Path(tempfile.mkdtemp(prefix="hyt")) / "s")
        self._disk = None if disk_mib is None else SmallDisk(self.state.root.parent, disk_mib)
        folder.mkdir(parents=True, exist_ok=True)
        self.sshd = SshServer(folder)
        self.inventory = Inventory(folder / "devices.toml")
        path = os.environ.get("PYTHONPATH")
        environment = ["env", f"PYTHONPATH={path}"] if path else []
        # What else goes on on the machine that runs the tests is none of the faults that they provoke.
        self._agent = (*environment, *wrapper, *CALM_AGENT)
        self._options = list(options)
        self.accounted_for: set[str] = set()

    def __enter__(self) -> Self:
        if self._disk is not None:
            self._disk.__enter__()
        self.sshd.start()
        self.proxy = Proxy((self.sshd.host, self.sshd.port))
        self.enrol()
        return self

    def __exit__(self, *_: object) -> None:
        self.proxy.__exit__()
        self.stop_agent()
        self.sshd.stop()
        if self._disk is not None:
            self._disk.__exit__()
        shutil.rmtree(self.state.root.parent, ignore_errors=True)

    @property
    def disk(self) -> SmallDisk:
        """The disk of its own."""
        assert self._disk is not None
        return self._disk

    def enrol(self) -> None:
        """Put the board into its inventory, reached through the proxy."""
        self.inventory.put(
            DeviceEntry(
                name=self.name,
                host=self.sshd.host,
                port=self.proxy.port,
                user=self.sshd.user,
                host_key=str(self.sshd.host_key),
                key_files=(str(self.sshd.key_file),),
                agent=self._agent,
                state=str(self.state.root),
            )
        )

    def serve(self, launcher: Sequence[str] = ()) -> None:
        """Start the agent's server now, on its own or by another program than usual."""
        command = launcher or [*self._agent]
        command = [*command, "--state", str(self.state.root), "serve", *self._options]
        pid = os.posix_spawnp(command[0], command, os.environ, setsid=True)
        wait_until(lambda: self.server_pid == pid or _has_ended(pid), "the agent's server")

    @property
    def server_pid(self) -> int | None:
        """The process of the agent's server, if it runs."""
        with contextlib.suppress(OSError, ValueError):
            pid = int(self.state.server_lock.read_text())
            if b"_agent" in Path(f"/proc/{pid}/cmdline").read_bytes() and self.state.socket.exists():
                return pid
        return None

    @property
    def worker_pid(self) -> int | None:
        """The process that measures, if one does."""
        server = self.server_pid
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{server}/task").iterdir():
                for child in (task / "children").read_text().split():
                    if b"hytnas_agent.worker" in Path(f"/proc/{child}/cmdline").read_bytes():
                        return int(child)
        return None

    def stop_agent(self, number: int = signal.SIGKILL) -> None:
        """Send the server a signal and wait for its end."""
        pid = self.server_pid
        if pid is not None:
            os.kill(pid, number)
            wait_until(lambda: _has_ended(pid), "the end of the agent")

    @property
    def jobs(self) -> dict[str, tuple[bool, bool]]:
        """Whether each job of the agent's journal has finished, and is acknowledged; as they finished."""
        if not self.state.journal.exists():
            return {}
        with contextlib.closing(sqlite3.connect(f"file:{self.state.journal}?mode=ro", uri=True)) as database:
            try:
                rows = database.execute(
                    "SELECT job_id, result IS NOT NULL, acknowledged FROM jobs"
                    " ORDER BY finished_unix_s IS NULL, finished_unix_s"
                ).fetchall()
            except sqlite3.OperationalError:
                return {}  # the very first moment of the file
        return {job: (bool(finished), bool(acknowledged)) for job, finished, acknowledged in rows}

    @property
    def measuring(self) -> str | None:
        """The job that has begun and not finished."""
        unfinished = [job for job, (finished, _) in self.jobs.items() if not finished]
        return unfinished[-1] if unfinished else None

    @property
    def unacknowledged(self) -> list[str]:
        """Jobs whose results nobody has acknowledged."""
        return [job for job, (finished, known) in self.jobs.items() if finished and not known]

    @property
    def uploading(self) -> bool:
        """Whether a file is on its way in."""
        try:
            return any(self.state.incoming.iterdir())
        except FileNotFoundError:
            return False


def _has_ended(pid: int) -> bool:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    try:
        return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True
