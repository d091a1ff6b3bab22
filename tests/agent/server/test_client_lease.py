from pathlib import Path

import pytest

from hytnas_agent.lease import DeviceLease
from hytnas_agent.protocol import ErrorCode, RpcError
from hytnas_agent.server.client_lease import ClientLease


class Board:
    """A lease with a clock and a job that the test moves."""

    def __init__(self, path: Path) -> None:
        self.now = 0.0
        self.running = False
        self.client_lease = ClientLease(DeviceLease(path), lambda: self.running, lambda: self.now)

    def acquire(self, client_id: str = "me", ttl_s: float = 10.0) -> int:
        return self.client_lease.acquire(client_id, f"{client_id}@host", 1, "testing", ttl_s)


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return Board(tmp_path / "lease.lock")


def code_of(call, *arguments: object) -> int:
    with pytest.raises(RpcError) as raised:
        call(*arguments)
    return raised.value.code


def test_one_at_a_time_the_same_client_included(board: Board) -> None:
    board.acquire()
    assert code_of(board.acquire) == ErrorCode.BUSY
    assert code_of(board.acquire, "you") == ErrorCode.BUSY


def test_a_former_token_is_stale(board: Board) -> None:
    first = board.acquire()
    board.client_lease.check(first)
    board.client_lease.leave()
    assert code_of(board.client_lease.check, first) == ErrorCode.STALE_TOKEN
    second = board.acquire("you")
    assert second > first
    board.client_lease.check(second)
    assert code_of(board.client_lease.check, first) == ErrorCode.STALE_TOKEN


def test_silence_ends_a_lease_but_not_while_a_job_runs(board: Board) -> None:
    token = board.acquire(ttl_s=10)
    board.now = 6
    board.client_lease.sign_of_life(token)
    board.now = 15
    assert board.client_lease.seconds_left() == 1
    board.running = True
    board.now = 500
    assert board.client_lease.seconds_left() is None
    board.running = False
    board.client_lease.job_ended()
    assert board.client_lease.seconds_left() == 10
    board.now = 511
    assert board.client_lease.seconds_left() == 0


def test_others_do_not_keep_a_lease_alive(board: Board) -> None:
    token = board.acquire(ttl_s=10)
    board.now = 8
    board.client_lease.sign_of_life(None)
    board.client_lease.sign_of_life(token + 1)
    assert board.client_lease.seconds_left() == 2


def test_who_leaves_while_a_job_runs_keeps_the_device_until_it_ends(board: Board) -> None:
    token = board.acquire()
    board.running = True
    board.client_lease.leave()
    assert code_of(board.client_lease.check, token) == ErrorCode.STALE_TOKEN
    assert code_of(board.acquire, "you") == ErrorCode.BUSY
    board.running = False
    board.client_lease.job_ended()
    assert board.acquire("you") > token


def test_who_comes_back_while_its_job_runs_takes_over(board: Board) -> None:
    token = board.acquire()
    board.running = True
    board.client_lease.leave()
    renewed = board.acquire()
    assert renewed > token
    board.running = False
    board.client_lease.job_ended()
    board.client_lease.check(renewed)


@pytest.mark.parametrize("ttl_s", [0.0, -1.0, 1e9, float("nan")])
def test_a_time_to_live_has_bounds(board: Board, ttl_s: float) -> None:
    assert code_of(board.acquire, "me", ttl_s) == ErrorCode.INVALID_PARAMS
    board.acquire()


def test_what_was_set_for_a_holder_is_put_back_before_another_program_can_have_the_device(
    tmp_path: Path,
) -> None:
    path = tmp_path / "lease.lock"
    seen: list[int] = []

    def restore() -> None:
        seen.append(code_of(DeviceLease(path).acquire, "other", "measure", 2))

    client_lease = ClientLease(DeviceLease(path), lambda: False, on_end=restore)
    client_lease.acquire("me", "me@host", 1, "testing", 10.0)
    client_lease.leave()
    assert seen == [ErrorCode.BUSY]
    assert DeviceLease(path).acquire("other", "measure", 2)
