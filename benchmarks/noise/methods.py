"""The methods that are compared, and the order in which their processes run; pure.

- ``naive``: a fresh process and one timed run, as tables of latencies are often taken. The run before it, the
  first after loading, is not timed, which is kind to this method; ``first`` is that first run itself, of the
  same processes, as a script that times its only run would have it.
- ``fixed``: one fresh process, 10 runs of warm-up and the median of 50 timed ones (nn-Meter's way).
- ``ours``: the toolkit's method: fresh processes that the health gate holds back until the device is fit,
  warm-up until two windows agree, the median of the timed runs that count. Which process comes next and what
  the label is are decided by the functions that a collection decides with: those of
  ``hytnas_agent.label`` (attempts at disturbed processes, when to stop, the label).

In a *block* every method measures every model once, in rounds: each round holds at most one process of a
method for each model, in an order drawn anew. The processes of ``ours`` are one a round, further attempts
among them, as in a collection; the single ones of the other methods fall into any of its first rounds, so
that all methods meet the same weather.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from hytnas_agent.label import (
    StoppingRule,
    aggregate,
    least_disturbed,
    measured_again,
    next_replicate,
    retries_of,
    settled,
)
from hytnas_agent.records import (
    DeviceIdentity,
    MeasureSettings,
    Outcome,
    ProcessResult,
    Verdict,
)
from hytnas_agent.statistics import median
from noise.journal import Header, Process

METHODS = ("naive", "fixed", "ours")
CONDITIONS = {
    "quiet": "nothing is added",
    "other-core": "a hog on another core",
    "same-core": "a hog on the measuring core, part of the time",
}
DEFECTS = frozenset({Outcome.INTERNAL, Outcome.CANCELLED})
"""Endings that say nothing about the model: such a process counts as no attempt."""

FIXED_WARMUP_RUNS, FIXED_TIMED_RUNS = 10, 50

Turn = tuple[str, str]
"""A method and the hash of a model."""


@dataclass(frozen=True)
class Label:
    """What a method says of a model.

    ``processes_ms`` are the medians it rests on, in the order in which they came to stand, and ``spent_s``
    what had been spent on the label by then, on attempts that count for nothing too (all of it where none was
    undisturbed: that is known at the end); ``cost_s`` is that of all processes. ``stable`` says whether the
    interval came to be as narrow as asked for, ``disturbed`` how many attempts others disturbed,
    ``too_few_undisturbed`` whether too few others went well.
    """

    latency_ms: float
    cost_s: float
    processes_ms: tuple[float, ...]
    spent_s: tuple[float, ...]
    stable: bool = True
    disturbed: int = 0
    too_few_undisturbed: bool = False


def rule_of(header: Header) -> StoppingRule:
    """The stopping rule of ``ours``."""
    return StoppingRule(header.target_half_width, header.min_processes, header.max_processes)


def settings_of(method: str, core: int, timed_budget_s: float) -> MeasureSettings:
    """How one process of a method measures."""
    if method == "naive":
        return MeasureSettings(core=core, warmup_max_runs=0, min_runs=1, max_runs=1)
    if method == "fixed":
        return MeasureSettings(
            core=core,
            # No two windows fit in: the warm-up never ends early.
            warmup_window=FIXED_WARMUP_RUNS,
            warmup_max_runs=FIXED_WARMUP_RUNS,
            min_runs=FIXED_TIMED_RUNS,
            max_runs=FIXED_TIMED_RUNS,
        )
    return MeasureSettings(core=core, timed_budget_s=timed_budget_s)


def next_process(method: str, processes: Sequence[Process], rule: StoppingRule) -> int | None:
    """The replicate that a method wants next of a model after these processes; None for no more."""
    timed = _attempts(processes)
    if method == "ours":
        return next_replicate(timed, retries_of(timed.values()), rule)
    return None if settled([attempt.outcome for attempt in timed.get(0, ())]) else 0


def may_end_early(method: str, processes: Sequence[Process], replicate: int) -> bool:
    """Whether another attempt at a process follows if something disturbs the next one."""
    timed = _attempts(processes)
    attempts = timed.get(replicate, [])
    due = retries_of(timed.values(), next_of=attempts)
    return method == "ours" and measured_again(attempts, due)


def label_of(method: str, processes: Sequence[Process], rule: StoppingRule) -> Label | None:
    """The label that a method gives from all its processes of one model in one block, once it wants no more.

    ``first`` is a method here, too. None where its processes failed.
    """
    measured_by = "naive" if method == "first" else method
    if next_process(measured_by, processes, rule) is not None:
        return None
    if method == "ours":
        return _our_label(processes, rule)
    well = next((each for each in processes if each.outcome is Outcome.OK), None)
    value_ms = None if well is None else well.cold_ms if method == "first" else median(well.samples_ms)
    cost_s = sum(each.wall_s for each in processes)
    return None if value_ms is None else Label(value_ms, cost_s, (value_ms,), (cost_s,))


def _our_label(processes: Sequence[Process], rule: StoppingRule) -> Label | None:
    """What a collection would say. A process comes to stand with the last attempt at it, whichever stands."""
    spent_s = list(accumulate(each.wall_s for each in processes))
    last_s = {
        each.replicate: spent
        for each, spent in zip(processes, spent_s, strict=True)
        if each.outcome not in DEFECTS
    }
    timed = _attempts(processes)
    order = sorted(last_s, key=last_s.__getitem__)
    stand = {replicate: least_disturbed(timed[replicate]) for replicate in order}
    label = aggregate(list(stand.values()), rule)
    if label.median_ms is None:
        return None
    good = {replicate: result for replicate, result in stand.items() if result.job_id in label.jobs}
    spent_by_then_s = tuple(last_s[replicate] for replicate in good)
    if all(each.is_disturbed for each in good.values()):
        spent_by_then_s = (spent_s[-1],) * len(good)
    return Label(
        latency_ms=label.median_ms,
        cost_s=spent_s[-1],
        processes_ms=label.process_medians_ms,
        spent_s=spent_by_then_s,
        stable=label.outcome is not Outcome.UNSTABLE,
        disturbed=sum(not each.usable for each in processes),
        too_few_undisturbed=label.too_few_undisturbed,
    )


def turns_of_block(
    models: Sequence[str],
    measured: Mapping[Turn, Sequence[Process]],
    rule: StoppingRule,
    seed: Sequence[int],
) -> Iterator[Turn]:
    """What to run next, until every method has what it wants.

    Parameters
    ----------
    models : sequence of str
    measured : mapping
        The block's processes by method and model, which the caller adds to as they are measured. A block that
        was begun before is gone on with, in the same order.
    rule : StoppingRule
        Of ``ours``.
    seed : sequence of int
        Of the orders.
    """
    single = np.random.default_rng([*seed, 0]).integers(0, rule.min_processes, (2, len(models)))
    number, unfinished = 0, True
    while unfinished:
        turns = [(method, model) for method in METHODS for model in models]
        order = np.random.default_rng([*seed, 1, number]).permutation(len(turns))
        unfinished = False
        for k in order.tolist():
            method, model = turns[k]
            done = measured.get((method, model), ())
            if next_process(method, done, rule) is None:
                continue
            unfinished = True
            due = number + 1
            if method != "ours":
                due -= int(single[METHODS.index(method), models.index(model)])
            if sum(each.outcome not in DEFECTS for each in done) < due:
                yield method, model
        number += 1


def _attempts(processes: Sequence[Process]) -> dict[int, list[ProcessResult]]:
    """Attempts by replicate, in order."""
    attempts: dict[int, list[ProcessResult]] = defaultdict(list)
    for each in processes:
        if each.outcome not in DEFECTS:
            attempts[each.replicate].append(_result(each))
    return attempts


def _result(process: Process) -> ProcessResult:
    """What decisions look at, as the agent's record has it; of the timed runs those that count."""
    return ProcessResult(
        job_id=process.job_id,
        model_sha256=process.model,
        measure_pass="timed",
        outcome=process.outcome,
        settings=MeasureSettings(),
        started_unix_s=process.started_unix_s,
        wall_s=process.wall_s,
        agent_version="",
        identity=DeviceIdentity("", ""),
        samples_ms=process.samples_ms,
        median_ms=median(process.samples_ms) if process.samples_ms else None,
        verdict=Verdict("VALID" if process.usable else "INVALID", process.disturbed),
    )
