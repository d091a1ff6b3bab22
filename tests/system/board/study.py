"""What a collection on emulated boards must have brought home."""

import collections
import contextlib
import csv
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import msgspec

from hytnas_agent.records import EXECUTION_WORDS, ProcessResult

from ..faults.dataset import DataSet, read_dataset
from .base import Board
from .host import Host

SMALL = ("--space", Path(__file__).with_name("small.toml"), "--resolution", 24)
"""Options of ``collect latency``: networks that an emulated processor runs in little time."""

WORDS = EXECUTION_WORDS["emulated"]
JOURNAL = ".local/state/hytnas-agent/journal.sqlite"
_ASK_JOURNAL = f"""
import pathlib, sqlite3
database = sqlite3.connect(pathlib.Path.home() / {JOURNAL!r})
for job, done, known in database.execute("SELECT job_id, result IS NOT NULL, acknowledged FROM jobs"):
    print(job, done, known)
"""


def exactly(processes: int) -> tuple[object, ...]:
    """Options of ``collect latency``: so many processes a model, whatever the noise of the emulation."""
    return ("--processes", processes, "--max-processes", processes, "--drift-tolerance", 100)


def assert_recognised(board: Board) -> None:
    """The agent finds out by itself that the board is emulated."""
    ask = "from hytnas_agent.device.identity import read_hardware; print(read_hardware().execution)"
    python = "~/.local/share/hytnas/current/bin/python"
    asked = f"env --unset=HYTNAS_AGENT_EXECUTION {python} -c '{ask}'"
    assert board.ssh(asked, check=True).stdout.strip() == "emulated"


def assert_complete(study: Path, *, models: int, processes: int) -> DataSet:
    """Every model has a label, and all its processes on the label's device: no fewer, and no more.

    Where a model changed boards, what the first one measured of it stays beside that.
    """
    data = read_dataset(study)
    labels = {sha256: device for purpose, sha256, device, *_ in data.rows["labels"] if purpose == "latency"}
    assert len(labels) == len(data.rows["labels"]) == models
    assert {row[-1] for row in data.rows["labels"]} == {"OK"}
    found = collections.Counter(row[:-1] for row in data.rows["results"])
    twice = {slot: count for slot, count in found.items() if count > 1}
    assert not twice, f"measured twice: {twice}"
    for sha256, device in labels.items():
        slots = [("timed", replicate) for replicate in range(processes)] + [("memory", 0)]
        expected = {("latency", sha256, *slot, device) for slot in slots}
        assert {slot for slot in found if (slot[1], slot[4]) == (sha256, device)} == expected
    return data


def assert_nothing_waits(boards: Sequence[Board], *studies: Path) -> None:
    """The boards' agents have no result that is not in one of the studies, and know that it is there."""
    stored = set()
    for study in studies:
        with contextlib.closing(sqlite3.connect(study / "study.sqlite")) as database:
            stored |= {job for (job,) in database.execute("SELECT job_id FROM result")}
    for board in boards:
        told = board.ssh("python3 -", input=_ASK_JOURNAL, check=True).stdout.split()
        jobs = list(zip(told[::3], told[1::3], told[2::3], strict=True))
        assert jobs, f"{board.name} has not taken part"
        finished = {job for job, done, _ in jobs if done == "1"}
        assert finished <= stored, f"measured on {board.name} and not stored: {finished - stored}"
        assert {job for job, done, known in jobs if done == "1" and known == "0"} == set()


def assert_says_emulated(host: Host, study: Path) -> None:
    """Each record, the tables, the description and the report say that this was no real board."""
    with contextlib.closing(sqlite3.connect(study / "study.sqlite")) as database:
        records = [record for (record,) in database.execute("SELECT record FROM result")]
    results = [msgspec.msgpack.decode(record, type=ProcessResult) for record in records]
    assert {result.context.execution for result in results if result.context} == {"emulated"}
    assert WORDS in host.run("dataset", "describe", "--study", study)
    tables = host.folder / "tables"
    host.run("dataset", "export", tables, "--study", study)
    for table in ("latency-*.csv", "processes.csv"):
        (file,) = tables.glob(table)
        assert {row["execution"] for row in csv.DictReader(file.read_text().splitlines())} == {"emulated"}
    host.run("report", "--study", study)
    page = (study / "report.html").read_text()
    assert WORDS in page
    assert EXECUTION_WORDS["native"] not in page
