import os
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hytnas_agent.protocol import ErrorCode, RpcError
from hytnas_agent.records import MeasureJob, MeasureSettings, Reference
from hytnas_agent.spool import DEFAULT_RESERVE_BYTES, Spool

from .conftest import sha256


class Box:
    """A spool with room for 100 bytes and files of at most 60."""

    def __init__(self, root: Path) -> None:
        self.folder, self.incoming = root / "spool", root / "spool" / "incoming"
        self.incoming.mkdir(parents=True)
        self.pinned: set[str] = set()
        self.spool = Spool(self.folder, self.incoming, lambda: self.pinned, capacity_bytes=100, file_bytes=60)

    def upload(self, content: bytes, suffix: str = ".onnx") -> tuple[str, int]:
        path = self.incoming / "up"
        path.write_bytes(content)
        return sha256(path) + suffix, len(content)

    def add(self, content: bytes, age: int = 0) -> str:
        name, size = self.upload(content)
        self.spool.commit("up", name, size)
        os.utime(self.folder / name, (1000 - age, 1000 - age))
        return name


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


def refused(box: Box, upload: str, name: str, size: int) -> int:
    with pytest.raises(RpcError) as raised:
        box.spool.commit(upload, name, size)
    return raised.value.code


def test_a_verified_upload_gets_its_name(box: Box) -> None:
    name, size = box.upload(b"content")
    assert box.spool.commit("up", name, size) is False
    assert (box.folder / name).read_bytes() == b"content"
    assert list(box.incoming.iterdir()) == []
    assert box.spool.present([name]) == (name,)
    assert box.spool.used_bytes() == 7


@pytest.mark.parametrize("target", ["nowhere", "loop", "elsewhere"])
def test_a_link_in_the_spool_is_no_file_of_it_and_gives_way_to_one(
    box: Box, tmp_path: Path, target: str
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"mine")
    name, size = box.upload(b"content")
    link = box.folder / name
    link.symlink_to({"nowhere": tmp_path / "nowhere", "loop": link, "elsewhere": elsewhere}[target])
    assert (box.spool.present([name]), box.spool.used_bytes()) == ((), 0)
    assert box.spool.commit("up", name, size) is False
    assert link.read_bytes() == b"content"
    assert not link.is_symlink()
    assert elsewhere.read_bytes() == b"mine"


def test_the_same_upload_again_is_there_already(box: Box) -> None:
    box.add(b"content")
    name, size = box.upload(b"content")
    assert box.spool.commit("up", name, size) is True
    assert list(box.incoming.iterdir()) == []


def test_what_is_not_what_it_says_is_refused_and_removed(box: Box) -> None:
    name, size = box.upload(b"content")
    box.upload(b"c0ntent")
    assert refused(box, "up", name, size) == ErrorCode.HASH_MISMATCH
    box.upload(b"content")
    assert refused(box, "up", name, size + 1) == ErrorCode.HASH_MISMATCH
    assert refused(box, "up", name, size) == ErrorCode.NOT_SPOOLED
    assert box.spool.present([name]) == ()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=80))
def test_names_lead_nowhere_else(box: Box, text: str) -> None:
    good = "0" * 64 + ".onnx"
    assert refused(box, text, good, 1) in (ErrorCode.INVALID_PARAMS, ErrorCode.NOT_SPOOLED)
    assert refused(box, "up", text, 1) == ErrorCode.INVALID_PARAMS


@pytest.mark.parametrize("upload", ["../spool", "/etc/passwd", "..", ".", "", "a/b", "a\0b"])
def test_an_upload_is_a_plain_name(box: Box, upload: str) -> None:
    assert refused(box, upload, "0" * 64 + ".onnx", 1) == ErrorCode.INVALID_PARAMS


def test_links_and_pipes_are_no_uploads(box: Box, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"content")
    (box.incoming / "link").symlink_to(secret)
    os.mkfifo(box.incoming / "pipe")
    name = sha256(secret) + ".onnx"
    assert refused(box, "link", name, 7) == ErrorCode.NOT_SPOOLED
    assert refused(box, "pipe", name, 0) == ErrorCode.HASH_MISMATCH
    assert secret.exists()


