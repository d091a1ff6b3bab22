"""Every benchmark still finds what it imports; they are run by hand, so a renaming would show late."""

import importlib
from pathlib import Path

import pytest

NAMES = sorted(path.stem for path in (Path(__file__).resolve().parents[2] / "benchmarks").glob("*.py"))


@pytest.mark.parametrize("name", NAMES)
def test_every_benchmark_can_be_imported(name: str) -> None:
    assert importlib.import_module(name).__doc__


def test_all_of_them_are_found() -> None:
    assert {"agent_memory", "search", "zygote"} <= set(NAMES)
