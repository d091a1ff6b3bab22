"""What cannot be measured is refused before anything is written."""

import subprocess
import sys
from pathlib import Path

import noise_study
import pytest


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--min-processes", "2"], "at least 3 processes"),
        (["--max-processes", "4"], "5 to 4 processes"),
        (["--target", "0"], "is not positive"),
        (["--target", "-1"], "is not positive"),
        (["--repeats", "1"], "at least 2 architectures and 2 repeats"),
        (["--conditions", "quiet,loud"], "unknown condition loud"),
        (["--hog-idle-s", "0"], "must be above 0 seconds"),
        (["--timed-budget-s", "-1"], "must be above 0 seconds"),
    ],
)
def test_options_that_make_no_study_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    with pytest.raises(SystemExit):
        noise_study.parsed(["--folder", str(tmp_path / "study"), *words])
    assert told in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_core_that_is_not_there_is_refused_and_the_folder_can_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "study"
    monkeypatch.setattr("sys.argv", ["noise_study.py", "--folder", str(folder), "--core", "99"])
    try:
        with pytest.raises(SystemExit, match="has no core 99: its cores are 0 to"):
            noise_study.main()
    finally:
        agent = [sys.executable, "-P", "-m", "hytnas_agent", "--state", str(folder / "agent")]
        subprocess.run([*agent, "stop"], check=True, timeout=30)
    assert (folder / "journal.jsonl").read_bytes() == b""
