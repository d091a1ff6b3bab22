"""A workstation that knows the boards: `hytnas-profile` as processes, with settings and state apart."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from .base import Board

PROFILE = Path(sys.executable).with_name("hytnas-profile")


class Run:
    """A command that runs.

    Parameters
    ----------
    words : list of str
    environment : dict
    log_file : Path
        Where all goes that it says.
    """

    def __init__(self, words: list[str], environment: dict[str, str], log_file: Path) -> None:
        self._log_file = log_file
        with log_file.open("wb") as log:
            self._process = subprocess.Popen(
                words,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def said(self) -> str:
        """What it has said so far."""
        return self._log_file.read_text()

    def wait_until_it_says(self, text: str, timeout_s: float) -> None:
        """Wait for a line; the command must not end before."""
        deadline = time.monotonic() + timeout_s
        while text not in self.said:
            assert self._process.poll() is None, f"it ended without saying {text!r}:\n{self.said}"
            assert time.monotonic() < deadline, f"it has not said {text!r}:\n{self.said}"
            time.sleep(0.1)

    def wait(self, timeout_s: float) -> int:
        """Its exit status."""
        return self._process.wait(timeout_s)

    def kill(self) -> None:
        """End it and its helpers, if they run."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


class Host:
    """Enrols boards, provisions them and collects, as a person does at the command line.

    Parameters
    ----------
    folder : Path
        For its inventory, its state, logs and studies.

    Attributes
    ----------
    settings : dict
        Environment variables by which this is another host than whoever runs the tests.

    Notes
    -----
    Wheels come from the cache of whoever runs the tests.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = {
            "XDG_CONFIG_HOME": str(folder / "config"),
            "XDG_STATE_HOME": str(folder / "state"),
        }
        self._environment = {**os.environ, **self.settings, "NO_COLOR": "1", "COLUMNS": "200"}
        # The toolkit under test runs here as on the board: nothing but the board may say that it is emulated.
        self._environment.pop("HYTNAS_AGENT_EXECUTION", None)
        self._runs: list[Run] = []

    def start(self, *words: object) -> Run:
        """Start `hytnas-profile` with these words."""
        log_file = self.folder / f"run-{len(self._runs):02}.log"
        run = Run([str(PROFILE), *map(str, words)], self._environment, log_file)
        self._runs.append(run)
        return run

    def run(self, *words: object, timeout_s: float = 900) -> str:
        """Run `hytnas-profile` with these words to its good end; what it said."""
        run = self.start(*words)
        status = run.wait(timeout_s)
        assert status == 0, f"{' '.join(map(str, words))}: status {status}\n{run.said}"
        return run.said

    def enrol(self, board: Board) -> str:
        """Make a board known by its own name."""
        address = f"{board.user}@{board.host}"
        where = ("--port", board.port, "--key", board.key_file)
        return self.run("device", "enrol", address, *where, "--name", board.name, "--yes")

    def close(self) -> None:
        """End what still runs."""
        for run in self._runs:
            run.kill()
