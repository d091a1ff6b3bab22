"""What the attempts at a model's processes come to, which of them count, and which are made again.

A process is given as its attempts, in order. Discarded attempts are left out before, except where a function
says otherwise.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from hytnas_agent.records import MeasurePass, Outcome, ProcessResult
from hytnas_agent.statistics import median

DISTURBED_ATTEMPTS: Final = 3
"""How often a process is measured at most where each time something disturbed it."""

DISTURBED_RETRIES: Final = 5
"""How many further attempts the disturbed processes of one model get in all; then each stands as it is."""

MAX_DISCARDS: Final = 2
"""Attempts at one process that are discarded for drift; the next one counts whatever the canary shows."""

MAX_ATTEMPTS: Final[Mapping[Outcome, int]] = MappingProxyType(
    {
        Outcome.TIMEOUT: 2,
        Outcome.OOM: 2,
        Outcome.CRASH: 2,
        Outcome.INTERNAL: 2,
        Outcome.THROTTLED: DISTURBED_ATTEMPTS,
        Outcome.CANCELLED: 10,
    }
)
"""How many attempts at one process may end so before that is what it comes to; of other endings one.

What may have been the board's fault (it ran out of memory under something else, its card stood still) is
tried once more. What the board's health says was disturbed counts as THROTTLED here: on a device that is
never quiet the least disturbed of so many attempts stands.
"""

PASSING: Final = frozenset({Outcome.OK, Outcome.UNSTABLE, Outcome.THROTTLED, Outcome.CANCELLED})
"""Endings that say nothing about the model itself."""


def ending(attempt: ProcessResult, /) -> Outcome:
    """How an attempt ended for the label: THROTTLED if it is to be made again, be it otherwise OK."""
    return Outcome.THROTTLED if attempt.outcome is Outcome.OK and attempt.asks_again else attempt.outcome


def settled(outcomes: Sequence[Outcome], /) -> bool:
    """Whether attempts that ended like this, in order, need no further one."""
    if not outcomes:
        return False
    return Counter(outcomes)[outcomes[-1]] >= MAX_ATTEMPTS.get(outcomes[-1], 1)


def retries_of(
    processes: Iterable[Sequence[ProcessResult]], /, *, next_of: Sequence[ProcessResult] = ()
) -> int:
    """How many attempts the processes of one model had after a disturbed one, discarded ones included.

    The attempt that the process ``next_of`` gets next is counted where it is such a one.
    """
    had = sum(attempt.is_disturbed for attempts in processes for attempt in attempts[:-1])
    return had + bool(next_of and next_of[-1].is_disturbed)


def process_settled(attempts: Sequence[ProcessResult], retries: int, /) -> bool:
    """Whether a process needs no further attempt: a disturbed one once the model's retries are used up."""
    if attempts and attempts[-1].is_disturbed and retries >= DISTURBED_RETRIES:
        return True
    return settled([ending(attempt) for attempt in attempts])


def measured_again(attempts: Sequence[ProcessResult], retries: int, /) -> bool:
    """Whether a process is measured once more if something disturbs its next attempt.

    That attempt may end early then: the one after it takes its place. The last one runs to its end.

    Parameters
    ----------
    attempts : sequence of ProcessResult
        So far, discarded ones included.
    retries : int
        Attempts after a disturbed one that the model has had or is sure to get, the next one included.
    """
    endings = [ending(attempt) for attempt in attempts]
    return retries < DISTURBED_RETRIES and not settled([*endings, Outcome.THROTTLED])


def may_be_discarded(attempts: Sequence[ProcessResult], discarded: int, /) -> bool:
    """Whether the last attempt at a process may be discarded, because the canary has drifted.

    Attempts that were made again because something disturbed them count against that as discarded ones do:
    both are measured twice.

    Parameters
    ----------
    attempts : sequence of ProcessResult
        All of them, discarded ones included.
    discarded : int
        How many of them were discarded before.
    """
    return max(discarded, retries_of([attempts])) < MAX_DISCARDS


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


def least_disturbed(attempts: Sequence[ProcessResult], /) -> ProcessResult:
    """What the attempts at one process come to: the last, or of disturbed ones the fastest, n >= 1.

    Others, heat and a weak supply slow a run down and never speed it up.
    """
    last = attempts[-1]
    if not last.is_disturbed:
        return last
    disturbed = [each for each in attempts if each.is_disturbed and each.median_ms is not None]
    return min(disturbed, key=lambda each: each.median_ms or 0.0, default=last)


def came_to(processes: Iterable[Sequence[ProcessResult]], /) -> list[ProcessResult]:
    """What each process came to, cancelled ones left out."""
    last = [least_disturbed(attempts) for attempts in processes if attempts]
    return [result for result in last if result.outcome is not Outcome.CANCELLED]


def well_timed(processes: Iterable[ProcessResult], /) -> list[ProcessResult]:
    """Those processes that are timed and went well; each is given as what it came to."""
    timed = (result for result in processes if result.measure_pass == MeasurePass.TIMED)
    return [result for result in timed if result.outcome is Outcome.OK and result.samples_ms]


def counting(well: Sequence[ProcessResult], /) -> list[ProcessResult]:
    """Those of a model's timed processes that went well which make its label, in their order.

    The undisturbed, however few: one of them is nearer to the truth than any median with disturbed ones in
    it. Where there is none, the fastest, as disturbances only slow down.
    """
    undisturbed = [result for result in well if not result.is_disturbed]
    return undisturbed or sorted(well, key=lambda result: result.median_ms or math.inf)[:1]


def medians_ms(processes: Iterable[ProcessResult], /) -> tuple[float, ...]:
    """The median of each process, over those of its runs that count."""
    return tuple(median(result.counted_ms) for result in processes)
