"""A board at the end of a connection: commands that succeed or say why not, files that arrive whole."""

import posixpath
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from hytnas_host.devices.errors import DeviceError
from hytnas_host.devices.ssh import Completed
from hytnas_host.provision.errors import ProvisionError

QUICK_S = 60.0
_STILL_LOCKED = 75  # EX_TEMPFAIL of sysexits.h
AGAIN = "Run the same command again once the board answers: it goes on where it was"


class Shell(Protocol):
    """What is needed of a connection; raises OSError or DeviceError where the board cannot be reached."""

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", timeout_s: float) -> Completed:
        """Run a command on the board and wait for its end."""
        ...

    def put(self, file: Path, destination: str) -> None:
        """Copy a file to an absolute path on the board."""
        ...


class Board:
    """Commands on one board.

    Parameters
    ----------
    shell : Shell
        The connection.
    name : str
        The device's name, for messages.
    """

    def __init__(self, shell: Shell, name: str) -> None:
        self._shell, self.name = shell, name

    def ask(
        self, argv: Sequence[str], what: str, *, stdin: bytes = b"", timeout_s: float = QUICK_S
    ) -> Completed:
        """Run a command, however it ends; ``what`` says what was going on, as "asking for ...".

        Raises
        ------
        ProvisionError
            If the board cannot be reached.
        """
        try:
            return self._shell.run(argv, stdin=stdin, timeout_s=timeout_s)
        except (OSError, DeviceError) as error:
            raise self._failed(what, error) from error

    def run(self, argv: Sequence[str], what: str, *, stdin: bytes = b"", timeout_s: float = QUICK_S) -> bytes:
        """Run a command that has to succeed; its standard output.

        Raises
        ------
        ProvisionError
            If it fails, quoting its last words, or if the board cannot be reached.
        """
        done = self.ask(argv, what, stdin=stdin, timeout_s=timeout_s)
        self._check(done, what)
        return done.stdout

    def run_alone(self, lock: str, argv: Sequence[str], what: str, *, timeout_s: float) -> None:
        """Run a command that must not run twice at once: one that outlived its connection is waited for.

        Raises
        ------
        ProvisionError
            As `run`; or if the earlier one does not end in time.
        """
        alone = ["flock", "--wait", f"{timeout_s:.0f}", "--conflict-exit-code", str(_STILL_LOCKED), lock]
        done = self.ask([*alone, *argv], what, timeout_s=2 * timeout_s)
        if done.status == _STILL_LOCKED:
            raise ProvisionError(
                f"{self.name}: another installation is still going on there",
                "Run the same command again later",
            )
        self._check(done, what)

    def push(self, file: Path, sha256: str, destination: str) -> None:
        """Copy a file and check its hash there; it has its name only once it is whole.

        Raises
        ------
        ProvisionError
            If it arrives damaged, or the board is lost or full.
        """
        part = f"{destination}.part"
        what = f"copying {file.name}"
        self.run(["mkdir", "-p", posixpath.dirname(destination)], what)
        try:
            self._shell.put(file, part)
        except (OSError, DeviceError) as error:
            raise self._failed(what, error) from error
        found = self.run(["sha256sum", "--binary", part], f"checking {file.name}").split(maxsplit=1)
        if not found or found[0].lstrip(b"\\") != sha256.encode():
            self.run(["rm", "-f", part], "removing a damaged file")
            raise ProvisionError(
                f"{self.name}: {file.name} arrived damaged",
                "Run the same command again; if it happens again, check the board's SD card and power supply",
            )
        self.run(["mv", "-fT", part, destination], what)

    def write(self, text: str, destination: str) -> None:
        """Write a small file so that it is there whole or not at all."""
        what = f"writing {posixpath.basename(destination)}"
        self.run(["mkdir", "-p", posixpath.dirname(destination)], what)
        self.run(["tee", f"{destination}.part"], what, stdin=text.encode())
        self.run(["mv", "-fT", f"{destination}.part", destination], what)

    def point(self, link: str, target: str) -> None:
        """Make a symbolic link point elsewhere in one step: no moment without it."""
        what = f"switching {posixpath.basename(link)}"
        self.run(["ln", "-sfn", target, f"{link}.part"], what)
        self.run(["mv", "-fT", f"{link}.part", link], what)

    def _check(self, done: Completed, what: str) -> None:
        if done.status == 0:
            return
        said = (done.stderr or done.stdout).decode(errors="replace").strip()
        if "No space left on device" in said:
            raise ProvisionError(
                f"{self.name}: the disk is full: {what} failed", "Free some space there and run it again"
            )
        last = said.splitlines()[-1] if said else f"status {done.status}"
        raise ProvisionError(f"{self.name}: {what} failed: {last}")

    def _failed(self, what: str, error: OSError | DeviceError) -> ProvisionError:
        """A lost board, which the same command gets over, or what the connection refused for a reason."""
        if isinstance(error, DeviceError) and not isinstance(error, OSError):
            return ProvisionError(f"{self.name}: {what} failed: {error.what}", error.next_step)
        why = error.what if isinstance(error, DeviceError) else str(error) or type(error).__name__
        return ProvisionError(f"{self.name}: lost while {what}: {why}", AGAIN)
