"""What `make test` and the gate rely on: the turns lose no test, and no skip goes unseen on many cores."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from .conftest import ALONE, HERE, pytest_ignore_collect, read_list


def test_every_file_has_its_turn_and_one_only() -> None:
    files = sorted(HERE.rglob("test_*.py"))
    left_out = {
        turn: {
            file
            for file in files
            if pytest_ignore_collect(file, SimpleNamespace(getoption=lambda _, t=turn: t))
        }
        for turn in (None, "only", "never")
    }
    assert left_out[None] == set()
    assert left_out["never"] == {HERE / name for name in read_list(ALONE)}, (
        "a file that is named is not there"
    )
    assert left_out["only"] == set(files) - left_out["never"]


@pytest.mark.parametrize("side_by_side", [[], ["--numprocesses", "1"]])
def test_a_skip_that_is_not_allowed_fails_the_run(side_by_side: list[str], tmp_path: Path) -> None:
    file = tmp_path / "test_made_up.py"
    file.write_text("import pytest\n\ndef test_skipped():\n    pytest.skip('it rains')\n")
    words = ["--no-unexpected-skips", "--confcutdir", tmp_path, "--rootdir", tmp_path, *side_by_side, file]
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "tests.conftest", *words]
    found = subprocess.run(command, check=False, capture_output=True, text=True, cwd=HERE.parent, timeout=120)
    assert found.returncode == pytest.ExitCode.TESTS_FAILED
    assert "UNEXPECTED SKIP test_made_up.py::test_skipped" in found.stdout
