"""What happens when the canary has drifted: the processes since it was last well are measured again."""

from collections.abc import Callable

from hytnas_agent.label import MAX_DISCARDS
from hytnas_agent.records import ProcessResult
from hytnas_datasets.store.records import FORMER_SPEED
from hytnas_host.collect.drift import CanaryWatch, DriftRule, Sighting
from hytnas_host.collect.errors import LastingDriftError
from hytnas_host.collect.jobs import JobJournal
from hytnas_host.collect.schedule import Slot


class DriftGuard:
    """Holds what one device measured since its canary was last well, and discards it if that was too slow.

    Parameters
    ----------
    name : str
        Of the device.
    journal, canary_journal : JobJournal
    watch : CanaryWatch
    rule : DriftRule
    wait : callable
        Waits so many seconds; true where the collection was stopped meanwhile.

    Attributes
    ----------
    say : callable
        Told in a line what happened.
    discarded, drifts : int
        Processes that were discarded, and how often the canary had drifted.
    failures : int
        Processes of the canary that failed, so that they show nothing; ``failure`` says how the last one did.
    """

    def __init__(
        self,
        name: str,
        journal: JobJournal,
        canary_journal: JobJournal,
        watch: CanaryWatch,
        *,
        rule: DriftRule,
        wait: Callable[[float], bool],
    ) -> None:
        self.say: Callable[[str], None] = lambda _: None
        self.discarded = 0
        self.drifts = 0
        self.failures = 0
        self.failure = ""
        self._name = name
        self._journal = journal
        self._canary_journal = canary_journal
        self._watch = watch
        self._rule = rule
        self._wait = wait
        self._since: list[tuple[Slot, str]] = []

    @property
    def open(self) -> bool:
        """Whether anything was measured since the canary was last well."""
        return bool(self._since)

    def holds(self, model_sha256: str) -> bool:
        """Whether a process of the model is still to be checked; for any thread."""
        return any(slot.model_sha256 == model_sha256 for slot, _ in list(self._since))

    def note(self, slot: Slot, job_id: str) -> None:
        """A timed process was measured."""
        self._since.append((slot, job_id))

    def failed(self, result: ProcessResult) -> None:
        """A process of the canary has failed for good: say so, for drift would not be noticed."""
        self.failures += 1
        before, self.failure = self.failure, f"{result.outcome} {result.message}".rstrip()
        if self.failure != before:
            self.say(f"{self._name}: the canary fails ({self.failure}): drift is not noticed while it does")

    def check(self) -> None:
        """Look at the canary; where it has drifted, discard what was measured since and wait for it.

        Where it fails, what was measured since is still to be checked.

        Raises
        ------
        LastingDriftError
            It does not come back, and the device is to be given up then.
        """
        drift = sighting = self._watch.look()
        if not sighting.drifted:
            if sighting.known:
                self._since.clear()
            return
        self.drifts += 1
        self._discard(sighting)
        for pause_s in self._rule.pauses_s:
            self._discard_canaries(sighting, _reason(drift))
            if self._wait(pause_s):
                return
            sighting = self._watch.look()
            if sighting.known and not sighting.drifted:
                self.say(f"{self._name}: the canary is back")
                return
            drift = sighting if sighting.drifted else drift
        if sighting.known:
            self._last(sighting)
        else:
            self._discard_canaries(sighting, _reason(drift))
            self.say(f"{self._name}: the canary fails, so that it is not known whether it is back")

    def _discard(self, sighting: Sighting) -> None:
        again = [job_id for slot, job_id in self._since if self._journal.may_discard(slot)]
        kept = len(self._since) - len(again)
        self._journal.discard(again, _reason(sighting))
        self._since.clear()
        self.discarded += len(again)
        self.say(
            f"{self._name}: {_reason(sighting)}, {len(again)} processes since it was last well are measured "
            "again" + (f", {kept} are kept after {MAX_DISCARDS} times" if kept else "")
        )

    def _discard_canaries(self, sighting: Sighting, reason: str) -> None:
        job_ids = [job_id for reading in sighting.readings for job_id in reading.job_ids]
        self._canary_journal.discard(job_ids, reason)

    def _last(self, sighting: Sighting) -> None:
        """The drift lasts: what showed it is the first of the new level, and the old one is discarded.

        So the level is in the store, and a collection that is killed goes on at it.
        """
        what = f"{self._name} has changed speed for good: {_reason(sighting)} and does not come back"
        if self._rule.stop:
            self._discard_canaries(sighting, _reason(sighting))
            raise LastingDriftError(
                what,
                "see what else runs there and how warm it is (hytnas-profile device doctor), then run the "
                "same command again, or without --stop-on-drift to go on at its new speed",
            )
        self._canary_journal.add_failure("drift", what)
        self.say(f"{what}; going on at its new speed, so that labels before and after are not alike")
        latest = {job_id for reading in sighting.readings for job_id in reading.job_ids}
        before = [job_id for job_id in self._canary_journal.standing_ids if job_id not in latest]
        self._canary_journal.discard(before, f"{self._name} {FORMER_SPEED}")


def _reason(sighting: Sighting) -> str:
    return f"the canary has drifted by {100 * sighting.shift:+.1f} %"
