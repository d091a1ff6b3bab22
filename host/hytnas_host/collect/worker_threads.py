"""Work on several devices at once, a thread each, that ends as one: done, failed, or interrupted."""

import contextlib
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from hytnas_agent.deadline import Deadline
from hytnas_host.devices.base import Device

GRACE_S = 15.0
CLOSE_S = 15.0
POLL_S = 0.1


class Worker(Protocol):
    """A device with its part of the work; ``running`` is the job that it waits for, if any."""

    @property
    def name(self) -> str:
        """What the person calls the device."""
        ...

    @property
    def device(self) -> Device:
        """It itself."""
        ...

    @property
    def running(self) -> str | None:
        """What `Device.cancel` would end."""
        ...


W = TypeVar("W", bound=Worker)


def work_together(
    work: Callable[[W], None],
    workers: Sequence[W],
    stop: threading.Event,
    *,
    on_stop: Callable[[], None] = lambda: None,
) -> None:
    """Do ``work`` for every device in a thread of its own and wait for all.

    The first exception of any of them, or Ctrl-C here, sets ``stop``, calls ``on_stop`` (which wakes threads
    that wait for something else than a device), cancels the jobs that run, waits for the threads, and goes on
    from here.
    """
    ended: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()

    def run(worker: W) -> None:
        try:
            work(worker)
        except BaseException as error:
            ended.put(error)
        else:
            ended.put(None)

    threads = [
        threading.Thread(target=run, args=(worker,), name=f"device {worker.name}", daemon=True)
        for worker in workers
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
        _wind_up(workers, threads)
        raise


def _wind_up(workers: Sequence[Worker], threads: Sequence[threading.Thread]) -> None:
    """End the jobs that run, then close the connections to all devices that do not answer any more."""
    cancelled: set[str] = set()
    deadline = Deadline(GRACE_S)
    while (alive := _alive(workers, threads)) and not deadline.expired:
        for worker, _ in alive:
            job_id = worker.running
            if job_id is not None and job_id not in cancelled:
                cancelled.add(job_id)
                worker.device.cancel(job_id)
        alive[0][1].join(POLL_S)
    closing = [
        threading.Thread(target=_close, args=(worker,), name=f"close {worker.name}", daemon=True)
        for worker, _ in alive
    ]
    for thread in closing:
        thread.start()
    deadline = Deadline(CLOSE_S)
    for thread in [*closing, *(thread for _, thread in alive)]:
        thread.join(deadline.remaining)


def _close(worker: Worker) -> None:
    with contextlib.suppress(Exception):
        worker.device.close()


def _alive(
    workers: Sequence[Worker], threads: Sequence[threading.Thread]
) -> list[tuple[Worker, threading.Thread]]:
    return [(worker, thread) for worker, thread in zip(workers, threads, strict=True) if thread.is_alive()]
