import lzma
from pathlib import Path

import pytest
from noise.journal import Block, Header, Journal, Process

from hytnas_agent.records import Outcome

HEADER = Header(
    "local", "board", "context", "0.1", "a0", "b0", 64, 0, ("a", "b"), 1, 0, 0.1, 0.015, 5, 10, 4.0, 8.0
)
PROCESS = Process(
    "quiet", 0, "a", "ours", 0, "job", Outcome.OK, 1.5, 0.25, (1.0, 2.0), disturbed=("swap",), hog_s=1.5
)
BLOCK = Block("quiet", 0, 12.5, 1.0)


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        assert journal.header is None
        for entry in (HEADER, PROCESS, BLOCK):
            journal.add(entry)
    with Journal(path) as journal:
        assert (journal.header, journal.processes, journal.blocks) == (HEADER, [PROCESS], [BLOCK])


def test_a_line_that_was_being_written_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        journal.add(HEADER)
        journal.add(PROCESS)
    whole = path.read_bytes()
    for torn in range(1, len(whole.splitlines()[1])):
        path.write_bytes(whole[:-torn])
        with Journal(path) as journal:
            assert (journal.header, journal.processes) == (HEADER, [])
            journal.add(PROCESS)
        assert path.read_bytes() == whole


def test_a_compressed_one_is_read_and_a_damaged_one_refused(tmp_path: Path) -> None:
    plain, packed = tmp_path / "journal.jsonl", tmp_path / "journal.jsonl.xz"
    with Journal(plain) as journal:
        for entry in (HEADER, PROCESS, BLOCK):
            journal.add(entry)
    whole = lzma.compress(plain.read_bytes())
    packed.write_bytes(whole)
    with Journal(packed, writable=False) as journal:
        assert (journal.header, journal.processes, journal.blocks) == (HEADER, [PROCESS], [BLOCK])
    for damaged in (whole[:-20], whole[:100] + b"\xff" + whole[101:], plain.read_bytes()):
        packed.write_bytes(damaged)
        with pytest.raises(SystemExit, match=r"journal.jsonl.xz cannot be unpacked"):
            Journal(packed, writable=False)


def test_another_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text('{"type":"study"}\n')
    with pytest.raises(SystemExit, match=r"line 1 .* is not of a noise study.*another folder"):
        Journal(path)


def test_two_cannot_write_and_one_may_look(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        journal.add(HEADER)
        with pytest.raises(SystemExit, match="another process is at work"):
            Journal(path)
        with path.open("ab") as torn:
            torn.write(b'{"type":"proc')
        with Journal(path, writable=False) as looking:
            assert looking.header == HEADER
