"""What the latency labels of each device rest on: verdicts of their processes, drifts, widths."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from hytnas_agent.label import made_of
from hytnas_agent.records import LatencyLabel, MeasurePass, Outcome, ProcessResult
from hytnas_datasets.store.attempts import attempts_of
from hytnas_datasets.store.labels import StoredLabel
from hytnas_datasets.store.records import DiscardRecord, FailureRecord, Purpose
from hytnas_datasets.store.results import StoredResult

NOT_JUDGED: Final = "not judged"

_NUMBER: Final = re.compile(r"\d+(?:[.,]\d+)*(?:\s*%)?")


class LabelQuality(msgspec.Struct, frozen=True):
    """What the latency labels of one device rest on, those of a verification (``afresh``) apart.

    Each label of ``labels`` (those with a latency) is counted once in ``valid``, ``unverified``,
    ``not_judged`` or ``disturbed``, by the worst verdict of the processes it is made of, the last where too
    few were undisturbed; ``absent`` names the probes that were not there. The others overlap with them:
    ``unstable`` labels have a wider interval than was asked for, ``untargeted`` ones are of a fixed number of
    processes, so that none was asked for, ``stale`` ones rest on a process that was discarded after they were
    made, and ``former_speed`` ones on a process of before the device's last lasting change of speed.

    Of ``processes``, the timed ones that went well, every attempt counted, ``invalid`` were disturbed,
    ``retried`` of these were measured again, and ``discarded`` stand in no label for a drift of the canary;
    ``unsteady`` ones were timed although their warm-up had not come to a steady state.
    ``reasons`` says how often each kind of disturbance was seen, numbers left out, the commonest first.
    ``speed_changes`` counts the device's drifts that lasted. ``name`` is what the person calls the device.
    """

    device_id: str
    name: str
    afresh: bool
    labels: int
    valid: int
    unverified: int
    not_judged: int
    disturbed: int
    absent: tuple[str, ...]
    unstable: int
    untargeted: int
    stale: int
    former_speed: int
    processes: int
    invalid: int
    retried: int
    discarded: int
    unsteady: int
    reasons: dict[str, int]
    speed_changes: int


_Group = tuple[str, bool]
_Made = tuple[LatencyLabel, list[ProcessResult]]


@dataclass(frozen=True)
class _Evidence:
    """What is known of a study's processes beside what they measured.

    The jobs that were ``gone`` (discarded) and the ``last`` attempts of their processes; by device, when the
    last canary of a former speed started, how many drifts lasted, and the name.
    """

    gone: frozenset[str]
    last: frozenset[str]
    changed_s: Mapping[str, float]
    lasting: Counter[str]
    names: Mapping[str, str]


def label_qualities(
    results: Sequence[StoredResult],
    labels: Sequence[StoredLabel],
    discards: Sequence[DiscardRecord],
    failures: Sequence[FailureRecord],
    names: Mapping[str, str],
) -> tuple[LabelQuality, ...]:
    """One entry for each device with timed processes or labels, and one more for those measured afresh.

    Parameters
    ----------
    results, labels : sequence
        All of the study, in the order they were stored.
    discards, failures : sequence
        All of the study.
    names : mapping
        What devices are called, by device id.
    """
    timed = [stored for stored in results if stored.result.measure_pass == MeasurePass.TIMED]
    evidence = _Evidence(
        gone=frozenset(record.job_id for record in discards),
        last=frozenset(attempts[-1].result.job_id for attempts in attempts_of(timed)),
        changed_s=_last_changes(timed, discards),
        lasting=Counter(failure.subject for failure in failures if failure.stage == "drift"),
        names=names,
    )
    made: dict[_Group, list[_Made]] = {}
    for group, label in _made_labels(timed, labels):
        made.setdefault(group, []).append(label)
    well: dict[_Group, list[ProcessResult]] = {}
    for stored in timed:
        if stored.purpose != Purpose.CANARY and stored.result.outcome is Outcome.OK:
            group = (stored.result.identity.device_id, stored.purpose != Purpose.LATENCY)
            well.setdefault(group, []).append(stored.result)
    groups = sorted(dict.fromkeys((*made, *well)), key=lambda group: group[1])
    return tuple(_quality(group, made.get(group, []), well.get(group, []), evidence) for group in groups)


def _quality(
    group: _Group, made: Sequence[_Made], well: Sequence[ProcessResult], evidence: _Evidence
) -> LabelQuality:
    device_id, afresh = group
    verdicts = Counter(_worst(label, processes) for label, processes in made)
    invalid = [result for result in well if result.is_disturbed]
    changed_s = evidence.changed_s.get(device_id, -math.inf)
    return LabelQuality(
        device_id=device_id,
        name=evidence.names.get(device_id, ""),
        afresh=afresh,
        labels=len(made),
        valid=verdicts["VALID"],
        unverified=verdicts["VALID_UNVERIFIED"],
        not_judged=verdicts[NOT_JUDGED],
        disturbed=verdicts["INVALID"],
        absent=absent_probes(result for _, processes in made for result in processes),
        unstable=sum(label.outcome is Outcome.UNSTABLE for label, _ in made),
        untargeted=sum(label.target_half_width is None for label, _ in made),
        stale=sum(any(r.job_id in evidence.gone for r in processes) for _, processes in made),
        former_speed=sum(any(r.started_unix_s <= changed_s for r in processes) for _, processes in made),
        processes=len(well),
        invalid=len(invalid),
        retried=sum(result.job_id not in evidence.last for result in invalid),
        discarded=sum(result.job_id in evidence.gone for result in well),
        unsteady=sum(result.steady is False for result in well),
        reasons=_reasons(invalid),
        speed_changes=evidence.lasting[device_id],
    )


def status_of(result: ProcessResult) -> str:
    """What the device's health says of a process, or that it was not judged."""
    return NOT_JUDGED if result.verdict is None else result.verdict.status


