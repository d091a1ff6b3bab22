"""What the attempts at a model's processes come to, and which process it needs next.

Pure: no store, no device. A collection decides with these functions, and so does the noise study, which
measures what such decisions are worth. A process is given as its attempts, in order; timed processes by their
replicate. Discarded attempts are left out before.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from hytnas_agent.device.verdict import DISTURBED_ATTEMPTS, DISTURBED_RETRIES
from hytnas_agent.records import MeasurePass, Outcome, ProcessResult, accepted, least_disturbed
from hytnas_agent.stopping import StoppingRule

# How many attempts of one replicate may end so before that is what the replicate came to. What may have been
# the board's fault (it ran out of memory under something else, its card stood still) is tried once more. What
# the board's health says was disturbed counts as THROTTLED here: on a device that is never quiet the least
# disturbed of so many attempts stands.
ATTEMPTS = {
    Outcome.TIMEOUT: 2,
    Outcome.OOM: 2,
    Outcome.CRASH: 2,
    Outcome.INTERNAL: 2,
    Outcome.THROTTLED: DISTURBED_ATTEMPTS,
    Outcome.CANCELLED: 10,
}

# Endings that say nothing about the model itself.
PASSING = frozenset({Outcome.OK, Outcome.UNSTABLE, Outcome.THROTTLED, Outcome.CANCELLED})


def settled(outcomes: Sequence[Outcome], /) -> bool:
    """Whether attempts that ended like this, in order, need no further one."""
    if not outcomes:
        return False
    return Counter(outcomes)[outcomes[-1]] >= ATTEMPTS.get(outcomes[-1], 1)


def ending(result: ProcessResult, /) -> Outcome:
    """How an attempt ended for the collection: THROTTLED if to be measured again, be it otherwise OK."""
    return Outcome.THROTTLED if result.outcome is Outcome.OK and result.asks_again else result.outcome


def retries_of(processes: Iterable[Sequence[ProcessResult]], /) -> int:
    """How many attempts the processes of one model had after a disturbed one."""
    return sum(attempt.is_disturbed for attempts in processes for attempt in attempts[:-1])


def process_settled(attempts: Sequence[ProcessResult], retries: int, /) -> bool:
    """Whether a process needs no further attempt: a disturbed one once the model's retries are used up."""
    if attempts and attempts[-1].is_disturbed and retries >= DISTURBED_RETRIES:
        return True
    return settled([ending(attempt) for attempt in attempts])


def measured_again(attempts: Sequence[ProcessResult], retries: int, /) -> bool:
    """Whether a process is measured once more if something disturbs its next attempt.

    That attempt may end early then: the one after it takes its place. The last one runs to its end.
    """
    if attempts and attempts[-1].is_disturbed:
        retries += 1
    outcomes = [ending(attempt) for attempt in attempts]
    return retries < DISTURBED_RETRIES and not settled([*outcomes, Outcome.THROTTLED])


def given_up(timed: Iterable[Sequence[ProcessResult]], /) -> bool:
    """Whether timed processes of a model have failed for good, so that further ones tell nothing new.

    That is one process that needs no further attempt, or as many failures alike where none went well: the
    processes of a model that hangs are not to wait for their deadline one after the other.
    """
    chosen = [attempts for attempts in timed if attempts]
    failed = [
        [attempt.outcome for attempt in attempts]
        for attempts in chosen
        if attempts[-1].outcome not in PASSING
    ]
    went_well = any(attempt.outcome is Outcome.OK for attempts in chosen for attempt in attempts)
    return any(settled(outcomes) for outcomes in failed) or (
        not went_well and settled([outcome for outcomes in failed for outcome in outcomes])
    )


def came_to(processes: Iterable[Sequence[ProcessResult]], /) -> list[ProcessResult]:
    """What each process came to, cancelled ones left out."""
    last = [least_disturbed(attempts) for attempts in processes if attempts]
    return [result for result in last if result.outcome is not Outcome.CANCELLED]


def well_timed(results: Iterable[ProcessResult], /) -> list[ProcessResult]:
    """Those of them that are timed and went well."""
    return [
        result
        for result in results
        if result.outcome is Outcome.OK and result.measure_pass == MeasurePass.TIMED
    ]


def medians_ms(well: Sequence[ProcessResult], /) -> list[float]:
    """Medians of those timed processes that make the label, of ``well``, which went well."""
    return [result.median_ms for result in accepted(well) if result.median_ms]


def next_replicate(
    timed: Mapping[int, Sequence[ProcessResult]], retries: int, rule: StoppingRule, /
) -> int | None:
    """The timed process that a model needs next; None where the rule has come to an end.

    More than the least number would say nothing of a model none of whose processes was undisturbed.

    Parameters
    ----------
    timed : mapping
        The attempts of the model's timed processes by replicate.
    retries : int
        Attempts after a disturbed one that the model has had.
    rule : StoppingRule
    """
    if given_up(timed.values()):
        return None
    replicates = range(rule.max_processes)
    due = next((each for each in replicates if not process_settled(timed.get(each, ()), retries)), None)
    if due is None or due < rule.min_processes:
        return due
    well = well_timed(came_to(timed.values()))
    if all(result.is_disturbed for result in well):
        return None
    return due if rule.decide(medians_ms(well)).state == "CONTINUE" else None
