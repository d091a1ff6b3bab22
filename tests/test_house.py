"""What keeps the house in order: one class of a name in a package, one word for a thing, one atomic write."""

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("agent", "datasets", "predictors", "host")
FORMER_WORDS = re.compile(
    r"\b(?i:crew|ledger|fleet|tenan(?:t|cy)|caveats?|verify-front|verify-control)\b|\b_?(?:LEAST|MOST)_[A-Z]"
)


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("package", PACKAGES)
def test_no_two_classes_of_a_package_have_one_name(package: str) -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for path in modules(package):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(str(path.relative_to(ROOT)))
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


@pytest.mark.parametrize("package", PACKAGES)
def test_a_thing_is_called_by_its_word(package: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path in modules(package)
        for match in FORMER_WORDS.finditer(path.read_text())
    ]
    assert found == []


def test_files_are_brought_to_the_disk_in_one_place() -> None:
    """The others hold a lock's file, check an upload that somebody else wrote, or add to a file."""
    found = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in modules(package)
        if "os.fsync(" in path.read_text()
    }
    assert found == {
        "agent/hytnas_agent/whole_file.py",
        "agent/hytnas_agent/lease.py",
        "agent/hytnas_agent/spool.py",
        "host/hytnas_host/search/checkpoint.py",
    }
