"""Warm-up and timed runs against an injected clock.

References
----------
.. [pyperf] V. Stinner, pyperf, ``_worker.py``: the values of a calibration are cut in two halves; they agree
   if their quartiles differ by at most 5 % and their median absolute deviations by at most 10 %.
"""

import gc
import math
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from hytnas_agent.statistics import mad, median, quantile
from hytnas_agent.worker.speed import SpeedWatch

QUARTILE_TOLERANCE = 0.05
MAD_TOLERANCE = 0.10
# Two small windows of a steady series seldom have deviations within 10 % of each other by chance alone. A
# difference below this share of the median cannot move the label and counts as agreement.
MAD_FLOOR = 0.02
WATCHED_BUDGETS = 3
"""How often the budget may be spent for want of runs beside which the core was as fast as at best."""

FASTER = 2.0
"""No run to come is taken to be faster by more than this than the fastest so far.

A core beside a neighbour is slower by some 20 to 40 %, so that this leaves room.
"""


def windows_agree(earlier: Sequence[float], later: Sequence[float], /) -> bool:
    """Whether two ``(w,)`` windows of durations agree by the rule of [pyperf]_, the later as the measure."""
    for probability in (0.25, 0.75):
        quartile = quantile(later, probability)
        if abs(quantile(earlier, probability) - quartile) > QUARTILE_TOLERANCE * quartile:
            return False
    spread = mad(later)
    allowed = max(MAD_TOLERANCE * spread, MAD_FLOOR * median(later))
    return abs(mad(earlier) - spread) <= allowed


def warm_up(
    run: Callable[[], object], *, clock: Callable[[], int], window: int, max_runs: int, max_s: float
) -> tuple[list[int], bool]:
    """Run until two consecutive windows agree, at most ``max_runs`` times and for about ``max_s`` seconds.

    Parameters
    ----------
    run : callable
        One inference.
    clock : callable
        Nanoseconds.

    Returns
    -------
    durations_ns : list of int
        Every warm-up run in order.
    steady : bool
        Whether two consecutive windows agreed.
    """
    durations: list[int] = []
    begin = clock()
    while len(durations) < max_runs:
        before = clock()
        run()
        after = clock()
        durations.append(after - before)
        full_windows, partial = divmod(len(durations), window)
        complete = full_windows >= 2 and partial == 0
        if complete and windows_agree(durations[-2 * window : -window], durations[-window:]):
            return durations, True
        if after - begin >= max_s * 1e9:
            break
    return durations, False


def time_runs(
    run: Callable[[], object],
    *,
    clock: Callable[[], int],
    min_runs: int,
    max_runs: int,
    budget_s: float,
    watch: SpeedWatch | None = None,
) -> list[int]:
    """Nanoseconds of each of ``max_runs`` runs; fewer once ``min_runs`` are done and the budget is spent.

    With a watch ``min_runs`` are asked for that count, which may take the budget three times over while it is
    patient; for how long it holds runs back is no part of that. With a watch that may end early the runs end
    once ``min_runs`` are done and too many were slow for the process to become valid, whatever else comes.
    """
    samples = array("q", bytes(8 * max_runs))
    budget_ns = budget_s * 1e9
    done = 0
    with _no_garbage_collection():
        begin = clock()
        while done < max_runs:
            if watch is not None:
                watch.before_run()
            before = clock()
            run()
            after = clock()
            samples[done] = after - before
            done += 1
            if watch is not None:
                if not watch.after_run(after):
                    continue
                spent_ns = after - begin - watch.waited_ns
                if done >= min_runs and spent_ns >= budget_ns:
                    wanting = watch.patient and watch.runs_at_speed < min_runs
                    if not wanting or spent_ns >= WATCHED_BUDGETS * budget_ns:
                        break
                if watch.may_end_early and done >= min_runs:
                    left_ns = budget_ns * (WATCHED_BUDGETS if watch.patient else 1) - spent_ns
                    further = most_further(left_ns + watch.group_ns, min(samples[:done]))
                    if watch.decided(min(max_runs, done + further)):
                        watch.ended_early = True
                        break
            elif done >= min_runs and after - begin >= budget_ns:
                break
        if watch is not None:
            watch.end_group()
    return samples[:done].tolist()


def most_further(left_ns: float, quickest_ns: float, /) -> int:
    """How many runs may begin at most in the time that is left, by the fastest run so far."""
    return math.ceil(FASTER * max(left_ns, 0.0) / max(quickest_ns, 1.0)) + 1


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    was_enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
