"""The board's disk, clock, memory card and identity."""

import itertools
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from .board import Board, wait_until
from .collection import PROFILE
from .conftest import Collect, Reference
from .dataset import assert_same, read_dataset
from .disk import SmallDisk
from .table import FaultTable
from .test_link import during_a_measurement

pytestmark = pytest.mark.system


def one_line(said: str, *words: str) -> None:
    """Check that the last thing said is one explanation for a person."""
    text = " ".join(said.split())
    assert "Traceback" not in text
    for word in words:
        assert word in text, said


@pytest.mark.parametrize("when", ["push", "measurement"])
def test_disk_full_on_the_board(
    tmp_path: Path, collect: Collect, reference: Reference, faults: FaultTable, when: str
) -> None:
    with Board(tmp_path / "board", disk_mib=64) as board:
        collection = collect(board)
        if when == "push":
            board.state.create()
            board.disk.fill(leave_bytes=1 << 20)
            collection.start()
        else:
            collection.start()
            during_a_measurement(collection, board)
            board.disk.fill()
        status, said = collection.wait()
        assert status == 1, said
        one_line(said, "disk", "space")
        board.disk.make_room()
        collection.finish()
        assert_same(collection.study, reference.data, board)
    faults.add(
        f"disk full on the board ({when})",
        "the agent's state is on a small file system, which is filled",
        "one line that names the disk, exit status 1; after space was made the same command went on",
    )


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with SmallDisk(tmp_path / "small", 64) as disk:
        yield disk


@pytest.mark.parametrize("when", ["export", "measurement"])
def test_disk_full_on_the_host(
    *,
    board: Board,
    collect: Collect,
    reference: Reference,
    faults: FaultTable,
    small_disk: SmallDisk,
    when: str,
) -> None:
    study = small_disk.folder / "study"
    collection = collect(board, study=study, exported=when != "export")
    collection.start()
    if when == "export":
        wait_until(lambda: collection.count("sample"), "the sample")
    else:
        during_a_measurement(collection, board)
    small_disk.fill()
    status, said = collection.wait()
    assert status == 1, said
    one_line(said, "disk", "space")
    small_disk.make_room()
    collection.finish()
    assert_same(study, reference.data, board)
    faults.add(
        f"disk full on the host ({when})",
        "the study is on a small file system, which is filled",
        "one line that names the disk, exit status 1; after space was made the same command went on",
    )


# Python runs it as it starts, in the agent and in its workers (https://docs.python.org/3/library/site.html).
# libfaketime would do more, but makes time.sleep fail now and then.
WALL_CLOCK = """
import os
import time
from pathlib import Path

_time, _utime = time.time, os.utime


def jumping():
    return _time() + float(Path(os.environ["WALL_CLOCK_JUMP_S"]).read_text())


def utime(path, times=None, **more):
    return _utime(path, times or (None if more else (jumping(), jumping())), **more)


time.time, time.time_ns, os.utime = jumping, lambda: int(jumping() * 1e9), utime
"""
DAY_S = 86400


def test_clock_of_the_board_jumps(
    tmp_path: Path, collect: Collect, reference: Reference, faults: FaultTable
) -> None:
    (tmp_path / "sitecustomize.py").write_text(WALL_CLOCK)
    jump = tmp_path / "jump"
    jump.write_text("0")
    path = ":".join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH"))))
    wrapper = ("env", f"PYTHONPATH={path}", f"WALL_CLOCK_JUMP_S={jump}")
    with Board(tmp_path / "board", wrapper=wrapper) as board:
        collection = collect(board)
        collection.start()
        for jobs, days in ((2, 400), (4, -400)):
            wait_until(lambda jobs=jobs: len(board.jobs) >= jobs and board.measuring, "a measurement")
            (tmp_path / "next").write_text(str(days * DAY_S))
            (tmp_path / "next").replace(jump)  # at no moment is it empty: the agent may read it at any
        status, said = collection.wait()
        assert status == 0, said
        started_s = [at for (at,) in collection.rows("SELECT started_unix_s FROM result ORDER BY rowid")]
        jumps_d = {round((after - before) / DAY_S) for before, after in itertools.pairwise(started_s)}
        assert {400, -800} <= jumps_d, "the clock did not jump"
        assert '"token":1,' in board.state.lease.read_text(), "the lease was lost over the clock"
        assert board.proxy.connections == 1
        assert_same(collection.study, reference.data, board)
    faults.add(
        "clock of the board jumps",
        "the wall clock of the agent and its workers goes 400 days ahead, then 800 days back",
        "one lease, one connection, no deadline missed: durations and leases rest on the monotonic clock",
    )


def test_upload_is_damaged_on_the_board(
    board: Board, collect: Collect, reference: Reference, faults: FaultTable
) -> None:
    collection = collect(board)
    # Held in the middle of the file, of which the first part has been written.
    board.proxy.after("up", 200_000, lambda: board.proxy.hold("up"))
    collection.start()
    wait_until(lambda: arrived(board) > 65536, "a part of an upload")
    with next(board.state.incoming.iterdir()).open("r+b") as file:
        file.seek(4096)
        byte = file.read(1)[0]
        file.seek(4096)
        file.write(bytes([byte ^ 1]))
    board.proxy.let_go()
    status, said = collection.wait()
    assert status == 0, said
    assert_same(collection.study, reference.data, board)
    faults.add(
        "upload damaged",
        "one bit of a file is flipped on the board's disk before it is complete",
        "the agent refused it by its hash; pushed again within the same run",
    )


