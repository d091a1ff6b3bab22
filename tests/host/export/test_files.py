import errno
import os

import numpy as np
import pytest

from hytnas_host.export.errors import NoRoomError
from hytnas_host.export.files import npz_bytes, sha256_of, write_named_by_hash


def test_a_file_is_written_once_and_nothing_else_is_left(tmp_path):
    folder = tmp_path / "new" / "folder"
    path = write_named_by_hash(b"content", folder, ".onnx")
    assert path == folder / f"{sha256_of(b'content')}.onnx"
    assert path.read_bytes() == b"content"
    before = path.stat().st_mtime_ns
    assert write_named_by_hash(b"content", folder, ".onnx") == path
    assert path.stat().st_mtime_ns == before
    assert list(folder.iterdir()) == [path]


def test_a_cut_file_is_written_again(tmp_path):
    path = write_named_by_hash(b"content", tmp_path, ".onnx")
    for damaged in (b"con", b"c0ntent"):
        path.write_bytes(damaged)
        write_named_by_hash(b"content", tmp_path, ".onnx")
        assert path.read_bytes() == b"content"


def test_a_full_disk_is_said_so_and_leaves_nothing(tmp_path, monkeypatch):
    def full(_descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(NoRoomError, match=r"No space left on device\. Free 7 bytes"):
        write_named_by_hash(b"content", tmp_path, ".onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file_is_said_so(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(NoRoomError, match="cannot be written"):
        write_named_by_hash(b"content", tmp_path / "file", ".onnx")


def test_equal_arrays_give_equal_bytes():
    arrays = {"input_0": np.arange(6, dtype=np.float32).reshape(2, 3)}
    assert npz_bytes(arrays) == npz_bytes({"input_0": arrays["input_0"].copy()})
