"""Which code a study runs: a change of it in the middle would change the method without a trace.

Workers are started from the agent's files, each anew: a study on ``local`` runs new code at once where those
are edited, or another commit is checked out. So they are looked at after every process.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import hytnas_agent

STUDY_FILES = ("hog.py", "measuring.py", "methods.py")


def agent_files() -> list[Path]:
    """This machine's agent."""
    return sorted(Path(hytnas_agent.__file__).parent.rglob("*.py"))


def study_files() -> list[Path]:
    """What decides which processes are measured and how, beside the agent's label rule."""
    return [Path(__file__).parent / name for name in STUDY_FILES]


def digest(files: Sequence[Path]) -> str:
    """The first 16 hexadecimal digits of a SHA-256 over names and contents."""
    found = hashlib.sha256()
    for path in files:
        content = path.read_bytes()
        found.update(f"{path.name} {len(content)}\n".encode() + content)
    return found.hexdigest()[:16]


class CodeWatch:
    """Notices that files are no longer what they were; they are read again only where one was touched.

    Parameters
    ----------
    files : sequence of Path
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = files
        self._stamps = self._look()
        self._digest = digest(files)

    def check(self) -> None:
        """Raise SystemExit where the code is another."""
        try:
            stamps = self._look()
            same = stamps == self._stamps or digest(self._files) == self._digest
        except OSError:
            same = False
        if not same:
            raise SystemExit(
                "the code that measures has changed meanwhile, and the last process is not kept: put it back "
                "as it was, and the same command goes on (a study of hours is best run from a copy of the "
                "repository)"
            )
        self._stamps = stamps

    def _look(self) -> list[tuple[int, int]]:
        stats = [path.stat() for path in self._files]
        return [(stat.st_mtime_ns, stat.st_size) for stat in stats]
