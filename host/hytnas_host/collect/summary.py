"""What one collection came to."""

from collections import Counter

import msgspec

from hytnas_agent.records import EXECUTION_WORDS, Execution
from hytnas_datasets.store import Agreement
from hytnas_host.collect.label_rows import LabelRow
from hytnas_host.collect.pace import SHARED_BELOW, describe_share


class DeviceShare(msgspec.Struct, frozen=True):
    """What one device did in a collection.

    Attributes
    ----------
    device, device_id : str
        What the person calls it, and which device it is.
    models, jobs, canaries : int
        Models labelled on it now, their processes, and those of the canary.
    fetched_jobs : int
        Processes that its agent had measured while nobody listened.
    measure_s, seconds : float
        Time inside measurements, and from its first to its last job.
    busy_share : float or None
        The one over the other.
    given_back, rejoined : int
        Models it could not finish, and how often it came back.
    lost : str
        Why it was gone at the end; empty where it was not.
    drifts, discarded : int
        How often its canary had drifted, and how many processes were measured again for that.
    canary_failures : int
        Processes of its canary that failed, so that drift was not noticed; ``canary_failure`` says how.
    disturbed : int
        Processes, of the canary too, that its health says were disturbed.
    ended_early : int
        Those of them that ended before their runs were done.
    usable_share : float or None
        Share of the time of its processes in which its core was fast; None where that was not watched.
    """

    device: str
    device_id: str
    models: int
    jobs: int
    fetched_jobs: int
    canaries: int
    measure_s: float
    seconds: float
    busy_share: float | None
    given_back: int
    rejoined: int
    lost: str
    drifts: int = 0
    discarded: int = 0
    disturbed: int = 0
    ended_early: int = 0
    usable_share: float | None = None
    canary_failures: int = 0
    canary_failure: str = ""

    def describe(self) -> str:
        """One line for a person."""
        busy = (
            "" if self.busy_share is None else f", busy {100 * self.busy_share:.1f} % of {self.seconds:.0f} s"
        )
        back = f", gave {self.given_back} models back" if self.given_back else ""
        again = f", came back {self.rejoined} times" if self.rejoined else ""
        found = f", {self.fetched_jobs} processes fetched" if self.fetched_jobs else ""
        lost = f"; gone at the end: {self.lost}" if self.lost else ""
        return (
            f"{self.device}: {self.models} models, {self.jobs} processes{busy}, {self.canaries} of the canary"
            f"{found}{back}{again}{lost}"
        )


class CollectionSummary(msgspec.Struct, frozen=True):
    """Counts and times of one collection; earlier, resumed parts are in ``outcomes`` but not in the seconds.

    Attributes
    ----------
    purpose : str
    models : int
        Models asked for.
    kind : str
        Their format and precision.
    outcomes : dict
        How many labels ended with each outcome.
    failed_exports : int
        Models that could not be exported (see the study's failures).
    export_failure : str
        Why the first of them could not.
    left_out : int
        Models that there was no time for.
    disturbed_labels : int
        Labels for which too few processes were undisturbed.
    measured_jobs, resumed_jobs : int
        Processes measured now, and those found stored already.
    export_s, measure_s, seconds : float
        Time spent waiting for exports, in measurements, and in all.
    devices : tuple of DeviceShare
    agreement : Agreement or None
        How well the devices' canaries agreed over the whole collection, where several shared it.
    executions : tuple of Execution
        How the devices ran what they measured, from the most real to the least.
    without_canary : bool
        Whether a canary was wanted and could not be made.
    """

    purpose: str
    models: int
    kind: str
    outcomes: dict[str, int]
    failed_exports: int
    measured_jobs: int
    resumed_jobs: int
    canaries: int
    export_s: float
    measure_s: float
    seconds: float
    devices: tuple[DeviceShare, ...] = ()
    agreement: Agreement | None = None
    executions: tuple[Execution, ...] = ()
    export_failure: str = ""
    disturbed_labels: int = 0
    left_out: int = 0
    without_canary: bool = False

    def describe(self) -> str:
        """One line for a person, one more where it was no real board, one for each device of several."""
        endings = ", ".join(f"{count} {outcome}" for outcome, count in sorted(self.outcomes.items()))
        lost = f", {self.failed_exports} not exported" if self.failed_exports else ""
        resumed = f" ({self.resumed_jobs} were there already)" if self.resumed_jobs else ""
        lines = [
            f"{self.models} models ({self.kind}): {endings or 'none measured'}{lost}; "
            f"{self.measured_jobs} processes measured{resumed} "
            f"in {self.seconds:.0f} s (export {self.export_s:.0f} s, measure {self.measure_s:.0f} s)"
        ]
        if self.left_out:
            lines.append(
                f"  {self.left_out} models were left out, because the time for measuring was over; what was "
                "measured of them is kept"
            )
        if self.export_failure:
            lines.append(f"  not exported: {self.export_failure}")
        if any(execution != "native" for execution in self.executions):
            words = " and ".join(EXECUTION_WORDS[execution] for execution in self.executions)
            lines.append(f"  latencies: {words}")
        if len(self.devices) > 1 or any(share.given_back for share in self.devices):
            lines += [f"  {share.describe()}" for share in self.devices]
        drifts, discarded = (sum(getattr(s, name) for s in self.devices) for name in ("drifts", "discarded"))
        if drifts:
            lines.append(
                f"  the canary had drifted {drifts} times; {discarded} processes were measured again for that"
            )
        if self.without_canary:
            lines.append(f"  no canary could be made in {self.kind}, so drift was not noticed")
        lines += [
            f"  {share.device}: the canary failed {share.canary_failures} times ({share.canary_failure}), so "
            "drift was not noticed: see hytnas-profile device doctor"
            for share in self.devices
            if share.canary_failures
        ]
        disturbed = sum(share.disturbed for share in self.devices)
        if disturbed:
            early = sum(share.ended_early for share in self.devices)
            ended = f" ({early} of them ended early)" if early else ""
            lines.append(f"  {disturbed} processes were disturbed{ended}, see: hytnas-profile device doctor")
        for share in self.devices:
            if share.usable_share is not None and share.usable_share < SHARED_BELOW:
                lines.append(f"  {share.device}: {describe_share(share.usable_share)}")
        if self.disturbed_labels:
            lines.append(
                f"  {self.disturbed_labels} labels have too few undisturbed processes, whatever the attempts"
            )
        if self.agreement is not None:
            names = {share.device_id: share.device for share in self.devices}
            lines.append(f"  {self.agreement.describe(names)}")
        return "\n".join(lines)


class FilesSummary(msgspec.Struct, frozen=True):
    """What measuring model files came to.

    Attributes
    ----------
    collections : tuple of CollectionSummary
        One for each kind of files, each measured by itself.
    labels : tuple of LabelRow
        One or more for each of the files.
    """

    collections: tuple[CollectionSummary, ...]
    labels: tuple[LabelRow, ...]

    @property
    def outcomes(self) -> dict[str, int]:
        """How many files of all kinds ended with each outcome."""
        return dict(Counter(row.outcome for row in self.labels))

    def describe(self) -> str:
        """What each collection says for a person, and how many files were no models or could not be read."""
        lines = [collection.describe() for collection in self.collections]
        strange = sum(not row.kind for row in self.labels)
        lines += [f"{strange} files are no models, or could not be read"] if strange else []
        return "\n".join(lines)
