"""Whether boards may put their labels into one set: equal contexts, and canaries that agree."""

import threading
from collections.abc import Callable, Sequence
from typing import Final

from hytnas_agent.records import Outcome
from hytnas_datasets.store import Agreement, Study, compare_boards
from hytnas_datasets.store.agreement import WANTED_PROCESSES
from hytnas_host.collect.errors import BoardsDifferError, CollectError
from hytnas_host.collect.latency_worker import Group, LatencyWorker
from hytnas_host.collect.options import MeasureOptions
from hytnas_host.collect.running import differing_fields
from hytnas_host.collect.worker_threads import work_together
from hytnas_host.devices.errors import DeviceError
from hytnas_predictors.progress import Progress

MAX_PROCESSES: Final = 40
"""Of the canary on each board, after which it is not to be decided whether they agree."""

REMEDIES: Final[dict[str, str]] = {
    "disagree": "look at the cooling and the power supply of the slower one "
    "(hytnas-profile device doctor NAME)",
    "undecided": "find out what else runs on them (hytnas-profile device doctor NAME), allow more with "
    "--board-tolerance",
}
KEEP_APART: Final = "give each board a data set of its own with --keep-apart"


def check_boards(boards: Sequence[LatencyWorker], *, keep_apart: bool) -> None:
    """Check that all are different boards and, unless they are kept apart, that their contexts are equal.

    Raises
    ------
    CollectError
        Two devices are one board.
    BoardsDifferError
        Their contexts differ; the fields are named.
    """
    by_id: dict[str, LatencyWorker] = {}
    for board in boards:
        other = by_id.setdefault(board.device_id, board)
        if other is not board:
            raise CollectError(
                f"{other.name!r} and {board.name!r} are one and the same board ({board.device_id})",
                "name each board once",
            )
    if keep_apart:
        return
    first = boards[0]
    for board in boards[1:]:
        if board.context != first.context:
            raise BoardsDifferError(
                f"{first.name!r} and {board.name!r} cannot share a data set, their contexts differ "
                f"({differing_fields(first.context, board.context)})",
                f"make them alike, or {KEEP_APART}",
            )


class Comparison:
    """Which boards of a group may put labels into its set: those whose canaries agree with all the others'.

    Boards of earlier calls whose labels stand in the set are compared, too: each by all its stored canaries
    of the same settings. A board alone is not asked for anything.

    Parameters
    ----------
    study : Study
    group : Group
    options : MeasureOptions

    Raises
    ------
    CollectError
        There is no canary to compare boards by.
    """

    def __init__(self, study: Study, group: Group, options: MeasureOptions) -> None:
        self._study = study
        self._group = group
        self._options = options
        self._lock = threading.Lock()
        self._admitted: set[str] = set()
        context = group.boards[0].context
        labelled = {
            stored.device_id
            for stored in study.labels.all(group.journals.purpose)
            if stored.context == context
        }
        present = {board.device_id for board in group.boards}
        self._earlier = (labelled & group.journals.by_device.keys()) - present
        self.needed = len(group.boards) + len(self._earlier) > 1
        if self.needed and group.canary is None:
            raise CollectError(
                "several boards cannot share a data set without a canary that shows that they agree",
                "see why its export failed (hytnas-profile dataset describe --json: failures), or "
                f"{KEEP_APART}",
            )

    def measure(self, board: LatencyWorker, processes: int) -> None:
        """Measure the canary in so many fresh processes.

        Raises
        ------
        CollectError
            It does not run there.
        DeviceError
            The board is lost.
        """
        for _ in range(processes):
            result = board.measurer.settle_canary()
            if result is not None and result.outcome is not Outcome.OK:
                raise CollectError(
                    f"the canary does not run on {board.name!r}: {result.outcome} {result.message}".rstrip(),
                    f"check it with: hytnas-profile device doctor {board.name}",
                )

    def admit(self, boards: Sequence[LatencyWorker], measure: Callable[[int], None]) -> Agreement | None:
        """Let boards take part once they agree with each other and with all that do already.

        ``measure`` has the canary measured in so many more processes on each of ``boards``; it is called as
        long as their noise leaves the question open.

        Raises
        ------
        BoardsDifferError
            They disagree, or it is not to be decided.
        """
        processes = max(self._options.processes, WANTED_PROCESSES)
        measured = 0
        while self.needed:
            measure(processes)
            measured += processes
            with self._lock:
                agreement = self.agreement(boards)
                if agreement is None or agreement.agree:
                    self._admitted |= {board.device_id for board in boards}
                    self._study.boards.set_tolerance(boards[0].context, self._options.board_tolerance)
                    return agreement
            if agreement.verdict == "disagree" or measured >= MAX_PROCESSES:
                raise BoardsDifferError(
                    agreement.describe(self.names()), f"{REMEDIES[agreement.verdict]}, or {KEEP_APART}"
                )
            processes = min(measured, MAX_PROCESSES - measured)
        return None

    def agreement(self, boards: Sequence[LatencyWorker] = ()) -> Agreement | None:
        """How well the canaries of the boards that take part, and of ``boards``, agree; None for one alone.

        Raises
        ------
        BoardsDifferError
            One of them was not measured twice, so that nothing is known of it.
        """
        wanted = self._earlier | self._admitted | {board.device_id for board in boards}
        if self._group.canary is None or len(wanted) < 2:
            return None
        stored_ms = self._study.boards.comparable_canaries_ms(
            self._group.boards[0].context, self._group.canary, self._options.settings
        )
        medians_ms = {device_id: stored_ms.get(device_id, []) for device_id in sorted(wanted)}
        agreement = compare_boards(medians_ms, tolerance=self._options.board_tolerance)
        compared = {board.device_id for board in agreement.boards} if agreement is not None else set()
        if agreement is None or compared != wanted:
            names = self.names()
            unknown = ", ".join(names.get(device_id, device_id) for device_id in sorted(wanted - compared))
            raise BoardsDifferError(
                f"nothing shows that {unknown} runs like the others: the canary was not measured twice there",
                f"name it with --device, too, so that it is, or {KEEP_APART}",
            )
        return agreement

    def join(self, board: LatencyWorker) -> None:
        """Let a board take part that was lost when the others were compared; raises what ``admit`` does."""
        if self.needed and board.device_id not in self._admitted:
            self.admit([board], lambda processes: self.measure(board, processes))

    def names(self) -> dict[str, str]:
        """What the person calls each board, by device id; those of earlier calls included."""
        return self._study.devices.names() | {board.device_id: board.name for board in self._group.boards}


def compare_canaries(
    comparison: Comparison, boards: Sequence[LatencyWorker], bar: Progress, stop: threading.Event
) -> None:
    """Have boards measure the canary, at once, and let those take part that could, if all agree.

    A board that is lost meanwhile is not compared; ``Board.pending`` says why.

    Raises
    ------
    BoardsDifferError
        Two of them disagree, or it is not to be decided.
    CollectError
        The canary does not run on a board.
    """
    if not comparison.needed:
        return
    there = [board for board in boards if board.pending is None]

    def measure(processes: int) -> None:
        bar.event(f"comparing the boards: {processes} processes of the canary on each")

        def work(board: LatencyWorker) -> None:
            try:
                comparison.measure(board, processes)
            except DeviceError as error:
                board.pending = error

        work_together(work, there, stop)
        there[:] = [board for board in there if board.pending is None]

    agreement = comparison.admit(there, measure) if there else None
    if agreement is not None:
        bar.event(agreement.describe(comparison.names()))
