"""Several devices at one collection: each takes models from a queue, and a lost one is waited for."""

import threading
from collections.abc import Iterable, Sequence

import numpy as np

from hytnas_agent.errors import HytnasError
from hytnas_host.collect.agreement import Comparison
from hytnas_host.collect.errors import BoardsLostError, CollectError, ContextChangedError, LastingDriftError
from hytnas_host.collect.latency_worker import Group, LatencyWorker
from hytnas_host.collect.model import Model
from hytnas_host.collect.model_queue import ModelQueue
from hytnas_host.collect.options import MeasureOptions
from hytnas_host.collect.pace import describe_pace
from hytnas_host.collect.windows import PreparedWindows
from hytnas_host.collect.worker_threads import work_together
from hytnas_host.devices.errors import DeviceError, DeviceRefusedError
from hytnas_predictors.progress import Progress

# What a person must see to, so that waiting does not help.
GIVEN_UP = (CollectError, ContextChangedError, DeviceRefusedError, LastingDriftError)


class Workers:
    """Measures what a source supplies, once for every group of boards.

    Parameters
    ----------
    groups : sequence of Group
    windows : PreparedWindows
    options : MeasureOptions
    comparison : Comparison or None
        Which a board must pass that was lost when the others did; None where each has a set of its own.
    bar : Progress
        Counts processes, those of every group.
    stop : threading.Event
        Once set, nothing more is begun.
    """

    def __init__(
        self,
        groups: Sequence[Group],
        windows: PreparedWindows,
        options: MeasureOptions,
        comparison: Comparison | None,
        bar: Progress,
        *,
        stop: threading.Event,
    ) -> None:
        self._groups = {board.device_id: group for group in groups for board in group.boards}
        self._boards = [board for group in groups for board in group.boards]
        self._windows = windows
        self._options = options
        self._comparison = comparison
        self._bar = bar
        self._stop = stop
        self._lock = threading.Lock()
        self._working: set[str] = set()
        self._told: set[str] = set()
        self._credited = {
            (id(group), sha256): group.journals.progress(sha256)
            for group in groups
            for sha256 in windows.source.known
        }
        self._queues = {id(group): self._queue_of(group) for group in groups}
        for board in self._boards:
            board.measurer.guard.say = self._say

    def run(self) -> None:
        """Measure until nothing is left.

        Raises
        ------
        DeviceError
            No board is left and something is still to be measured.
        StudyError
            A result could not be stored.
        """
        self._working = {board.device_id for board in self._boards}
        work_together(self._serve, self._boards, self._stop, on_stop=self._wake)
        if not all(queue.finished for queue in self._queues.values()):
            raise self._all_lost()

    def _wake(self) -> None:
        self._windows.source.cancel()
        for queue in self._queues.values():
            queue.stop()

    def _queue_of(self, group: Group) -> ModelQueue:
        def unchecked(sha256: str) -> list[str]:
            return [board.device_id for board in group.boards if board.measurer.guard.holds(sha256)]

        def done(model: Model) -> bool:
            device_id = group.journals.done_on(model.sha256)
            if device_id is None or device_id in unchecked(model.sha256):
                return False
            group.journals.label(model.sha256, device_id)
            self._credit(group, model.sha256, self._options.passes.count)
            return True

        return ModelQueue(
            self._windows,
            [board.device_id for board in group.boards],
            window=self._options.window,
            done=done,
            begun_on=group.journals.begun_on,
        )

    def _serve(self, board: LatencyWorker) -> None:
        """One board's part, in its thread."""
        group = self._groups[board.device_id]
        queue = self._queues[id(group)]
        board.begin()
        self._note()  # the first models may be long in coming
        try:
            if board.pending is not None:
                queue.give_back(board.device_id, ())
                if not self._wait_for(board, queue, (), board.pending):
                    return
            window = 0
            while models := queue.take(board.device_id):
                self._note()
                rng = np.random.default_rng([self._options.seed, self._boards.index(board), window])
                window += 1
                try:
                    board.measurer.measure_window(
                        models,
                        rng,
                        lambda sha256: self._process_ended(group, board, sha256),
                        others_wait=lambda: queue.others_wait,
                    )
                except DeviceError as error:
                    unfinished = self._label(group, board, models)
                    board.given_back += len(unfinished)
                    queue.give_back(board.device_id, unfinished)
                    if not self._wait_for(board, queue, unfinished, error):
                        return
                else:
                    queue.finish(board.device_id, self._label(group, board, models))
                board.end()
        finally:
            self._leave(board)

    def _label(self, group: Group, board: LatencyWorker, models: Iterable[Model]) -> list[Model]:
        """Label what is finished of these models; the others are returned."""
        journal = group.journals.by_device[board.device_id]
        unfinished = []
        for model in models:
            if journal.complete(model.sha256, self._options.passes):
                group.journals.label(model.sha256, board.device_id)
                board.models += 1
            else:
                unfinished.append(model)
        return unfinished

    def _wait_for(
        self, board: LatencyWorker, queue: ModelQueue, unfinished: Sequence[Model], error: HytnasError
    ) -> bool:
        """Try to have a lost board back, with growing pauses; whether it is back.

        As long as another board works it is tried again and again, else until the pauses are over. They go on
        where they were for one that came back and was lost again before it had measured anything.
        """
        board.lost, board.remedy = error.what, error.next_step
        self._leave(board)
        pauses_s = self._options.rejoin_pauses_s
        if board.measurer.tally.measured_jobs > board.jobs_at_rejoin:
            board.attempts = 0
        while True:
            attempt, board.attempts = board.attempts, board.attempts + 1
            pause_s = pauses_s[attempt] if attempt < len(pauses_s) else max(pauses_s, default=0.0)
            if isinstance(error, GIVEN_UP) or (attempt >= len(pauses_s) and not (pauses_s and self._working)):
                self._say(f"{board.name} is given up: {board.lost}")
                return False
            self._say(f"{board.name} is lost, next try in {pause_s:g} s: {board.lost}")
            if queue.wait_finished(pause_s):
                return False
            try:
                board.rejoin([model.sha256 for model in unfinished])
                if self._comparison is not None:
                    self._comparison.join(board)
            except (DeviceError, CollectError) as again:
                error, board.lost, board.remedy = again, again.what, again.next_step
            else:
                with self._lock:
                    self._working.add(board.device_id)
                self._say(f"{board.name} rejoined")
                return True

    def _leave(self, board: LatencyWorker) -> None:
        with self._lock:
            self._working.discard(board.device_id)
        self._note()

    def _process_ended(self, group: Group, board: LatencyWorker, sha256: str) -> None:
        journal = group.journals.by_device[board.device_id]
        self._credit(group, sha256, journal.progress(sha256, self._options.passes))
        if board.measurer.tally.pace.shared and board.device_id not in self._told:
            self._told.add(board.device_id)
            self._say(f"{board.name}: {describe_pace({board.name: board.measurer.tally.pace}, 0)}")
        self._note()

    def _credit(self, group: Group, sha256: str, count: int) -> None:
        """Let the bar show that so many processes of a model are over; fewer where it changed boards."""
        with self._lock:
            before = self._credited.get((id(group), sha256), 0)
            self._credited[id(group), sha256] = count
            if count != before:
                self._bar.advance(count - before)

    def _note(self) -> None:
        with self._lock:
            working = [board.name for board in self._boards if board.device_id in self._working]
            lost = [board.name for board in self._boards if board.lost]
            exported, models = self._windows.exported, self._windows.source.models
            pace = describe_pace(
                {board.name: board.measurer.tally.pace for board in self._boards}, self._left()
            )
            self._bar.note(
                (f"{pace}; " if pace else "")
                + f"{exported} of {models} models exported"
                + (f"; working: {', '.join(working)}" if len(self._boards) > 1 else "")
                + (f"; lost: {', '.join(lost)}" if lost else "")
            )

    def _left(self) -> int:
        """How many timed processes are left at least; in the lock."""
        passes = self._options.passes
        count = self._windows.source.models * passes.count * len(self._queues) - sum(self._credited.values())
        return round(count * passes.rule.min_processes / passes.count)

    def _say(self, text: str) -> None:
        with self._lock:
            self._bar.event(text)
        self._note()

    def _all_lost(self) -> DeviceError:
        lost = [board for board in self._boards if board.lost]
        again = "run the same command again: it goes on where it was"
        if len(lost) == 1:
            remedy = lost[0].remedy or "check it"
            return BoardsLostError(
                f"{lost[0].name} was lost for good: {lost[0].lost}",
                f"{remedy.partition(', then run')[0]}, then {again}",
            )
        again = f"check them, then {again}"
        reasons = "; ".join(f"{board.name}: {board.lost}" for board in lost)
        return BoardsLostError(f"all {len(lost)} devices were lost for good ({reasons})", again)
