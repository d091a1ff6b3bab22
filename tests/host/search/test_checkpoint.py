import os

import msgspec
import pytest

from hytnas_host import study_files
from hytnas_host.search import CheckpointError
from hytnas_host.search.checkpoint import VERSION, Checkpoint, CheckpointFile, Step
from hytnas_host.search.result import Evaluated
from hytnas_host.search.strategies import StrategyState

CONFIG = {"seed": "1", "space": "toy"}
STATE = StrategyState(rng="{}", designed=True, design=("a",), pending=(), memory={"mean": [1 / 3]})
STEPS = (
    Step(STATE, (Evaluated("a", "h", (0.1, 1 / 3), 1),), False, None, 1.5),
    Step(STATE, (Evaluated("b", "i", (0.2, 1e-300), 2),), True, (1e-300, -0.1), 2.5),
)
WHOLE = Checkpoint(STATE, STEPS[0].evaluated + STEPS[1].evaluated, (2,), (1e-300, -0.1), 2.5)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "new" / "c.jsonl"


def write(path, *steps, config=CONFIG):
    file = CheckpointFile(path, config)
    with file.open():
        for step in steps:
            file.append(step)


def read(path, config=CONFIG):
    with CheckpointFile(path, config).open() as found:
        return found


def test_reads_back_bit_identically_and_leaves_nothing_beside(path):
    write(path, STEPS[0])
    write(path, STEPS[1])
    assert read(path) == WHOLE
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_no_file_is_no_checkpoint_and_none_is_made(path):
    assert read(path) is None
    assert not path.parent.exists()


def test_what_an_iteration_writes_does_not_depend_on_those_before(path):
    write(path, *STEPS)
    before = path.read_bytes()
    write(path, STEPS[1])
    assert path.read_bytes() == before + before.splitlines(keepends=True)[2]


def test_a_line_that_a_crash_cut_short_is_dropped_wherever_it_was_cut(path):
    write(path, *STEPS)
    content = path.read_bytes()
    ends = [0, *(i + 1 for i, byte in enumerate(content) if byte == ord("\n"))]
    for cut in range(len(content)):
        path.write_bytes(content[:cut])
        whole_lines = sum(end <= cut for end in ends) - 1
        assert read(path) == (Checkpoint.of(list(STEPS[: whole_lines - 1])) if whole_lines > 1 else None)
        write(path, *STEPS[max(whole_lines - 1, 0) :])
        assert path.read_bytes() == content
    path.write_bytes(content + b"\0" * 40 + b"\n")
    assert read(path) == WHOLE


def test_another_configuration_is_refused_with_what_differs(path):
    write(path, STEPS[0])
    with pytest.raises(CheckpointError) as caught:
        read(path, {"seed": "2", "batch": "3", "space": "toy"})
    text = str(caught.value)
    assert "batch was absent, is 3" in text
    assert "seed was 1, is 2" in text
    assert "space" not in text
    assert "Delete" in text


@pytest.mark.parametrize("content", [b"{]", b"[]\n", b"\xff\xfe", b'{"version": 2}\n', b"mine\nand mine\n"])
def test_a_damaged_file_is_refused_and_kept(tmp_path, content):
    path = tmp_path / "c.jsonl"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="is damaged"):
        read(path)
    assert path.read_bytes() == content


def test_a_damaged_line_is_named(path):
    write(path, *STEPS)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b'{"state": 1}\n' + lines[2])
    with pytest.raises(CheckpointError, match="is damaged: line 2"):
        read(path)


def test_another_version_is_refused(path):
    path.parent.mkdir()
    path.write_bytes(msgspec.json.encode({"version": VERSION + 1, "config": CONFIG}) + b"\n")
    with pytest.raises(CheckpointError, match="version 3, not 2"):
        read(path)


def test_a_place_that_cannot_be_written_is_one_clear_line(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(CheckpointError, match="Cannot read the checkpoint"):
        write(blocked / "c.jsonl", STEPS[0])
    with pytest.raises(CheckpointError, match="Cannot read the checkpoint"):
        read(tmp_path)
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(CheckpointError, match="no regular file"):
        read(tmp_path / "fifo")


def test_a_failed_write_keeps_what_was_there(path, monkeypatch):
    write(path, STEPS[0])
    before = path.read_bytes()

    def full(descriptor, content, write=os.write):
        write(descriptor, content[:20])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.write", full)
    with pytest.raises(CheckpointError, match="No space left on device"):
        write(path, STEPS[1])
    monkeypatch.undo()
    assert path.read_bytes()[: len(before)] == before
    write(path, STEPS[1])
    assert read(path) == WHOLE


def test_two_searches_do_not_write_to_one_file(path):
    write(path, STEPS[0])
    with CheckpointFile(path, CONFIG).open(), pytest.raises(CheckpointError, match="Another search"):
        read(path)


def test_a_search_that_was_begun_meanwhile_is_not_overwritten(path):
    late = CheckpointFile(path, CONFIG)
    with late.open():
        write(path, STEPS[0])
        with pytest.raises(CheckpointError, match="File exists"):
            late.append(STEPS[0])


def test_a_checkpoint_has_the_size_limit_of_every_file_of_a_study(path, monkeypatch):
    write(path, STEPS[0])
    monkeypatch.setattr(study_files, "MAX_JSON_BYTES", 10)
    with pytest.raises(CheckpointError, match="larger than"):
        read(path)