def absent_probes(results: Iterable[ProcessResult]) -> tuple[str, ...]:
    """The probes that the devices of these processes did not have or that did not look."""
    verdicts = [result.verdict for result in results if result.verdict is not None]
    return tuple(dict.fromkeys(name for verdict in verdicts for name in verdict.unverified))


def _context(stored: StoredLabel) -> str:
    return "" if stored.context is None else stored.context.fingerprint()


def _last_changes(timed: Sequence[StoredResult], discards: Sequence[DiscardRecord]) -> dict[str, float]:
    """When the last canary of a former speed was measured, by device and its own clock."""
    former = {record.job_id for record in discards if record.of_former_speed}
    changed_s: dict[str, float] = {}
    for result in (stored.result for stored in timed if stored.result.job_id in former):
        device_id = result.identity.device_id
        changed_s[device_id] = max(result.started_unix_s, changed_s.get(device_id, result.started_unix_s))
    return changed_s


def _made_labels(
    timed: Sequence[StoredResult], labels: Sequence[StoredLabel]
) -> Iterator[tuple[_Group, _Made]]:
    """Each label with a latency once (architectures that share a network share it), and its processes."""
    results = {stored.result.job_id: stored.result for stored in timed}
    distinct = {(s.device_id, _context(s), s.purpose, s.export.sha256): s for s in labels if s.label.usable}
    for found in distinct.values():
        processes = made_of(found.label, results)
        yield (found.device_id, found.purpose != Purpose.LATENCY), (found.label, processes)


def _worst(label: LatencyLabel, processes: Sequence[ProcessResult]) -> str:
    if label.too_few_undisturbed:
        return "INVALID"
    found = {status_of(result) for result in processes} or {NOT_JUDGED}
    return next(status for status in (NOT_JUDGED, "VALID_UNVERIFIED", "VALID") if status in found)


def without_numbers(reason: str) -> str:
    """A verdict's reason with an ellipsis for each number: its kind, so that like ones count together."""
    return _NUMBER.sub("\u2026", reason)


def _reasons(invalid: Sequence[ProcessResult]) -> dict[str, int]:
    kinds = Counter(
        without_numbers(reason)
        for result in invalid
        for reason in (result.verdict.reasons if result.verdict is not None else ())
    )
    return dict(kinds.most_common())
