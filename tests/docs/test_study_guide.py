"""The guide to a study names the files that a study has."""

import re
from pathlib import Path

from hytnas_host.study_files import StudyFiles

GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "study.md"


def test_the_named_files_are_those_of_a_study() -> None:
    files = StudyFiles(Path())
    known = {
        files.search,
        files.searched_space,
        files.search_checkpoint("*"),
        files.verification,
        files.run,
        files.leaderboard("latency_ms"),
        files.leaderboard("accuracy"),
        files.report,
    }
    table = [line.split("|")[1] for line in GUIDE.read_text().splitlines() if line.startswith("|")]
    names = (name for cell in table for name in re.findall(r"`([^`]+)`", cell))
    named = {name for name in names if name.endswith((".json", ".jsonl", ".html", ".toml"))}
    assert named == {str(path) for path in known}
