"""The methods that are compared, and the order in which their processes run; pure.

- ``naive``: a fresh process and one timed run, as tables of latencies are often taken. The run before it, the
  first after loading, is not timed, which is kind to this method; ``first`` is that first run itself, of the
  same processes, as a script that times its only run would have it.
- ``fixed``: one fresh process, 10 runs of warm-up and the median of 50 timed ones (nn-Meter's way).
- ``ours``: the toolkit's method: fresh processes that the health gate holds back until the device is fit,
  warm-up until two windows agree, the median of timed runs; processes that others disturbed are measured
  again; the median over processes, of which there are as many as the stopping rule asks for.

In a *block* every method measures every model once, in rounds: each round holds at most one process of a
method for each model, in an order drawn anew. The processes of ``ours`` are one a round; the single ones of
the other methods fall into any of its first rounds, so that all methods meet the same weather.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hytnas_agent.records import MeasureSettings, Outcome
from hytnas_agent.statistics import MIN_OK_PROCESSES, median
from hytnas_agent.stopping import StoppingRule
from noise.journal import Process

METHODS = ("naive", "fixed", "ours")
DEFECTS = frozenset({Outcome.INTERNAL, Outcome.CANCELLED})
"""Endings that say nothing about the model: such a process is measured again."""

FAILURES_ALLOWED = 3
MEASURED_AGAIN = 5
FIXED_WARMUP_RUNS, FIXED_TIMED_RUNS = 10, 50

Turn = tuple[str, str]
"""A method and the hash of a model."""


@dataclass(frozen=True)
class Label:
    """What a method says of a model.

    ``processes_ms`` are the medians it rests on, in the order they were measured, and ``costs_s`` what each
    cost; ``cost_s`` is that of all processes, those that do not count included. ``stable`` says whether the
    interval came to be as narrow as asked for, ``disturbed`` how many processes did not count.
    """

    latency_ms: float
    cost_s: float
    processes_ms: tuple[float, ...]
    costs_s: tuple[float, ...]
    stable: bool = True
    disturbed: int = 0


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


def wants_more(method: str, processes: Sequence[Process], rule: StoppingRule) -> bool:
    """Whether a method wants another process of a model after these."""
    if _failures(processes) >= FAILURES_ALLOWED:
        return False
    well = [each for each in processes if each.outcome is Outcome.OK]
    if method != "ours":
        return not well
    undisturbed = _medians_ms([each for each in well if each.usable])
    if len(well) >= rule.max_processes + MEASURED_AGAIN:
        return False
    return rule.decide(undisturbed).state == "CONTINUE"


def label_of(method: str, processes: Sequence[Process], rule: StoppingRule) -> Label | None:
    """The label that a method gives from all its processes of one model in one block, once it wants no more.

    ``first`` is a method here, too. None where its processes failed.
    """
    measured_by = "naive" if method == "first" else method
    if wants_more(measured_by, processes, rule):
        return None
    well = [each for each in processes if each.outcome is Outcome.OK]
    if not well:
        return None
    cost_s = sum(each.wall_s for each in processes)
    if method == "first":
        cold_ms = well[0].cold_ms
        return None if cold_ms is None else Label(cold_ms, cost_s, (cold_ms,), (cost_s,))
    if method != "ours":
        value_ms = median(well[0].samples_ms)
        return Label(value_ms, cost_s, (value_ms,), (cost_s,))
    undisturbed = [each for each in well if each.usable]
    counted = undisturbed if len(undisturbed) >= MIN_OK_PROCESSES else well
    medians_ms = _medians_ms(counted)
    half_width = rule.decide(medians_ms).half_width
    return Label(
        latency_ms=median(medians_ms),
        cost_s=cost_s,
        processes_ms=medians_ms,
        costs_s=tuple(each.wall_s for each in counted),
        stable=not rule.adaptive or (half_width is not None and half_width <= rule.target_half_width),
        disturbed=len(well) - len(undisturbed),
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
            if not wants_more(method, done, rule):
                continue
            unfinished = True
            due = number + 1
            if method != "ours":
                due -= int(single[METHODS.index(method), models.index(model)])
            if sum(each.outcome not in DEFECTS for each in done) < due:
                yield method, model
        number += 1


def _medians_ms(processes: Sequence[Process]) -> tuple[float, ...]:
    return tuple(median(each.samples_ms) for each in processes)


def _failures(processes: Sequence[Process]) -> int:
    """Those that may be the model's."""
    return sum(each.outcome is not Outcome.OK and each.outcome not in DEFECTS for each in processes)