def test_spool_damaged(board: Board, collect: Collect, reference: Reference, faults: FaultTable) -> None:
    collection = collect(board)
    collection.start()
    during_a_measurement(collection, board)
    collection.signal(signal.SIGSTOP)  # nothing is being loaded while it is damaged
    wait_until(lambda: not board.measuring, "the end of the process")
    spooled = [file for file in board.state.spool.iterdir() if file.is_file()]
    assert {file.suffix for file in spooled} == {".onnx", ".npz"}
    for file in spooled:
        content = file.read_bytes()
        file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    collection.signal(signal.SIGCONT)
    status, said = collection.wait()
    assert status == 0, said
    assert "canary fail" not in said
    assert_same(collection.study, reference.data, board)
    faults.add(
        "spool damaged",
        "one bit is flipped in every model and every reference that lies on the board",
        "found by the hash before the next process; pushed again within the same run, no label is touched",
    )


def arrived(board: Board) -> int:
    sizes = [file.stat().st_size for file in board.state.incoming.iterdir()] if board.uploading else []
    return max(sizes, default=0)


def test_spool_over_its_cap(
    tmp_path: Path, collect: Collect, reference: Reference, faults: FaultTable
) -> None:
    sizes = [file.stat().st_size for file in (reference.exported / "models").glob("*.onnx")]
    mib = -(-max(sizes) // 2**20) + 1
    assert mib << 20 < sum(sizes)
    with Board(tmp_path / "board", options=("--spool-mib", str(mib))) as board:
        board.serve()
        collection = collect(board)
        collection.finish()
        assert board.proxy.passed["up"] > 2 * sum(sizes), "nothing was evicted"
        left = sum(file.stat().st_size for file in board.state.spool.iterdir() if file.is_file())
        assert left <= mib << 20
        assert_same(collection.study, reference.data, board)
    faults.add(
        "spool over its cap",
        f"--spool-mib {mib} for models of {sum(sizes) / 2**20:.0f} MiB together",
        "the least recently used were evicted, never what a job needed, and pushed again in their turn",
    )


# Python runs it as it starts, in the agent: what the board says of a measurement is of another model.
LIE = """
import os
from pathlib import Path

import msgspec

from hytnas_agent import wire
from hytnas_agent.protocol import MeasureResult

_encode = wire.encode_result


def lying(request_id, answer):
    if isinstance(answer, MeasureResult) and Path(os.environ["LIES"]).exists():
        result = msgspec.structs.replace(answer.result, model_sha256="f" * 64)
        answer = msgspec.structs.replace(answer, result=result)
    return _encode(request_id, answer)


wire.encode_result = lying
"""


def test_board_that_answers_with_another_result(
    tmp_path: Path, collect: Collect, reference: Reference, faults: FaultTable
) -> None:
    (tmp_path / "sitecustomize.py").write_text(LIE)
    lies = tmp_path / "lies"
    path = ":".join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH"))))
    with Board(tmp_path / "board", wrapper=("env", f"PYTHONPATH={path}", f"LIES={lies}")) as board:
        lies.touch()
        collection = collect(board)
        status, said = collection.run()
        assert status == 1, said
        one_line(said, "result of something else (model", "-> ffffffffffff")
        assert collection.stored == set()
        lies.unlink()
        collection.finish()
        found = read_dataset(collection.study)
        assert {name: found.rows[name] for name in ("labels", "results")} == {
            name: reference.data.rows[name] for name in ("labels", "results")
        }
    faults.add(
        "a board answers with another result",
        "the agent says of a measurement that it is of another model",
        "one line that says what differs, nothing of it stored, exit status 1; with an honest agent the same "
        "command went on",
    )


def test_study_on_a_read_only_disk(
    small_disk: SmallDisk, reference: Reference, tmp_path: Path, faults: FaultTable
) -> None:
    study = small_disk.folder / "study"
    shutil.copytree(reference.exported, study, ignore=shutil.ignore_patterns("*-shm"))
    small_disk.protect()
    for command in (["dataset", "describe"], ["dataset", "export", tmp_path / "csv"]):
        done = subprocess.run(
            [PROFILE, *command, "--study", study], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    faults.add(
        "study on a read-only disk",
        "the study's file system is mounted read-only, a write-ahead log beside the study",
        "`dataset describe` and `dataset export` read it",
    )


def test_wrong_host_key(board: Board, collect: Collect, reference: Reference, faults: FaultTable) -> None:
    pinned = board.sshd.host_key
    board.sshd.change_host_key()
    collection = collect(board)
    status, said = collection.run()
    assert status == 1
    one_line(said, "host key")
    for key in (pinned, board.sshd.host_key):
        assert key.fingerprint in "".join(said.split())
    assert not board.state.journal.exists()
    board.enrol()
    collection.finish()
    assert_same(collection.study, reference.data, board)
    faults.add(
        "wrong host key",
        "sshd gets another host key",
        "refused with both fingerprints before anything was sent, exit status 1; went on once enrolled anew",
    )


def test_comparison_finds_what_is_missing(tmp_path: Path, reference: Reference) -> None:
    study = tmp_path / "study"
    shutil.copytree(reference.exported, study)
    with pytest.raises(AssertionError, match="the labels differ"):
        assert_same(study, reference.data)
