"""What a valid process costs on a core that is slow most of the time, by replaying recorded spells.

A REPLAY, no measurement: the toolkit's own code (the wait, the watch beside the runs, the timed runs, the
verdict, which attempt comes next, the label) runs on a simulated clock. How fast the core is at each moment
is recorded; what a process has to do (start, load, warm up, timed runs) is by medians of the noise study. Two
courses are replayed:

- ``probes``: the toolkit's fixed work, timed every 10 ms for many minutes on one core of a virtual machine
  (``--record``; what is published is described in ``benchmarks/recorded/README.md``);
- ``processes``: the roughest pass of the published noise study, where how slow the core was is known once a
  process, every 0.6 s or so. Within a process the slow part is drawn in tenths of a second.

Of each, ``29 % usable`` takes those 150 s whose share of fast moments is nearest to that.

The rules: ``before`` (no wait, every process runs to its end), ``wait before loading`` (as now, but the core
is waited for before the model is loaded) and ``now`` (it is waited for after the warm-up, and where another
attempt follows a process ends early). A replay measures 12 models of 3, 10 and 30 ms in five processes each,
again and again for 300 s, so that each rule meets the same time. Replays start at places spread over the
course; intervals are 95 % bootstrap intervals over the starts.

    python benchmarks/restless.py [--starts 8] [--json FILE]
    python benchmarks/restless.py --record FILE --minutes 20    # this machine's last core; FIFO if permitted
"""

import argparse
import contextlib
import gc
import json
import os
import re
import sys
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from noise.journal import Journal
from numpy.typing import NDArray

from hytnas_agent.core_speed import TOLERANCE, CoreSpeed, counted
from hytnas_agent.device.gate import Gate
from hytnas_agent.device.probes import TimedRuns
from hytnas_agent.device.probes.speed import Speed
from hytnas_agent.label import (
    StoppingRule,
    aggregate,
    came_to,
    measured_again,
    next_replicate,
    retries_of,
)
from hytnas_agent.records import (
    DeviceIdentity,
    HealthSnapshot,
    LatencyLabel,
    MeasurePass,
    MeasureSettings,
    Outcome,
    ProcessResult,
    Verdict,
)
from hytnas_agent.statistics import median
from hytnas_agent.worker.speed import SpeedProbe, SpeedWatch
from hytnas_agent.worker.timing import time_runs

HERE = Path(__file__).parent
RECORDED = HERE / "recorded" / "2026-11-28-xeon.npz"
PUBLISHED = HERE / "noise" / "published" / "2026-11-22-xeon.jsonl.xz"
ROUGHEST = ("other-core", 2)

BIN_S = 0.01
PROBES_A_BIN = 16
PROBE_NS = 300_000
UNTIMED = 1.5
"""A probe takes half as long again as it says."""
START_S, LOAD_S, WARMUP_RUNS = 0.15, 0.15, 10
MODELS_MS = (3.0, 10.0, 30.0) * 4
RULE = StoppingRule.fixed(5)
SETTINGS = MeasureSettings()
RESTLESS, STRETCH_S = 0.29, 150.0
REPLAYED_S = 300.0
RULES = ("before", "wait before loading", "now")
RESAMPLES = 4000

Floats = NDArray[np.float64]
BOARD = HealthSnapshot(0.0, cores=(1,))
IDENTITY = DeviceIdentity("replay", "replay")


@dataclass(frozen=True)
class Course:
    """The share of slow probes in each hundredth of a second, and how many times as long a slow one takes."""

    name: str
    slow: Floats
    slowdown: float

    @property
    def usable(self) -> float:
        """Share of the time in which a look finds the core fast."""
        return float(np.mean(self.slow <= 0.25))

    def stretch(self, usable: float, seconds: float) -> "Course":
        """The stretch of so many seconds whose usable share is nearest to this."""
        size = min(round(seconds / BIN_S), len(self.slow))
        shares = np.convolve(self.slow <= 0.25, np.ones(size) / size, mode="valid")
        start = int(np.argmin(np.abs(shares - usable)))
        return Course(f"{self.name}, {usable:.0%} usable", self.slow[start : start + size], self.slowdown)


