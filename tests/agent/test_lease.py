import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hytnas_agent.errors import AgentError
from hytnas_agent.lease import DeviceLease
from hytnas_agent.protocol import ErrorCode, RpcError

HOLD = (
    "import sys, time; from pathlib import Path; from hytnas_agent.lease import DeviceLease\n"
    "DeviceLease(Path(sys.argv[1])).acquire('other@host', 'other work', 77); print('held', flush=True)\n"
    "time.sleep(60)"
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lease.lock"


def test_the_second_is_told_who_holds_the_device(path: Path) -> None:
    first, second = DeviceLease(path), DeviceLease(path)
    first.acquire("me@here", "latencies", 1234)
    with pytest.raises(RpcError, match="me@here") as raised:
        second.acquire("you@there", "nothing", 5)
    assert raised.value.code == ErrorCode.BUSY
    busy = raised.value.busy
    assert (busy.holder, busy.pid, busy.reason) == ("me@here", 1234, "latencies")
    assert busy.since_unix_s <= time.time()
    assert not second.held


def test_tokens_only_grow(path: Path) -> None:
    tokens = []
    for _ in range(3):
        lease = DeviceLease(path)
        tokens += [lease.acquire("a", "b", 1), lease.renew("a", "b", 1)]
        lease.release()
        lease.release()
        assert (lease.held, lease.token, lease.holder()) == (False, None, None)
    assert tokens == [1, 2, 3, 4, 5, 6]


def test_a_killed_holder_lets_go(path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, path], stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"held\n"
        lease = DeviceLease(path)
        with pytest.raises(RpcError, match="other work"):
            lease.acquire("me", "mine", os.getpid())
        other.send_signal(signal.SIGKILL)
        other.wait()
    assert lease.acquire("me", "mine", os.getpid()) == 2
    lease.release()


@pytest.mark.parametrize("content", [b"", bytes(40), b'{"token": "many"}', b'{"token":1}\xff}'])
def test_a_damaged_file_is_held_all_the_same(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    lease = DeviceLease(path)
    assert lease.acquire("me", "mine", 1) == 1
    path.write_bytes(content)
    with pytest.raises(RpcError, match="in use"):
        DeviceLease(path).acquire("you", "yours", 2)
    lease.release()


def test_a_path_that_cannot_be_opened_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(AgentError, match="cannot be opened"):
        DeviceLease(tmp_path / "absent" / "lease.lock").acquire("me", "mine", 1)


def test_a_full_disk_leaves_the_device_free(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int, data: bytes, offset: int) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    lease = DeviceLease(path)
    with monkeypatch.context() as patch:
        patch.setattr("os.pwrite", full)
        with pytest.raises(AgentError, match=r"No space left on device.*Free some space"):
            lease.acquire("me", "mine", 1)
        assert (lease.held, lease.token) == (False, None)
    assert lease.acquire("me", "mine", 1) == 1
    with monkeypatch.context() as patch:
        patch.setattr("os.pwrite", full)
        lease.release()
    assert DeviceLease(path).acquire("you", "yours", 2) == 2


@pytest.mark.parametrize("since", [1e300, -1e300])
def test_a_holder_since_no_time_is_named_all_the_same(path: Path, since: float) -> None:
    first = DeviceLease(path)
    first.acquire("me@here", "latencies", 1234)
    path.write_text(
        f'{{"token":1,"holder":{{"holder":"me","pid":1,"since_unix_s":{since},"reason":"work"}}}}'
    )
    with pytest.raises(RpcError, match=r"by me .* since a time that makes no sense: work"):
        DeviceLease(path).acquire("you@there", "nothing", 5)
    first.release()


@pytest.mark.parametrize("token", ["18446744073709551615", "-7", "[" * 9000])
def test_a_token_that_cannot_be_counted_on_begins_anew(path: Path, token: str) -> None:
    path.write_text(f'{{"token":{token}}}')
    assert DeviceLease(path).acquire("me@here", "latencies", 1234) == 1


def test_another_user_may_take_the_lease_when_it_is_free(path: Path) -> None:
    before = os.umask(0o077)
    try:
        lease = DeviceLease(path)
        lease.acquire("me@here", "latencies", 1234)
    finally:
        os.umask(before)
    lease.release()
    assert path.stat().st_mode & 0o777 == 0o666


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_a_second_user_finds_it_busy_and_takes_it_later(path: Path) -> None:
    shared = path.parent / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    for folder in (shared, *shared.parents[:-1]):
        folder.chmod(folder.stat().st_mode | 0o055)
    lease = DeviceLease(shared / "lease")
    lease.acquire("me@here", "latencies", 1234)
    script = (
        "import os, sys; from pathlib import Path; from hytnas_agent.lease import DeviceLease\n"
        "os.setuid(65534)\n"
        "DeviceLease(Path(sys.argv[1])).acquire('you@there', 'other work', 7); print('held')"
    )
    asked = [sys.executable, "-c", script, str(shared / "lease")]
    busy = subprocess.run(asked, check=False, capture_output=True, text=True)
    assert "in use by me@here" in busy.stderr
    lease.release()
    assert subprocess.run(asked, check=False, capture_output=True, text=True).stdout == "held\n"
