"""Options every test run shares."""

import gc
import os
import signal
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ALLOWED_SKIPS = HERE / "allowed-skips.txt"
ALONE = HERE / "alone.txt"

# The commands print as they do into a pipe, however wide the terminal is that the tests are run from.
os.environ.pop("COLUMNS", None)


def read_list(file: Path) -> set[str]:
    """The lines of a list, but for empty ones and comments."""
    lines = (line.strip() for line in file.read_text().splitlines())
    return {line for line in lines if line and not line.startswith("#")}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--no-unexpected-skips",
        action="store_true",
        help="fail where a test is skipped that tests/allowed-skips.txt does not name",
    )
    parser.addoption(
        "--alone",
        choices=("only", "never"),
        help=f"run only the files that {ALONE.name} names, or only the others; all by default",
    )
    parser.addoption(
        "--fault-table",
        action="append",
        default=[],
        metavar="FILE",
        help="write the table of faults that were survived to this .md or .json file (tests/system/faults)",
    )
    parser.addoption(
        "--host-kills",
        type=int,
        default=20,
        metavar="N",
        help="how often the host is killed in the middle of a collection (tests/system/faults)",
    )


class _SkipGuard:
    """Collects the skipped tests and fails the session for those that are not allowed."""

    def __init__(self) -> None:
        self.allowed = read_list(ALLOWED_SKIPS)
        self.unexpected: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and report.nodeid not in self.allowed:
            self.unexpected.append(report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.skipped and report.nodeid not in self.allowed:
            self.unexpected.append(report.nodeid)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.unexpected and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for nodeid in self.unexpected:
            terminalreporter.write_line(
                f"UNEXPECTED SKIP {nodeid} (not named in {ALLOWED_SKIPS.name})", red=True
            )


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out the files that are of the other turn; None lets others decide."""
    turn = config.getoption("--alone")
    if turn is None or not collection_path.is_relative_to(HERE) or collection_path.name == "conftest.py":
        return None
    place = collection_path.relative_to(HERE)
    named = [Path(line) for line in read_list(ALONE)]
    if collection_path.is_dir():
        # A folder without any is not entered: its conftest.py would import much for nothing.
        return (turn == "only" and not any(file.is_relative_to(place) for file in named)) or None
    if collection_path.suffix != ".py":
        return None
    return (place in named) != (turn == "only") or None


def pytest_collection_finish() -> None:
    """Keep what the imports have made out of later garbage collections; timed runs begin with a whole one."""
    gc.collect()
    gc.freeze()


def pytest_configure(config: pytest.Config) -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # Started in the background of a shell, which ignores Ctrl-C; its tests need it, in children too.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if config.getoption("--no-unexpected-skips"):
        config.pluginmanager.register(_SkipGuard(), "skip-guard")