class ReplayedCore:
    """A core as fast as a course says, which repeats itself; the clock moves on with the work."""

    def __init__(self, course: Course, start: int, rng: np.random.Generator) -> None:
        self._slow, self._slowdown = course.slow.tolist(), course.slowdown
        self._bin_ns = round(1e9 * BIN_S)
        self._offset = start
        self._drawn, self._next = rng.random(1 << 16).tolist(), 0
        self.now = 0

    def clock(self) -> int:
        """Nanoseconds since the replay began."""
        return self.now

    def work(self, work_ns: float) -> None:
        """Do so much, at the mean speed of each hundredth of a second."""
        while work_ns > 0:
            factor = 1 + self._share() * (self._slowdown - 1)
            spent_ns = min(factor * work_ns, self._bin_ns - self.now % self._bin_ns)
            self.now += max(1, round(spent_ns))
            work_ns -= spent_ns / factor

    def probe(self) -> int:
        """The fixed work, which is slow by the share of the moment."""
        self._next = (self._next + 1) % len(self._drawn)
        took = PROBE_NS * (self._slowdown if self._drawn[self._next] < self._share() else 1.0)
        self.now += round(UNTIMED * took)
        return round(took)

    def _share(self) -> float:
        return self._slow[(self._offset + self.now // self._bin_ns) % len(self._slow)]


@dataclass
class Replay:
    """Collections on a replayed core.

    Attributes
    ----------
    seconds : float
        What it took.
    processes, valid, early : int
        Processes begun, valid ones among them, and those that ended early.
    labels : list
        Each label with the number of its model.
    """

    seconds: float = 0.0
    processes: int = 0
    valid: int = 0
    early: int = 0
    labels: list[tuple[int, LatencyLabel]] = field(default_factory=list)


def measure(
    core: ReplayedCore, run_ms: float, *, rule: str, gate: Gate, again: bool
) -> tuple[Outcome, tuple[float, ...], CoreSpeed]:
    """One process, as the worker does it."""
    early = again and rule != "before"
    prepare_ns = 1e9 * LOAD_S + WARMUP_RUNS * 1e6 * run_ms
    core.work(1e9 * START_S + (prepare_ns if rule == "now" else 0))
    watch = SpeedWatch(core.probe, clock=core.clock, best_us=PROBE_NS / 1e3, may_end_early=early)
    if rule != "before" and not watch.wait_before(gate.speed_patience_s) and early:
        watch.ended_early = True
        return Outcome.THROTTLED, (), watch.read()
    core.work(0 if rule == "now" else prepare_ns)
    samples_ns = time_runs(
        lambda: core.work(1e6 * run_ms),
        clock=core.clock,
        min_runs=SETTINGS.min_runs,
        max_runs=SETTINGS.max_runs,
        budget_s=SETTINGS.timed_budget_s,
        watch=watch,
    )
    return Outcome.OK, tuple(each / 1e6 for each in samples_ns), watch.read()


def result_of(
    model: int, number: int, outcome: Outcome, samples_ms: tuple[float, ...], speed: CoreSpeed
) -> ProcessResult:
    """The record, with the verdict of the probe."""
    reason = Speed().judge(TimedRuns(BOARD, BOARD, speed=speed))
    good = counted(samples_ms, speed)
    return ProcessResult(
        job_id=str(number),
        model_sha256=str(model),
        measure_pass=MeasurePass.TIMED,
        outcome=outcome,
        settings=SETTINGS,
        started_unix_s=0.0,
        wall_s=0.0,
        agent_version="",
        identity=IDENTITY,
        samples_ms=samples_ms,
        median_ms=median(good) if good else None,
        verdict=Verdict("INVALID", (reason,)) if reason else Verdict("VALID"),
        core_speed=speed,
    )


def replay(course: Course, rule: str, start: int, seed: int, *, seconds: float = 0.0) -> Replay:
    """Collections of all models, one after the other for so many seconds; one with none.

    A collection goes in rounds, as `hytnas_host.collect.measuring` goes about it.
    """
    rng = np.random.default_rng(seed)
    core, gate, found = ReplayedCore(course, start, rng), Gate(), Replay()
    gc.freeze()  # each process of the replay collects garbage before its runs
    try:
        while not found.processes or core.now < 1e9 * seconds:
            _collect(found, core, gate, rng, rule=rule, seconds=seconds)
    finally:
        gc.unfreeze()
    found.seconds = core.now / 1e9
    return found


def _collect(
    found: Replay,
    core: ReplayedCore,
    gate: Gate,
    rng: np.random.Generator,
    *,
    rule: str,
    seconds: float,
) -> None:
    """One collection; without its labels where the seconds are over before its end."""
    attempts: dict[int, dict[int, list[ProcessResult]]] = {
        model: defaultdict(list) for model in range(len(MODELS_MS))
    }
    open_models = list(attempts)
    while open_models:
        for model in rng.permutation(open_models).tolist():
            timed = attempts[model]
            retries = retries_of(timed.values())
            replicate = next_replicate(timed, retries, RULE)
            if replicate is None:
                open_models.remove(model)
                continue
            due = retries_of(timed.values(), next_of=timed[replicate])
            again = measured_again(timed[replicate], due)
            measured = measure(core, MODELS_MS[model], rule=rule, gate=gate, again=again)
            result = result_of(model, found.processes, *measured)
            gate.remember(None, result.verdict, result.core_speed)
            timed[replicate].append(result)
            found.processes += 1
            found.valid += not result.is_disturbed
            found.early += measured[2].ended_early
            if 0 < 1e9 * seconds <= core.now:
                return
    found.labels += [(model, aggregate(came_to(timed.values()), RULE)) for model, timed in attempts.items()]


def with_interval(values: Floats, weights: Floats, rng: np.random.Generator) -> tuple[float, float, float]:
    """The ratio of the sums of ``(n,)`` values and weights, and its 95 % bootstrap interval."""
    drawn = rng.integers(0, len(values), (RESAMPLES, len(values)))
    ratios = values[drawn].sum(axis=1) / np.maximum(weights[drawn].sum(axis=1), 1e-9)
    low, high = np.quantile(ratios, [0.025, 0.975])
    return float(values.sum() / max(weights.sum(), 1e-9)), float(low), float(high)


def label_shift(before: list[Replay], now: list[Replay]) -> tuple[float, float, float] | None:
    """By how much the median error of labels differs between rules; starts are drawn anew for the interval.

    None where one has a start without such labels.
    """
    errors = [[errors_of([each]) for each in replays] for replays in (before, now)]
    if any(len(each) == 0 for rule in errors for each in rule):
        return None
    rng = np.random.default_rng(0)

    def shift(chosen: NDArray[np.int64]) -> float:
        medians = [float(np.median(np.concatenate([rule[k] for k in chosen]))) for rule in errors]
        return medians[1] - medians[0]

    n = len(before)
    drawn = [shift(rng.integers(0, n, n)) for _ in range(RESAMPLES)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return shift(np.arange(n)), float(low), float(high)


def errors_of(replays: list[Replay]) -> Floats:
    """How far the labels of three undisturbed processes or more are from the truth, relative."""
    return np.array(
        [
            label.median_ms / MODELS_MS[model] - 1
            for each in replays
            for model, label in each.labels
            if label.median_ms is not None and not label.too_few_undisturbed
        ]
    )


def row_of(course: Course, rule: str, replays: list[Replay]) -> dict[str, Any]:
    """The figures of one rule on one course."""
    rng = np.random.default_rng(0)
    seconds, valid, begun, early = (
        np.array([getattr(each, name) for each in replays], dtype=float)
        for name in ("seconds", "valid", "processes", "early")
    )
    few = np.array([sum(label.too_few_undisturbed for _, label in each.labels) for each in replays])
    labels = np.array([float(len(each.labels)) for each in replays])
    errors = errors_of(replays)
    return {
        "course": course.name,
        "usable": course.usable,
        "rule": rule,
        "seconds_a_valid_process": with_interval(seconds, valid, rng),
        "valid": with_interval(valid, begun, rng),
        "ended_early": float(early.sum() / begun.sum()),
        "labels_of_few": with_interval(few.astype(float), labels, rng),
        "labels": len(errors),
        "error_median": float(np.median(errors)) if len(errors) else None,
        "error_p95": float(np.quantile(np.abs(errors), 0.95)) if len(errors) else None,
    }


def recorded_course(path: Path) -> Course:
    """The course of probes that ``--record`` wrote."""
    with np.load(path) as file:
        return Course("probes", file["slow"] / PROBES_A_BIN, float(file["slowdown"]))


def course_of_processes(path: Path, seed: int = 0) -> Course:
    """The roughest pass of a noise study, by what the agent said of each process."""
    with Journal(path, writable=False) as journal:
        chosen = [each for each in journal.processes if (each.condition, each.repeat) == ROUGHEST]
    ours = sorted((each for each in chosen if each.method == "ours"), key=lambda each: each.started_unix_s)
    rng, parts = np.random.default_rng(seed), []
    for each in ours:
        found = [re.search(r"beside (\d+)% of the runs", reason) for reason in each.disturbed]
        share = next((int(match[1]) / 100 for match in found if match), 0.0)
        tenths = max(1, round(each.wall_s / 0.1))
        parts.append(np.repeat(rng.random(tenths) < share, round(0.1 / BIN_S)))
    return Course("processes", np.concatenate(parts).astype(float), 1.3)


def record(path: Path, minutes: float, core: int) -> None:
    """Time the fixed work 16 times every hundredth of a second, and keep how many were slow."""
    os.sched_setaffinity(0, {core})
    with contextlib.suppress(OSError):  # else other programs of this machine are in what is recorded
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    clock = time.perf_counter_ns
    probe = SpeedProbe(clock)
    bursts = np.zeros((round(60 * minutes / BIN_S), PROBES_A_BIN))
    begin = clock()
    for number, burst in enumerate(bursts):
        time.sleep(max(0.0, (begin + 1e9 * BIN_S * number - clock()) / 1e9))
        for _ in range(4):  # the core was idle
            probe()
        burst[:] = [probe() for _ in range(PROBES_A_BIN)]
    keep(path, bursts)


def keep(path: Path, bursts: Floats) -> None:
    """Write what ``(n, 16)`` times of the fixed work come to: how many of each are slow, and how slow."""
    best = np.quantile(bursts, 0.05)
    slow = bursts > (1 + TOLERANCE) * best
    slowdown = float(np.median(bursts[slow]) / np.median(bursts[~slow]))
    np.savez_compressed(path, slow=slow.sum(axis=1).astype(np.uint8), slowdown=slowdown)


def print_table(rows: list[dict[str, Any]]) -> None:
    """The figures as a Markdown table."""
    heads = (
        "course", "rule", "s a valid process", "valid", "ended early",
        "labels of fewer than three", "error of the others: median, 95th percentile", "shift of the median",
    )  # fmt: skip
    print("| " + " | ".join(heads) + " |")
    print("|" + "---|" * len(heads))
    for row in rows:
        cells = (
            f"{row['course']} ({row['usable']:.0%})",
            row["rule"],
            "{:.2f} [{:.2f}, {:.2f}]".format(*row["seconds_a_valid_process"]),
            "{:.0%} [{:.0%}, {:.0%}]".format(*row["valid"]),
            f"{row['ended_early']:.0%}",
            "{:.0%} [{:.0%}, {:.0%}]".format(*row["labels_of_few"]),
            f"{row['error_median']:+.2%}, {row['error_p95']:.2%} (n = {row['labels']})"
            if row["labels"]
            else "-",
            "{:+.2%} [{:+.2%}, {:+.2%}]".format(*row["label_shift"]) if row["label_shift"] else "-",
        )
        print("| " + " | ".join(cells) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--starts", type=int, default=8, help="places of the course at which replays start")
    parser.add_argument("--recorded", type=Path, default=RECORDED, help="a course that --record wrote")
    parser.add_argument("--json", type=Path, help="the figures")
    parser.add_argument("--record", type=Path, metavar="FILE", help="record a course instead")
    parser.add_argument("--minutes", type=float, default=20.0)
    options = parser.parse_args()
    if options.record is not None:
        record(options.record, options.minutes, max(os.sched_getaffinity(0)))
        return
    if options.starts < 2:
        parser.error("there must be at least 2 starts")
    whole = (recorded_course(options.recorded), course_of_processes(PUBLISHED))
    rows = []
    for course in [*whole, *(each.stretch(RESTLESS, STRETCH_S) for each in whole)]:
        starts = np.linspace(0, len(course.slow), options.starts, endpoint=False).astype(int).tolist()
        first: list[Replay] = []
        for rule in RULES:
            replays = [
                replay(course, rule, start, seed, seconds=REPLAYED_S) for seed, start in enumerate(starts)
            ]
            first = first or replays
            rows.append(row_of(course, rule, replays) | {"label_shift": label_shift(first, replays)})
            print(f"  {course.name}, {rule}", file=sys.stderr, flush=True)
    print("A replay of recorded spells on a simulated clock; no figure is measured.\n")
    print_table(rows)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
