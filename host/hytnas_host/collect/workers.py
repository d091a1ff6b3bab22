"""Several devices at one collection: each takes models from a queue, and a lost one is waited for."""

import threading
from collections.abc import Iterable, Sequence

import numpy as np

from hytnas_agent.errors import HytnasError
from hytnas_host.collect.agreement import Comparison
from hytnas_host.collect.budget import DeviceBudget, TimeBudget
from hytnas_host.collect.errors import CollectError, ContextChangedError, DevicesLostError, LastingDriftError
from hytnas_host.collect.latency_worker import Group, LatencyWorker
from hytnas_host.collect.model import Model
from hytnas_host.collect.model_queue import ModelQueue
from hytnas_host.collect.options import MeasureOptions
from hytnas_host.collect.pace import describe_left, describe_shares
from hytnas_host.collect.windows import PreparedWindows
from hytnas_host.collect.worker_threads import work_together
from hytnas_host.devices.errors import DeviceError, DeviceRefusedError
from hytnas_predictors.progress import Progress

# What a person must see to, so that waiting does not help.
GIVEN_UP = (CollectError, ContextChangedError, DeviceRefusedError, LastingDriftError)


class Workers:
    """Measures what a source supplies, once for every group of devices.

    Parameters
    ----------
    groups : sequence of Group
    windows : PreparedWindows
    options : MeasureOptions
    comparison : Comparison or None
        Which a device must pass that was lost when the others did; None where each has a set of its own.
    bar : Progress
        Counts processes, those of every group.
    stop : threading.Event
        Once set, nothing more is begun.
    began_s : float
        When the collection began, by the clock of the options.
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
        began_s: float,
    ) -> None:
        self._groups = {worker.device_id: group for group in groups for worker in group.workers}
        self._workers = [worker for group in groups for worker in group.workers]
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
        self._budgets = {
            id(group): TimeBudget(
                options.budget_s, least=options.least_models, clock=options.clock, began_s=began_s
            )
            for group in groups
        }
        self._queues = {id(group): self._queue_of(group) for group in groups}
        for worker in self._workers:
            worker.measurer.guard.say = self._say

    def run(self) -> None:
        """Measure until nothing is left.

        Raises
        ------
        DeviceError
            No device is left and something is still to be measured.
        StudyError
            A result could not be stored.
        """
        self._working = {worker.device_id for worker in self._workers}
        work_together(self._serve, self._workers, self._stop, on_stop=self._wake)
        if not all(queue.finished for queue in self._queues.values()):
            raise self._all_lost()

    def _wake(self) -> None:
        self._windows.source.cancel()
        for queue in self._queues.values():
            queue.stop()

    def _queue_of(self, group: Group) -> ModelQueue:
        def unchecked(sha256: str) -> list[str]:
            return [worker.device_id for worker in group.workers if worker.measurer.guard.holds(sha256)]

        def done(model: Model) -> bool:
            device_id = group.journals.done_on(model.sha256)
            if device_id is None or device_id in unchecked(model.sha256):
                return False
            group.journals.label(model.sha256, device_id)
            self._credit(group, model.sha256, self._options.passes.count)
            return True

        return ModelQueue(
            self._windows,
            [worker.device_id for worker in group.workers],
            window=self._options.window,
            done=done,
            begun_on=group.journals.begun_on,
            budget=self._budgets[id(group)],
        )

    def _serve(self, worker: LatencyWorker) -> None:
        """One device's part, in its thread."""
        group = self._groups[worker.device_id]
        queue = self._queues[id(group)]
        budget = DeviceBudget(self._budgets[id(group)], needed=lambda: queue.needed(worker.device_id))
        worker.begin()
        self._note()  # the first models may be long in coming
        try:
            if worker.pending is not None:
                queue.give_back(worker.device_id, ())
                if not self._wait_for(worker, queue, (), worker.pending):
                    return
            window = 0
            while models := queue.take(worker.device_id):
                self._note()
                rng = np.random.default_rng([self._options.seed, self._workers.index(worker), window])
                window += 1
                try:
                    worker.measurer.measure_window(
                        models,
                        rng,
                        lambda sha256: self._process_ended(group, worker, sha256),
                        others_wait=lambda: queue.others_wait,
                        budget=budget,
                    )
                except DeviceError as error:
                    unfinished = self._label(group, worker, models)
                    worker.given_back += len(unfinished)
                    queue.give_back(worker.device_id, unfinished)
                    if not self._wait_for(worker, queue, unfinished, error):
                        return
                else:
                    unfinished = self._label(group, worker, models)
                    queue.finish(worker.device_id, unfinished, exhausted=budget.exhausted)
                worker.end()
        finally:
            self._leave(worker)

    def _label(self, group: Group, worker: LatencyWorker, models: Iterable[Model]) -> list[Model]:
        """Label what is finished of these models; the others are returned."""
        journal = group.journals.by_device[worker.device_id]
        unfinished = []
        for model in models:
            if journal.complete(model.sha256, self._options.passes):
                group.journals.label(model.sha256, worker.device_id)
                worker.models += 1
            else:
                unfinished.append(model)
        return unfinished

    def _wait_for(
        self, worker: LatencyWorker, queue: ModelQueue, unfinished: Sequence[Model], error: HytnasError
    ) -> bool:
        """Try to have a lost device back, with growing pauses; whether it is back.

        As long as another device works it is tried again and again, else until the pauses are over. They go
        on where they were for one that came back and was lost again before it had measured anything.
        """
        worker.lost, worker.remedy = error.what, error.next_step
        self._leave(worker)
        pauses_s = self._options.rejoin_pauses_s
        if worker.measurer.tally.measured_jobs > worker.jobs_at_rejoin:
            worker.attempts = 0
        while True:
            attempt, worker.attempts = worker.attempts, worker.attempts + 1
            pause_s = pauses_s[attempt] if attempt < len(pauses_s) else max(pauses_s, default=0.0)
            if isinstance(error, GIVEN_UP) or (attempt >= len(pauses_s) and not (pauses_s and self._working)):
                self._say(f"{worker.name} is given up: {worker.lost}")
                return False
            self._say(f"{worker.name} is lost, next try in {pause_s:g} s: {worker.lost}")
            if queue.wait_finished(pause_s):
                return False
            try:
                worker.rejoin([model.sha256 for model in unfinished])
                if self._comparison is not None:
                    self._comparison.join(worker)
            except (DeviceError, CollectError) as again:
                error, worker.lost, worker.remedy = again, again.what, again.next_step
            else:
                with self._lock:
                    self._working.add(worker.device_id)
                self._say(f"{worker.name} rejoined")
                return True

    def _leave(self, worker: LatencyWorker) -> None:
        with self._lock:
            self._working.discard(worker.device_id)
        self._note()

    def _process_ended(self, group: Group, worker: LatencyWorker, sha256: str) -> None:
        journal = group.journals.by_device[worker.device_id]
        self._credit(group, sha256, journal.progress(sha256, self._options.passes))
        if worker.measurer.tally.pace.shared and worker.device_id not in self._told:
            self._told.add(worker.device_id)
            self._say(f"{worker.name}: {describe_shares({worker.name: worker.measurer.tally.pace})}")
        self._note()

    def _credit(self, group: Group, sha256: str, count: int) -> None:
        """Let the bar show that so many processes of a model are over; fewer where it changed devices."""
        with self._lock:
            before = self._credited.get((id(group), sha256), 0)
            self._credited[id(group), sha256] = count
            if count != before:
                self._bar.advance(count - before)

    def _note(self) -> None:
        with self._lock:
            working = [worker.name for worker in self._workers if worker.device_id in self._working]
            lost = [worker.name for worker in self._workers if worker.lost]
            exported, models = self._windows.exported, self._windows.source.models
            paces = {worker.name: worker.measurer.tally.pace for worker in self._workers}
            limit_s = max(budget.left_s for budget in self._budgets.values())
            told = (
                describe_shares(paces),
                describe_left(paces.values(), self._left(), limit_s=limit_s),
                f"{exported} of {models} models exported",
                f"working: {', '.join(working)}" if len(self._workers) > 1 else "",
                f"lost: {', '.join(lost)}" if lost else "",
            )
            self._bar.note("; ".join(part for part in told if part))

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
        lost = [worker for worker in self._workers if worker.lost]
        again = "run the same command again: it goes on where it was"
        if len(lost) == 1:
            remedy = lost[0].remedy or "check it"
            return DevicesLostError(
                f"{lost[0].name} was lost for good: {lost[0].lost}",
                f"{remedy.partition(', then run')[0]}, then {again}",
            )
        again = f"check them, then {again}"
        reasons = "; ".join(f"{worker.name}: {worker.lost}" for worker in lost)
        return DevicesLostError(f"all {len(lost)} devices were lost for good ({reasons})", again)
