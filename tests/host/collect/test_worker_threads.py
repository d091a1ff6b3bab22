"""The end of work on several boards: whoever hangs does not keep the others waiting."""

import threading
from types import SimpleNamespace

import pytest

from hytnas_host.collect import worker_threads


def test_connections_of_boards_that_hang_are_closed_before_any_of_them_is_waited_for(monkeypatch):
    monkeypatch.setattr(worker_threads, "GRACE_S", 0.0)
    closed = {name: threading.Event() for name in ("one", "two", "three")}
    found: list[bool] = []

    def board(name: str) -> SimpleNamespace:
        return SimpleNamespace(name=name, running=None, device=SimpleNamespace(close=closed[name].set))

    def work(some: SimpleNamespace) -> None:
        if some.name == "interrupted":
            raise KeyboardInterrupt
        closed[some.name].wait()
        found.append(all(event.wait(3) for event in closed.values()))

    boards = [board(name) for name in closed] + [SimpleNamespace(name="interrupted", running=None)]
    before = set(threading.enumerate())
    with pytest.raises(KeyboardInterrupt):
        worker_threads.work_together(work, boards, threading.Event())
    assert found == [True] * 3
    assert set(threading.enumerate()) <= before


def test_connection_that_cannot_be_closed_does_not_keep_the_others_open(monkeypatch):
    monkeypatch.setattr(worker_threads, "GRACE_S", 0.0)
    closed, over = threading.Event(), threading.Event()

    def stuck() -> None:
        closed.wait()
        raise OSError("no route")

    def work(some: SimpleNamespace) -> None:
        if some.name == "interrupted":
            raise KeyboardInterrupt
        over.wait()

    def close() -> None:
        closed.set()
        over.set()

    boards = [
        SimpleNamespace(name="stuck", running=None, device=SimpleNamespace(close=stuck)),
        SimpleNamespace(name="well", running=None, device=SimpleNamespace(close=close)),
        SimpleNamespace(name="interrupted", running=None),
    ]
    with pytest.raises(KeyboardInterrupt):
        worker_threads.work_together(work, boards, threading.Event())
    assert over.is_set()