def test_the_least_recently_used_make_room(box: Box) -> None:
    oldest, older, newest = (box.add(bytes([i]) * 30, age=age) for i, age in enumerate((3, 2, 1)))
    assert box.spool.present([oldest]) == (oldest,)
    added = box.add(b"x" * 40)
    assert box.spool.present([oldest, older, newest, added]) == (oldest, newest, added)


def test_the_latest_used_stay_where_the_clock_was_set_back(box: Box) -> None:
    first, second = box.add(b"a" * 40), box.add(b"b" * 40)
    future_s = time.time() + 7200
    for name in (first, second):
        os.utime(box.folder / name, (future_s, future_s))
    again = Spool(box.folder, box.incoming, set, capacity_bytes=100, file_bytes=60)
    assert again.present([second]) == (second,)
    name, size = box.upload(b"c" * 40)
    again.commit("up", name, size)
    assert again.present([first, second, name]) == (second, name)
    last, size = box.upload(b"d" * 40)
    again.present([second])
    again.commit("up", last, size)
    assert again.present([second, name, last]) == (second, last)


def test_nothing_is_evicted_while_files_are_counted(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    box.add(b"content")
    scandir = os.scandir

    def guarded(folder: Path):
        other = threading.Thread(target=lambda: free.append(box.spool.lock.acquire(blocking=False)))
        other.start()
        other.join()
        return scandir(folder)

    free: list[bool] = []
    monkeypatch.setattr(os, "scandir", guarded)
    assert box.spool.used_bytes() == 7
    assert free == [False]


def test_what_a_job_needs_is_never_evicted(box: Box) -> None:
    first, second = box.add(b"a" * 50, age=2), box.add(b"b" * 50, age=1)
    box.pinned = {first, second}
    name, size = box.upload(b"c" * 50)
    assert refused(box, "up", name, size) == ErrorCode.SPOOL_FULL
    box.pinned = {first}
    box.add(b"c" * 50)
    assert box.spool.present([first, second, name]) == (first, name)


def test_one_file_has_a_limit(box: Box) -> None:
    name, size = box.upload(b"x" * 61)
    assert refused(box, "up", name, size) == ErrorCode.SPOOL_FULL


def test_a_job_without_its_files_names_them(box: Box, tmp_path: Path) -> None:
    model = box.add(b"model")
    digest = model.partition(".")[0]
    job = MeasureJob("j", digest, "onnx", MeasureSettings(), reference=Reference("1" * 64, "2" * 64, 1.0))
    with pytest.raises(RpcError, match=r"1111.*npz, 2222.*npz") as raised:
        box.spool.files_of(job)
    assert raised.value.code == ErrorCode.NOT_SPOOLED
    plain = MeasureJob("j", digest, "onnx", MeasureSettings())
    assert box.spool.files_of(plain).model == box.folder / model


def test_uploads_nobody_committed_are_dropped_after_a_day(box: Box) -> None:
    (box.incoming / "new").write_bytes(b"1")
    (box.incoming / "old").write_bytes(b"1")
    (box.incoming / "folder").mkdir()
    for name in ("old", "folder"):
        os.utime(box.incoming / name, (0, 0))
    box.spool.drop_abandoned_uploads()
    assert sorted(path.name for path in box.incoming.iterdir()) == ["folder", "new"]


def test_room_is_made_on_a_disk_that_is_nearly_full(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hytnas_agent.spool.KEPT_FILES", 2)
    old, pinned, middle, *latest = [box.add(bytes([65 + i]) * 10, age=10 - i) for i in range(5)]
    box.pinned.add(pinned)
    free_bytes = DEFAULT_RESERVE_BYTES + 15
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=free_bytes))

    def left() -> set[str]:
        return {path.name for path in box.folder.iterdir() if path.is_file()}

    box.spool.expect(15)
    assert left() == {old, pinned, middle, *latest}
    box.spool.expect(20)
    assert left() == {pinned, middle, *latest}
    free_bytes = 0
    box.spool.expect(20)
    assert left() == {pinned, *latest}
