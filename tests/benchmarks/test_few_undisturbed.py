"""Journals in which disturbed processes are much slower: what each way of making a label comes to."""

import subprocess
import sys
from pathlib import Path

import few_undisturbed
import numpy as np
import pytest
from noise.journal import Block, Header, Journal, Process

from hytnas_agent.records import Outcome

MODELS = ("a", "b", "c")
HEADER = Header(
    "local", "board", "context", "0.1", "a0", "b0", 64, 0, MODELS, 1, 0, 0.1, 0.015, 5, 10, 4.0, 8.0
)


def write(path: Path, passes: int) -> Path:
    """Three first attempts at each label are disturbed and slower by 40 to 80 %, their further ones not."""
    attempts = ((0, 1.8), (1, 1.0), (2, 1.5), (3, 1.4), (4, 1.0), (0, 1.0), (2, 1.0), (3, 1.0))
    with Journal(path) as journal:
        journal.add(HEADER)
        for repeat in range(passes):
            for number, model in enumerate(MODELS):
                for replicate, factor in attempts:
                    value = factor * (5.0 + number)
                    journal.add(
                        Process(
                            "quiet", repeat, model, "ours", replicate, "", Outcome.OK, 0.0, 0.5, (value,),
                            usable=factor == 1.0,
                        )
                    )  # fmt: skip
            journal.add(Block("quiet", repeat, 10.0, 0.5))
    return path


def test_one_undisturbed_process_is_right_and_any_median_with_others_is_not(tmp_path: Path) -> None:
    with Journal(write(tmp_path / "journal.jsonl", 2), writable=False) as journal:
        rows = {(row["undisturbed"], row["label_of"]): row for row in few_undisturbed.worth([journal])}
    # Stretches of three hold one undisturbed attempt (1.8, 1.0, 1.5), those of five two (..., 1.4, 1.0).
    assert {few for few, _ in rows} == {1, 2}
    right = rows[1, "the undisturbed, or the fastest"]
    assert (right["stretches"], right["off"]) == (len(MODELS) * 2, 0.0)
    assert right["rms"] == pytest.approx(0.0, abs=1e-12)
    for way in ("made up to three", "all"):
        assert rows[1, way]["rms"] == pytest.approx(np.log(1.5))
        assert rows[1, way]["off"] == 1.0
    assert rows[2, "made up to three"]["rms"] == pytest.approx(0.0, abs=1e-12)
    assert rows[2, "all"]["rms"] == pytest.approx(np.log(1.4))


def test_later_repeats_are_held_against_all(tmp_path: Path) -> None:
    with Journal(write(tmp_path / "journal.jsonl", 3), writable=False) as journal:
        rows = {first: few_undisturbed.worth([journal], first) for first in (0, 2, 3)}
    assert [row["stretches"] for row in rows[0]] == [3 * row["stretches"] for row in rows[2]]
    assert [row["rms"] for row in rows[2]] == pytest.approx([row["rms"] for row in rows[0]])
    assert rows[3] == []


def test_the_fastest_stands_where_none_was_undisturbed() -> None:
    assert few_undisturbed.WAYS["the undisturbed, or the fastest"]([], [1.4, 1.5, 1.8]) == 1.4
    assert few_undisturbed.WAYS["made up to three"]([], [1.4, 1.5, 1.8, 2.0]) == 1.5


def test_what_cannot_be_told_is_said(tmp_path: Path) -> None:
    program = [sys.executable, few_undisturbed.__file__]
    short, enough = write(tmp_path / "journal.jsonl", 1), write(tmp_path / "enough.jsonl", 2)
    for words, told in (
        ([short], "needs two passes"),
        ([tmp_path / "none"], "there is no journal"),
        ([enough, "--from-repeat", "3"], "no label from repeat 3 on"),
    ):
        found = subprocess.run([*program, *map(str, words)], capture_output=True, text=True, check=False)
        assert found.returncode == 1
        assert told in found.stderr
