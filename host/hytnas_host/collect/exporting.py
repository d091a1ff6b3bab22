"""The export stage: networks become model files of the study, once each."""

import signal
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from hytnas_agent.errors import HytnasError
from hytnas_datasets.errors import StudyError
from hytnas_datasets.plan import Task, build_plan
from hytnas_datasets.store import ExportRecord, Study
from hytnas_host.collect.model import Model
from hytnas_host.collect.sampling import Network
from hytnas_host.devices.client import check_unchanged
from hytnas_host.devices.errors import FileChangedError
from hytnas_host.export import ExportedModel, ExportPool, ExportTarget
from hytnas_host.export.errors import NoRoomError, names_full_disk

MODELS = "models"


class Exporter:
    """Gives the model files of networks, exporting in worker processes what the study does not hold yet.

    Parameters
    ----------
    study : Study
    task : Task
    seed : int
        Of the weights; they do not matter to the latency, but the same network gives the same file.
    workers : int, optional
        Worker processes; the number of processors by default.
    target : ExportTarget
        The format, precision and converter of the files.

    Attributes
    ----------
    failed : dict
        Plan hash of every network that could not be exported, and why.
    hashes : dict
        Hash of the model file by plan hash, of every network prepared.
    seconds : float
        Time spent in ``prepare``.
    """

    def __init__(
        self, study: Study, task: Task, *, seed: int, workers: int | None = None, target: ExportTarget
    ) -> None:
        self.failed: dict[str, str] = {}
        self.hashes: dict[str, str] = {}
        self.seconds = 0.0
        self._study = study
        self._task = task
        self._seed = seed
        self._workers = workers
        self._target = target
        self._pool: ExportPool | None = None
        self._pending: list[Future[ExportedModel]] = []
        self._cancelled = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_pool(cancel=kind is not None)

    def prepare(self, networks: Sequence[Network], *, last: bool = False) -> list[Model]:
        """The models of these networks, in order; a network that cannot be exported is left out.

        It is then a failure of the study and in ``failed``. After the ``last`` ones the worker processes end:
        what is measured then may need the memory that they hold. Another export would start them again.

        Raises
        ------
        StudyError, NoRoomError
            The study, or a model file, cannot be written: no fault of a network.
        """
        started_s = time.monotonic()
        ready = {plan_hash: self._stored(plan_hash) for _, plan_hash in networks}
        waiting = {
            plan_hash: self._submit(network)
            for network in networks
            if ready[plan_hash := network[1]] is None and not self._cancelled
        }
        for plan_hash, future in waiting.items():
            ready[plan_hash] = self._finished(plan_hash, future)
        self._pending.clear()
        if last:
            self._end_pool()
        self.seconds += time.monotonic() - started_s
        found = {plan_hash: model for plan_hash, model in ready.items() if model is not None}
        self.hashes |= {plan_hash: model.sha256 for plan_hash, model in found.items()}
        return list(found.values())

    def cancel(self) -> None:
        """Let exports that have not begun be, from any thread; ``prepare`` then returns what there is."""
        self._cancelled = True
        for future in list(self._pending):
            future.cancel()

    def known_hashes(self, networks: Sequence[Network]) -> list[str]:
        """The hashes of those networks' model files that the study holds."""
        records = (self._record(plan_hash) for _, plan_hash in networks)
        return [record.sha256 for record in records if record is not None]

    def _end_pool(self, *, cancel: bool = False) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(cancel=cancel)

    def _record(self, plan_hash: str) -> ExportRecord | None:
        return self._study.exports.find(
            plan_hash,
            self._task,
            format=self._target.format,
            precision=self._target.precision,
            converter=self._target.converter,
        )

    def _stored(self, plan_hash: str) -> Model | None:
        record = self._record(plan_hash)
        if record is None:
            return None
        try:
            model = model_of(self._study, record)
            for file, sha256 in model.files:
                check_unchanged(file, sha256)
        except (StudyError, FileChangedError):
            return None
        return model

    def _submit(self, network: Network) -> Future[ExportedModel]:
        if self._pool is None:
            self._pool = ExportPool(self._workers, target=self._target)
        plan = build_plan(network[0], self._task)
        with _interrupt_blocked():
            future = self._pool.submit(plan, self._study.folder / MODELS, seed=self._seed)
        self._pending.append(future)
        return future

    def _finished(self, plan_hash: str, future: Future[ExportedModel]) -> Model | None:
        try:
            exported = future.result()
        except CancelledError:
            return None
        except NoRoomError:
            raise
        except HytnasError as error:
            if names_full_disk(str(error)):  # of a converter that writes files of its own
                raise NoRoomError(error.what, "Free some space and run the same command again") from error
            self.failed[plan_hash] = str(error)
            self._study.failures.add("export", plan_hash, str(error))
            return None
        record = ExportRecord(
            sha256=exported.sha256,
            format=self._target.format,
            precision=self._target.precision,
            path=f"{MODELS}/{exported.path.name}",
            size_bytes=exported.size_bytes,
            plan_hash=plan_hash,
            task=self._task,
            opset=exported.opset,
            converter=self._target.converter,
            converter_version=exported.converter_version,
            parity_error=exported.parity_error,
            output_spread=exported.output_spread,
            correlation=exported.correlation,
            reference=exported.reference,
            seconds=exported.seconds,
        )
        self._study.exports.add(record)
        return model_of(self._study, record)


@contextmanager
def _interrupt_blocked() -> Iterator[None]:
    """Threads and processes that are started meanwhile never see Ctrl-C; it is for this one to answer."""
    former = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)


def model_of(study: Study, record: ExportRecord) -> Model:
    """The files of a stored model, ready to be measured; raises StudyError where they lie elsewhere."""
    reference = record.reference
    return Model(
        sha256=record.sha256,
        format=record.format,
        path=study.file(record.path),
        reference=reference,
        inputs_file=study.file(f"{MODELS}/{reference.inputs_sha256}.npz") if reference else None,
        outputs_file=study.file(f"{MODELS}/{reference.outputs_sha256}.npz") if reference else None,
    )
