"""Whether devices may put their labels into one set: equal contexts, and canaries that agree."""

import threading
from collections.abc import Callable, Sequence
from typing import Final

from hytnas_agent.records import Outcome
from hytnas_datasets.store import Agreement, Study, compare_boards
from hytnas_datasets.store.agreement import WANTED_PROCESSES
from hytnas_host.collect.errors import CollectError, DevicesDifferError
from hytnas_host.collect.latency_worker import Group, LatencyWorker
from hytnas_host.collect.options import MeasureOptions
from hytnas_host.collect.running import differing_fields
from hytnas_host.collect.worker_threads import work_together
from hytnas_host.devices.errors import DeviceError
from hytnas_predictors.progress import Progress

MAX_PROCESSES: Final = 40
"""Of the canary on each device, after which it is not to be decided whether they agree."""

REMEDIES: Final[dict[str, str]] = {
    "disagree": "look at the cooling and the power supply of the slower one "
    "(hytnas-profile device doctor NAME)",
    "undecided": "find out what else runs on them (hytnas-profile device doctor NAME), allow more with "
    "--board-tolerance",
}
KEEP_APART: Final = "give each device a data set of its own with --keep-apart"


def check_devices(workers: Sequence[LatencyWorker], *, keep_apart: bool) -> None:
    """Check that all are different devices and, unless they are kept apart, that their contexts are equal.

    Raises
    ------
    CollectError
        Two of them are one device.
    DevicesDifferError
        Their contexts differ; the fields are named.
    """
    by_id: dict[str, LatencyWorker] = {}
    for worker in workers:
        other = by_id.setdefault(worker.device_id, worker)
        if other is not worker:
            raise CollectError(
                f"{other.name!r} and {worker.name!r} are one and the same device ({worker.device_id})",
                "name each device once",
            )
    if keep_apart:
        return
    first = workers[0]
    for worker in workers[1:]:
        if worker.context != first.context:
            raise DevicesDifferError(
                f"{first.name!r} and {worker.name!r} cannot share a data set, their contexts differ "
                f"({differing_fields(first.context, worker.context)})",
                f"make them alike, or {KEEP_APART}",
            )


class Comparison:
    """Which devices of a group may put labels into its set: those whose canaries agree with all the others'.

    Devices of earlier calls whose labels stand in the set are compared, too: each by all its stored canaries
    of the same settings. A device alone is not asked for anything.

    Parameters
    ----------
    study : Study
    group : Group
    options : MeasureOptions

    Raises
    ------
    CollectError
        There is no canary to compare devices by.
    """

    def __init__(self, study: Study, group: Group, options: MeasureOptions) -> None:
        self._study = study
        self._group = group
        self._options = options
        self._lock = threading.Lock()
        self._admitted: set[str] = set()
        context = group.workers[0].context
        labelled = {
            stored.device_id
            for stored in study.labels.all(group.journals.purpose)
            if stored.context == context
        }
        present = {worker.device_id for worker in group.workers}
        self._earlier = (labelled & group.journals.by_device.keys()) - present
        self.needed = len(group.workers) + len(self._earlier) > 1
        if self.needed and group.canary is None:
            raise CollectError(
                "several devices cannot share a data set without a canary that shows that they agree",
                "see why its export failed (hytnas-profile dataset describe --json: failures), or "
                f"{KEEP_APART}",
            )

    def measure(self, worker: LatencyWorker, processes: int) -> None:
        """Measure the canary in so many fresh processes.

        Raises
        ------
        CollectError
            It does not run there.
        DeviceError
            The device is lost.
        """
        for _ in range(processes):
            result = worker.measurer.settle_canary()
            if result is not None and result.outcome is not Outcome.OK:
                raise CollectError(
                    f"the canary does not run on {worker.name!r}: {result.outcome} {result.message}".rstrip(),
                    f"check it with: hytnas-profile device doctor {worker.name}",
                )

    def admit(self, workers: Sequence[LatencyWorker], measure: Callable[[int], None]) -> Agreement | None:
        """Let devices take part once they agree with each other and with all that do already.

        ``measure`` has the canary measured in so many more processes on each of ``workers``; it is called as
        long as their noise leaves the question open.

        Raises
        ------
        DevicesDifferError
            They disagree, or it is not to be decided.
        """
        processes = max(self._options.processes, WANTED_PROCESSES)
        measured = 0
        while self.needed:
            measure(processes)
            measured += processes
            with self._lock:
                agreement = self.agreement(workers)
                if agreement is None or agreement.agree:
                    self._admitted |= {worker.device_id for worker in workers}
                    self._study.boards.set_tolerance(workers[0].context, self._options.board_tolerance)
                    return agreement
            if agreement.verdict == "disagree" or measured >= MAX_PROCESSES:
                raise DevicesDifferError(
                    agreement.describe(self.names()), f"{REMEDIES[agreement.verdict]}, or {KEEP_APART}"
                )
            processes = min(measured, MAX_PROCESSES - measured)
        return None

    def agreement(self, workers: Sequence[LatencyWorker] = ()) -> Agreement | None:
        """How well the canaries of the devices that take part, and of ``workers``, agree; None for one alone.

        Raises
        ------
        DevicesDifferError
            One of them was not measured twice, so that nothing is known of it.
        """
        wanted = self._earlier | self._admitted | {worker.device_id for worker in workers}
        if self._group.canary is None or len(wanted) < 2:
            return None
        stored_ms = self._study.boards.comparable_canaries_ms(
            self._group.workers[0].context, self._group.canary, self._options.settings
        )
        medians_ms = {device_id: stored_ms.get(device_id, []) for device_id in sorted(wanted)}
        agreement = compare_boards(medians_ms, tolerance=self._options.board_tolerance)
        compared = {board.device_id for board in agreement.boards} if agreement is not None else set()
        if agreement is None or compared != wanted:
            names = self.names()
            unknown = ", ".join(names.get(device_id, device_id) for device_id in sorted(wanted - compared))
            raise DevicesDifferError(
                f"nothing shows that {unknown} runs like the others: the canary was not measured twice there",
                f"name it with --device, too, so that it is, or {KEEP_APART}",
            )
        return agreement

    def join(self, worker: LatencyWorker) -> None:
        """Let a device take part that was lost when the others were compared; raises what ``admit`` does."""
        if self.needed and worker.device_id not in self._admitted:
            self.admit([worker], lambda processes: self.measure(worker, processes))

    def names(self) -> dict[str, str]:
        """What the person calls each device, by device id; those of earlier calls included."""
        return self._study.devices.names() | {worker.device_id: worker.name for worker in self._group.workers}


def compare_canaries(
    comparison: Comparison, workers: Sequence[LatencyWorker], bar: Progress, stop: threading.Event
) -> None:
    """Have devices measure the canary, at once, and let those take part that could, if all agree.

    A device that is lost meanwhile is not compared; ``LatencyWorker.pending`` says why.

    Raises
    ------
    DevicesDifferError
        Two of them disagree, or it is not to be decided.
    CollectError
        The canary does not run on a device.
    """
    if not comparison.needed:
        return
    there = [worker for worker in workers if worker.pending is None]

    def measure(processes: int) -> None:
        bar.event(f"comparing the devices: {processes} processes of the canary on each")

        def work(worker: LatencyWorker) -> None:
            try:
                comparison.measure(worker, processes)
            except DeviceError as error:
                worker.pending = error

        work_together(work, there, stop)
        there[:] = [worker for worker in there if worker.pending is None]

    agreement = comparison.admit(there, measure) if there else None
    if agreement is not None:
        bar.event(agreement.describe(comparison.names()))
