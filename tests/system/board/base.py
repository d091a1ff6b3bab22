"""What both stand-ins have in common: a process, an SSH server on a loopback port, a folder of their own."""

import contextlib
import fcntl
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from .image import HERE, Image, board_image

HOST = "127.0.0.1"
_PREFIX = "hytnas-board-"


class BoardError(Exception):
    """A stand-in did not do what it was told, with what it logged."""


class Board(ABC):
    """A board that is off until `start`; what it writes lasts until `close` and never reaches the image.

    Parameters
    ----------
    name : the host name.

    Notes
    -----
    `with ChrootBoard() as board:` starts and closes. Port, serial number, machine id and (chroot) host key
    stay the same over `stop`, `start`, `reboot` and `power_cut`.
    """

    host = HOST
    user = "pi"
    start_timeout_s: float  # generous: other work may hold the processors

    def __init__(self, name: str = "raspberrypi") -> None:
        self.name = name
        self.image: Image = board_image()
        self.key_file = self.image.key_file
        self.serial = f"00000000{secrets.token_hex(4)}"
        self.machine_id = secrets.token_hex(16)
        _remove_abandoned()
        self.folder, self._lock = _locked_folder()
        self._image_lock = self.image.in_use()
        self.known_hosts_file = self.folder / "known_hosts"
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self.host_key = self._prepare()
            self.port = free_port()
            self.known_hosts_file.write_text(self.host_key_line + "\n")
        except BaseException:
            self.close()
            raise

    @abstractmethod
    def _prepare(self) -> str:
        """Fill the board's folder; returns its host key, as `ssh-ed25519 AAAA...`."""

    @abstractmethod
    def _command(self) -> list[str]:
        """The process that is the board."""

    @abstractmethod
    def reboot(self) -> None:
        """Restart in order; files stay, processes end. Returns when SSH answers again."""

    @property
    def host_key_line(self) -> str:
        """The board's line of a known_hosts file."""
        return f"[{self.host}]:{self.port} {self.host_key}"

    @property
    def log_files(self) -> list[Path]:
        """What the board and its emulator wrote, over all its starts."""
        return sorted(self.folder.glob("*.log"))

    def logs(self) -> str:
        """The ends of all log files."""
        ends = [(file.name, file.read_text(errors="replace")[-4000:]) for file in self.log_files]
        return "\n".join(f"--- {name}\n{end}" for name, end in ends)

    @property
    def running(self) -> bool:
        """Whether the board has power."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Switch on, and wait until SSH answers."""
        if self.running:
            raise BoardError(f"{self.name} runs already")
        with (self.folder / "emulator.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, str(HERE / "guard.py"), *self._command()],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            self.wait_for_ssh()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Take the power away: every process of the board is killed, and gone when this returns."""
        if self._process is None:
            return
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=120)
        self._process = None

    def power_cut(self) -> None:
        """Take the power away and give it back. Returns when SSH answers again."""
        self.stop()
        self.start()

    def close(self) -> None:
        """Stop, and forget all that the board has written."""
        self.stop()
        os.close(self._lock)
        os.close(self._image_lock)
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def ssh_command(self, *words: str, user: str | None = None) -> list[str]:
        """An ssh command line that knows this board's key and host key, and none of the person's settings."""
        options = {
            "BatchMode": "yes",
            "IdentitiesOnly": "yes",
            "IdentityFile": str(self.key_file),
            "UserKnownHostsFile": str(self.known_hosts_file),
            "GlobalKnownHostsFile": "/dev/null",
            "StrictHostKeyChecking": "yes",
            "ConnectTimeout": "60",
            "LogLevel": "ERROR",
        }
        flags = [f"-o{key}={value}" for key, value in options.items()]
        return ["ssh", "-F", "none", *flags, "-p", str(self.port), f"{user or self.user}@{self.host}", *words]

    def ssh(
        self,
        command: str,
        *,
        user: str | None = None,
        input: str | None = None,
        timeout_s: float = 300,
        check: bool = False,
    ) -> subprocess.CompletedProcess[str]:
        """Run a shell command on the board, as `pi` unless told otherwise."""
        done = subprocess.run(
            self.ssh_command(command, user=user),
            input="" if input is None else input,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        if check and done.returncode != 0:
            said = done.stdout + done.stderr
            raise BoardError(f"{command!r} on {self.name}: status {done.returncode}\n{said}")
        return done

    def wait_for_ssh(self) -> None:
        """Wait until a login succeeds.

        Raises
        ------
        BoardError : the board's process ended, or the time is over.
        """
        deadline = time.monotonic() + self.start_timeout_s
        last = ""
        while time.monotonic() < deadline:
            if not self.running:
                raise BoardError(f"{self.name} went off while starting\n{self.logs()}")
            with contextlib.suppress(subprocess.TimeoutExpired):
                answer = self.ssh("true", timeout_s=60)
                if answer.returncode == 0:
                    return
                last = answer.stderr
            time.sleep(0.3)
        raise BoardError(f"{self.name}: no SSH in {self.start_timeout_s:g} s: {last}\n{self.logs()}")


def free_port() -> int:
    """A loopback port that nobody listens on, outside the range that outgoing connections are given."""
    while True:
        port = 20000 + secrets.randbelow(12000)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind((HOST, port))
            return port


def _locked_folder() -> tuple[Path, int]:
    """A new folder, locked before it takes the name by which others would find it abandoned."""
    draft = Path(tempfile.mkdtemp(prefix=f"new-{_PREFIX}"))
    descriptor = os.open(draft / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return draft.rename(draft.with_name(draft.name.removeprefix("new-"))), descriptor


def _abandoned() -> Iterator[Path]:
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            descriptor = os.open(folder / "lock", os.O_RDWR)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                yield folder
            finally:
                os.close(descriptor)


def _remove_abandoned() -> None:
    """Remove what killed tests left. Processes and mounts need no care: they ended with the tests."""
    for folder in _abandoned():
        shutil.rmtree(folder, ignore_errors=True)
