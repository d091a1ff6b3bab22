"""Which jobs a collection has behind it, what their results mean for it, and the ids of those to come."""

import hashlib
import uuid
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from hytnas_agent.label import (
    StoppingRule,
    alike_but_for_deadline,
    came_to,
    given_up,
    may_be_discarded,
    measured_again,
    measured_with,
    next_replicate,
    process_settled,
    retries_of,
)
from hytnas_agent.records import DeviceContext, MeasurePass, MeasureSettings, ProcessResult
from hytnas_agent.whole_file import written_once
from hytnas_datasets.errors import StudyError
from hytnas_datasets.store import Study
from hytnas_host.collect.schedule import Passes, Slot, slots_of

REFUSED: Final = "answer"
"""Stage of a failure whose subject is the id of a job that a device did not answer."""


def study_id(folder: Path) -> str:
    """The identity of a study towards agents: random, kept in its folder from the first collection on.

    Raises StudyError if it can be neither read nor written.
    """
    path = folder / "journal-id"
    try:
        return written_once(path, uuid.uuid4().hex)
    except OSError as error:
        raise StudyError(
            f"{path} cannot be read or written ({error.strerror})",
            "Check the folder's permissions and free space",
        ) from error


class JobJournal:
    """The jobs of one purpose, on one device in one context with one group of settings.

    A result that is stored is never asked for again; a job that was measured but not stored, because the host
    died, is asked for under the same id, and the agent answers from its own journal.

    Parameters
    ----------
    study : Study
    purpose : str
    device_id : str
    context : DeviceContext
    settings : MeasureSettings
    stored : mapping, optional
        What ``study.results.by_model(purpose)`` gives, where that was read already.
    """

    def __init__(
        self,
        study: Study,
        purpose: str,
        device_id: str,
        context: DeviceContext,
        settings: MeasureSettings,
        *,
        stored: Mapping[str, Sequence[tuple[int, ProcessResult]]] | None = None,
    ) -> None:
        self.purpose = purpose
        self.device_id = device_id
        self.context = context
        self.settings = settings
        self._study = study
        self._study_id = study_id(study.folder)
        self._fingerprint = context.fingerprint()
        self._attempts: dict[str, dict[Slot, list[ProcessResult]]] = {}
        self._others: dict[str, str] = {}  # device id by job id
        self._discarded = set(study.results.discarded())
        self._used = {failure.subject for failure in study.failures.all(REFUSED)}
        known = study.results.by_model(purpose) if stored is None else stored
        for sha256, results in known.items():
            for replicate, result in results:
                self._note(Slot(sha256, result.measure_pass, replicate), result)

    def _note(self, slot: Slot, result: ProcessResult) -> None:
        self._used.add(result.job_id)
        if self._is_ours(slot, result):
            self._attempts.setdefault(slot.model_sha256, {}).setdefault(slot, []).append(result)
        else:
            self._others[result.job_id] = result.identity.device_id

    def _is_ours(self, slot: Slot, result: ProcessResult) -> bool:
        return (
            result.model_sha256 == slot.model_sha256  # versions of before stored whatever a board sent
            and result.identity.device_id == self.device_id
            and measured_with(result, self.settings)
            and (result.context is None or result.context.fingerprint() == self._fingerprint)
        )

    def job_id(self, slot: Slot) -> str:
        """The id of the slot's next attempt: the same whenever the same has been stored.

        Never that of a stored result, not even of one that does not count here, nor of a refused one.
        """
        attempt = len(self._of(slot))
        while (job_id := self._hash(slot, attempt)) in self._used:
            attempt += 1
        return job_id

    def _hash(self, slot: Slot, attempt: int) -> str:
        key = (
            self._study_id,
            self.purpose,
            self.device_id,
            self._fingerprint,
            alike_but_for_deadline(self.settings),
            slot.model_sha256,
            slot.measure_pass,
            slot.replicate,
            attempt,
        )
        return hashlib.sha256(msgspec.json.encode(key, order="sorted")).hexdigest()[:32]

    def store(self, slot: Slot, result: ProcessResult) -> ProcessResult:
        """Make a result durable; what is stored of the job, which is an earlier result where there was one.

        So no label is made of what the study does not hold. One of another device, context or settings does
        not count here.
        """
        stored = self._study.results.add(
            result, model_sha256=slot.model_sha256, purpose=self.purpose, replicate=slot.replicate
        )
        self._note(slot, stored)
        return stored

    def refuse(self, job_id: str, why: str) -> None:
        """Note that what a device gave for a job is not stored; the job's id is not used again."""
        self._study.failures.add(REFUSED, job_id, why)
        self._used.add(job_id)

    @property
    def job_ids(self) -> list[str]:
        """Every job of the device whose result is stored."""
        attempts = (results for slots in self._attempts.values() for results in slots.values())
        others = [job_id for job_id, device_id in self._others.items() if device_id == self.device_id]
        return [result.job_id for results in attempts for result in results] + others

    @property
    def standing_ids(self) -> list[str]:
        """The jobs whose results count here and are not discarded."""
        slots = (slot for slots in self._attempts.values() for slot in slots)
        return [result.job_id for slot in slots for result in self._standing(slot)]

    def settled(self, slot: Slot) -> bool:
        """Whether the slot needs no further attempt: a disturbed one once its model's are used up."""
        return process_settled(self._standing(slot), self._retries(slot.model_sha256))

    def measured_again(self, slot: Slot) -> bool:
        """Whether the slot gets another attempt if something disturbs its next one.

        By all its attempts, discarded ones too, so that it is the same whenever the job's id is.
        """
        attempts = self._of(slot)
        return measured_again(attempts, self._retries(slot.model_sha256, next_of=attempts))

    def count_settled(self, model_sha256: str, passes: Passes) -> int:
        """How many of the model's processes need no further attempt."""
        return sum(self.settled(slot) for slot in slots_of(model_sha256, passes))

    def next_timed(self, model_sha256: str, rule: StoppingRule) -> Slot | None:
        """The timed process that the model needs next; None where the rule has come to an end.

        More than the least number would say nothing of a model none of whose processes was undisturbed.
        """
        timed, retries = self._timed(model_sha256), self._retries(model_sha256)
        replicate = next_replicate(timed, retries, rule)
        return None if replicate is None else Slot(model_sha256, MeasurePass.TIMED, replicate)

    def left(self, model_sha256: str, passes: Passes) -> list[Slot]:
        """What the model is known to need yet: its next timed process, and the other passes."""
        if self.given_up(model_sha256):
            return []
        timed = self.next_timed(model_sha256, passes.rule)
        others = [Slot(model_sha256, other, 0) for other in passes.others]
        return ([timed] if timed else []) + [slot for slot in others if not self.settled(slot)]

    def complete(self, model_sha256: str, passes: Passes) -> bool:
        """Whether nothing of the model is left to measure."""
        return not self.left(model_sha256, passes)

    def progress(self, model_sha256: str, passes: Passes) -> int:
        """Of the processes that a model takes at least, how many are over; all only once it is complete."""
        if self.complete(model_sha256, passes):
            return passes.count
        return min(self.count_settled(model_sha256, passes), passes.count - 1)

    def discard(self, job_ids: Iterable[str], reason: str) -> None:
        """Let stored results stand in no label; their processes are measured again."""
        chosen = list(job_ids)
        self._study.results.discard(chosen, reason)
        self._discarded.update(chosen)

    def add_failure(self, stage: str, message: str) -> None:
        """Store what went wrong with the device apart from any one job."""
        self._study.failures.add(stage, self.device_id, message)

    def may_discard(self, slot: Slot) -> bool:
        """Whether the slot's last attempt may be discarded for drift: not without end."""
        attempts = self._of(slot)
        return may_be_discarded(attempts, len(attempts) - len(self._standing(slot)))

    def given_up(self, model_sha256: str) -> bool:
        """Whether timed processes of the model have failed for good, so that further ones tell nothing new.

        That is one process that needs no further attempt, or as many failures alike where none went well: the
        processes of a model that hangs are not to wait for their deadline one after the other.
        """
        return given_up(self._timed(model_sha256).values())

    def last_attempts(self, model_sha256: str) -> list[ProcessResult]:
        """What each slot of the model came to, cancelled and discarded ones left out."""
        slots = self._attempts.get(model_sha256, {})
        return came_to(self._standing(slot) for slot in slots)

    def timed_attempts(self, model_sha256: str) -> dict[int, list[ProcessResult]]:
        """The attempts of the model's timed processes by replicate, in order, discarded ones left out."""
        return dict(sorted(self._timed(model_sha256).items()))

    def timed_since(self, unix_s: float) -> list[tuple[Slot, str]]:
        """Slot and job of timed processes that started after a time of the device's clock; none discarded."""
        return [
            (Slot(model_sha256, MeasurePass.TIMED, replicate), result.job_id)
            for model_sha256 in self._attempts
            for replicate, attempts in self.timed_attempts(model_sha256).items()
            for result in attempts
            if result.started_unix_s > unix_s
        ]

    @property
    def empty(self) -> bool:
        """Whether nothing is stored."""
        return not self._attempts

    def _timed(self, model_sha256: str) -> dict[int, list[ProcessResult]]:
        """As ``timed_attempts``, in the order in which the processes were begun."""
        slots = self._attempts.get(model_sha256, {})
        chosen = [slot for slot in slots if slot.measure_pass == MeasurePass.TIMED]
        return {slot.replicate: attempts for slot in chosen if (attempts := self._standing(slot))}

    def _retries(self, model_sha256: str, *, next_of: Sequence[ProcessResult] = ()) -> int:
        """Attempts after a disturbed one, discarded ones included; see ``retries_of``."""
        return retries_of(self._attempts.get(model_sha256, {}).values(), next_of=next_of)

    def _standing(self, slot: Slot) -> list[ProcessResult]:
        return [result for result in self._of(slot) if result.job_id not in self._discarded]

    def _of(self, slot: Slot) -> list[ProcessResult]:
        return self._attempts.get(slot.model_sha256, {}).get(slot, [])
