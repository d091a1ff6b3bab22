"""Export many networks at once, each in a process of its own kind, none of which can take the others down."""

import atexit
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager
from functools import partial
from multiprocessing import connection, get_context, parent_process
from pathlib import Path
from types import TracebackType
from typing import Self

from hytnas_datasets.plan import LayerPlan
from hytnas_host.devices.quiet import host_work
from hytnas_host.export.errors import ExportError
from hytnas_host.export.exported import ExportedModel
from hytnas_host.export.target import ExportTarget

Guard = Callable[[], AbstractContextManager[None]]
Job = Callable[[LayerPlan, Path, int], ExportedModel]


class ExportPool:
    """Worker processes that export, one thread each.

    Every slot has one process. A process that dies fails the export it was busy with and no other; the slot
    starts another for its next job. Workers end with the process that made the pool, however that ends.

    Parameters
    ----------
    workers : int, optional
        Processes; the number of processors by default.
    target : ExportTarget
        What the default job exports to.
    guard : picklable callable
        Gives the context in which each export runs, in the worker; by default exports stand still while a
        timed run of this machine goes on.
    job : picklable callable
        What a worker does with ``(plan, folder, seed)`` instead.
    """

    def __init__(
        self,
        workers: int | None = None,
        *,
        target: ExportTarget | None = None,
        guard: Guard = host_work,
        job: Job | None = None,
    ) -> None:
        self._guard = guard
        self._job = job or partial(_export, target or ExportTarget())
        self._threads = ThreadPoolExecutor(workers or os.cpu_count() or 1, thread_name_prefix="export")
        self._slot = threading.local()
        self._processes: set[ProcessPoolExecutor] = set()
        self._lock = threading.Lock()
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown(cancel=kind is not None)

    def submit(self, plan: LayerPlan, folder: Path, *, seed: int) -> Future[ExportedModel]:
        """Export a plan; the future raises ExportError where that fails or the worker dies."""
        return self._threads.submit(self._run, plan, folder, seed)

    def shutdown(self, *, cancel: bool = False) -> None:
        """Wait for the exports, or with ``cancel`` drop those that have not begun, and end the processes."""
        self._threads.shutdown(wait=True, cancel_futures=cancel)
        with self._lock:
            self._closed = True
            processes, self._processes = self._processes, set()
        if processes:
            with ThreadPoolExecutor(len(processes)) as enders:  # all at once
                list(enders.map(ProcessPoolExecutor.shutdown, processes))

    def _run(self, plan: LayerPlan, folder: Path, seed: int) -> ExportedModel:
        process = self._process()
        try:
            return process.submit(_guarded, self._guard, self._job, plan, folder, seed).result()
        except BrokenProcessPool as error:
            self._discard(process)
            raise ExportError(
                f"The process that exported network {plan.hash[:12]} died",
                "Unless it left a message, the machine may be out of memory: use fewer workers",
            ) from error

    def _process(self) -> ProcessPoolExecutor:
        process: ProcessPoolExecutor | None = getattr(self._slot, "process", None)
        if process is None:
            context = get_context("spawn")
            process = ProcessPoolExecutor(1, mp_context=context, initializer=_start_worker)
            self._slot.process = process
            with self._lock:
                self._processes.add(process)
        return process

    def _discard(self, process: ProcessPoolExecutor) -> None:
        self._slot.process = None
        with self._lock:
            self._processes.discard(process)
        process.shutdown(wait=False)


def _export(target: ExportTarget, plan: LayerPlan, folder: Path, seed: int) -> ExportedModel:
    from hytnas_host.export.pipeline import export_model  # noqa: PLC0415 (torch is for the workers)

    return export_model(plan, folder, seed=seed, target=target)


def _guarded(guard: Guard, job: Job, plan: LayerPlan, folder: Path, seed: int) -> ExportedModel:
    with guard():
        return job(plan, folder, seed)


def _start_worker() -> None:
    import torch  # noqa: PLC0415 (for the workers alone)

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    torch.set_num_threads(1)
    atexit.register(os._exit, 0)  # Python would take a second to free what torch has loaded
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
