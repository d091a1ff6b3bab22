import msgspec
import pytest

from hytnas_host import study_files
from hytnas_host.search import CheckpointError
from hytnas_host.search.checkpoint import VERSION, Checkpoint, read_checkpoint, write_checkpoint
from hytnas_host.search.result import Evaluated
from hytnas_host.search.strategies import StrategyState

CONFIG = {"seed": "1", "space": "toy"}


@pytest.fixture
def checkpoint():
    state = StrategyState(rng="{}", designed=True, design=("a",), pending=())
    rows = (Evaluated("a", "h", (0.1, 1 / 3), 1),)
    return Checkpoint(VERSION, CONFIG, state, rows, (1,), (1e-300, -0.1), 2.5)


def test_reads_back_bit_identically_and_leaves_nothing_beside(tmp_path, checkpoint):
    path = tmp_path / "new" / "search-checkpoint.json"
    write_checkpoint(checkpoint, path)
    write_checkpoint(checkpoint, path)
    assert read_checkpoint(path, CONFIG) == checkpoint
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_no_file_is_no_checkpoint(tmp_path):
    assert read_checkpoint(tmp_path / "none.json", CONFIG) is None


def test_another_configuration_is_refused_with_what_differs(tmp_path, checkpoint):
    path = tmp_path / "c.json"
    write_checkpoint(checkpoint, path)
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path, {"seed": "2", "batch": "3", "space": "toy"})
    text = str(caught.value)
    assert "batch was absent, is 3" in text
    assert "seed was 1, is 2" in text
    assert "space" not in text
    assert "Delete" in text


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b'{"version": 1}'])
def test_a_damaged_file_is_refused(tmp_path, content):
    path = tmp_path / "c.json"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="is damaged"):
        read_checkpoint(path, CONFIG)


def test_another_version_is_refused(tmp_path, checkpoint):
    path = tmp_path / "c.json"
    path.write_bytes(msgspec.json.encode(msgspec.structs.replace(checkpoint, version=VERSION + 1)))
    with pytest.raises(CheckpointError, match="version 2, not 1"):
        read_checkpoint(path, CONFIG)


def test_a_place_that_cannot_be_written_is_one_clear_line(tmp_path, checkpoint):
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(CheckpointError, match="Cannot write the checkpoint"):
        write_checkpoint(checkpoint, blocked / "c.json")
    with pytest.raises(CheckpointError, match="Cannot read the checkpoint"):
        read_checkpoint(tmp_path, CONFIG)


def test_a_failed_write_keeps_the_old_file(tmp_path, checkpoint, monkeypatch):
    path = tmp_path / "c.json"
    write_checkpoint(checkpoint, path)

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(CheckpointError, match="No space left on device"):
        write_checkpoint(msgspec.structs.replace(checkpoint, seconds=9.0), path)
    monkeypatch.undo()
    assert read_checkpoint(path, CONFIG) == checkpoint
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_checkpoint_has_the_size_limit_of_every_file_of_a_study(tmp_path, checkpoint, monkeypatch):
    path = tmp_path / "c.json"
    write_checkpoint(checkpoint, path)
    monkeypatch.setattr(study_files, "MAX_JSON_BYTES", 10)
    with pytest.raises(CheckpointError, match="larger than"):
        read_checkpoint(path, CONFIG)
