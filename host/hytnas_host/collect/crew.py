"""Work on several boards at once, a thread each, that ends as one: done, failed, or interrupted."""

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Sequence

from hytnas_host.collect.board import Board

GRACE_S = 15.0
CLOSE_S = 15.0
POLL_S = 0.1


def work_together(
    work: Callable[[Board], None],
    boards: Sequence[Board],
    stop: threading.Event,
    *,
    on_stop: Callable[[], None] = lambda: None,
) -> None:
    """Do ``work`` for every board in a thread of its own and wait for all.

    The first exception of any of them, or Ctrl-C here, sets ``stop``, calls ``on_stop`` (which wakes threads
    that wait for something else than a device), cancels the jobs that run, waits for the threads, and goes on
    from here.
    """
    ended: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()

    def run(board: Board) -> None:
        try:
            work(board)
        except BaseException as error:
            ended.put(error)
        else:
            ended.put(None)

    threads = [
        threading.Thread(target=run, args=(board,), name=f"board {board.name}", daemon=True)
        for board in boards
    ]
    try:
        for thread in threads:
            thread.start()
        for _ in threads:
            error = ended.get()
            if error is not None:
                raise error
    except BaseException:
        stop.set()
        on_stop()
        _wind_up(boards, threads)
        raise


def _wind_up(boards: Sequence[Board], threads: Sequence[threading.Thread]) -> None:
    """End the jobs that run, then close the connections to all devices that do not answer any more."""
    cancelled: set[str] = set()
    deadline_s = time.monotonic() + GRACE_S
    while (alive := _alive(boards, threads)) and time.monotonic() < deadline_s:
        for board, _ in alive:
            measurer = getattr(board, "measurer", None)  # one that is not opened yet has none
            job_id = measurer.running if measurer is not None else None
            if job_id is not None and job_id not in cancelled:
                cancelled.add(job_id)
                board.device.cancel(job_id)
        alive[0][1].join(POLL_S)
    closing = [
        threading.Thread(target=_close, args=(board,), name=f"close {board.name}", daemon=True)
        for board, _ in alive
    ]
    for thread in closing:
        thread.start()
    deadline_s = time.monotonic() + CLOSE_S
    for thread in [*closing, *(thread for _, thread in alive)]:
        thread.join(max(deadline_s - time.monotonic(), 0.0))


def _close(board: Board) -> None:
    with contextlib.suppress(Exception):
        board.device.close()


def _alive(
    boards: Sequence[Board], threads: Sequence[threading.Thread]
) -> list[tuple[Board, threading.Thread]]:
    return [(board, thread) for board, thread in zip(boards, threads, strict=True) if thread.is_alive()]
