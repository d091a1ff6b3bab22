"""`hytnas-profile collect latency` as a process of its own, at the mercy of a test."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

PROFILE = Path(sys.executable).with_name("hytnas-profile")
RUN_TIMEOUT_S = 240.0


class Collection:
    """The command and the study it fills; started as often as it takes.

    Parameters
    ----------
    study : Path
    devices : sequence of str
    inventory : Path
        The inventory's file.
    home : Path
        Of the person: the host's identity is there, another one is another host, and the SSH configuration.
    options : sequence of str
        Of ``collect latency``.
    """

    def __init__(
        self, study: Path, devices: Sequence[str], inventory: Path, home: Path, options: Sequence[str]
    ) -> None:
        self.study = study
        self.command = [str(PROFILE), "collect", "latency", "--study", str(study), *options]
        for device in devices:
            self.command += ["--device", device]
        self._environment = os.environ | {
            "HOME": str(home),
            "XDG_STATE_HOME": str(home),
            "HYTNAS_DEVICES": str(inventory),
            "NO_COLOR": "1",
        }
        self._ssh_config = home / ".ssh/config"
        self._process: subprocess.Popen[str] | None = None

    def configure_ssh(self, text: str) -> None:
        """Write the person's SSH configuration."""
        self._ssh_config.parent.mkdir(parents=True, exist_ok=True)
        self._ssh_config.write_text(text)

    def start(self) -> None:
        """Run the command."""
        self._process = subprocess.Popen(
            self.command,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def runs_for(self, seconds: float) -> bool:
        """Wait so long, or until it ends; whether it still runs."""
        assert self._process is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        return self.running

    def wait(self) -> tuple[int, str]:
        """Its exit status and all it said."""
        assert self._process is not None
        try:
            said, _ = self._process.communicate(timeout=RUN_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        return self._process.returncode, said

    def run(self) -> tuple[int, str]:
        """Run the command to its end."""
        self.start()
        return self.wait()

    def finish(self) -> str:
        """Run the command until it has ended well; what it said."""
        status, said = self.run()
        assert status == 0, said
        return said

    def signal(self, number: int) -> None:
        """To the command's process alone."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """End it as a power cut would, its helpers with it; what it leaves behind is for the next run."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.communicate()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        """What the study holds; nothing where there is none yet."""
        file = self.study / "study.sqlite"
        if not file.exists():
            return []
        with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
            try:
                return database.execute(sql).fetchall()
            except sqlite3.OperationalError:
                return []

    def count(self, table: str) -> int:
        """How many rows a table has."""
        return len(self.rows(f"SELECT rowid FROM {table}"))

    @property
    def stored(self) -> set[object]:
        """Ids of the jobs whose results are in the study."""
        return {job for (job,) in self.rows("SELECT job_id FROM result")}

    @contextlib.contextmanager
    def locked(self):
        """While held, the study cannot be written by anybody."""
        with contextlib.closing(
            sqlite3.connect(self.study / "study.sqlite", timeout=60, isolation_level=None)
        ) as database:
            database.execute("BEGIN IMMEDIATE")
            yield
            database.execute("ROLLBACK")
