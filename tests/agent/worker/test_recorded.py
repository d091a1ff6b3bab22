"""Recorded series, replayed by a fake clock through warm-up, timed runs and the rule when to stop.

``recorded_series.json`` says where they come from: an x86-64 virtual machine, quiet and with a hog on the
measuring core. No board's are at hand.
"""

import json
from collections.abc import Iterator
from itertools import compress
from pathlib import Path
from typing import Any

import pytest

from hytnas_agent.core_speed import TOLERANCE, CoreSpeed, counting
from hytnas_agent.label import Decision, StoppingRule
from hytnas_agent.records import MeasureSettings
from hytnas_agent.statistics import median
from hytnas_agent.worker.speed import SpeedWatch
from hytnas_agent.worker.timing import time_runs, warm_up

from .replay import Replay

RECORDED = json.loads(Path(__file__).with_name("recorded_series.json").read_text())
SETTINGS = MeasureSettings()
CONDITIONS = ("quiet", "hog")
EACH = [(condition, number) for condition in CONDITIONS for number in range(len(RECORDED[condition]))]


@pytest.mark.parametrize(("condition", "number"), EACH)
def test_each_process_takes_the_runs_that_it_took(condition: str, number: int) -> None:
    process = RECORDED[condition][number]
    warmup_ns, samples_ns = ([1000 * us for us in process[name]] for name in ("warmup_us", "samples_us"))
    replay = Replay([*warmup_ns, *samples_ns, samples_ns[-1]])
    warmed_ns, is_steady = warm_up(
        replay.run,
        clock=replay.clock,
        window=SETTINGS.warmup_window,
        max_runs=SETTINGS.warmup_max_runs,
        max_s=SETTINGS.warmup_max_s,
    )
    assert (warmed_ns, is_steady) == (warmup_ns, process["steady"])
    timed_ns = time_runs(
        replay.run,
        clock=replay.clock,
        min_runs=SETTINGS.min_runs,
        max_runs=SETTINGS.max_runs,
        budget_s=SETTINGS.timed_budget_s,
    )
    # The moments between runs, which no series holds, may have spent the last of the budget.
    assert timed_ns in (samples_ns, [*samples_ns, samples_ns[-1]])


def stopped(medians_ms: list[float]) -> tuple[int, Decision]:
    """After how many processes the default rule stops, and what it says then."""
    rule = StoppingRule()
    for n in range(1, len(medians_ms) + 1):
        decision = rule.decide(medians_ms[:n])
        if decision.state != "CONTINUE":
            return n, decision
    raise AssertionError("the series is too short")


def medians_ms(condition: str) -> list[float]:
    return [median(process["samples_us"]) / 1000 for process in RECORDED[condition]]


def test_a_quiet_machine_is_narrow_before_the_budget_is_spent() -> None:
    n, decision = stopped(medians_ms("quiet"))
    assert (n, decision.state) == (11, "STABLE")
    assert decision.low_ms < median(medians_ms("quiet")) < decision.high_ms


def test_a_hog_is_as_narrow_and_wrong_so_that_only_the_verdict_tells_it() -> None:
    """It takes the core at a regular pace: each process is slower by the same factor, and looks steady."""
    n, decision = stopped(medians_ms("hog"))
    assert (n, decision.state) == (9, "STABLE")
    assert decision.low_ms > 2 * median(medians_ms("quiet"))
    assert all(process["steady"] for process in RECORDED["hog"])
    assert {process["verdict"] for process in RECORDED["hog"]} == {"INVALID"}
    assert {process["verdict"] for process in RECORDED["quiet"]} == {"VALID_UNVERIFIED"}


# Of the others the best known at the time, or the probes of a wait in vain, are not recorded.
TAKEN_AGAIN = [each for each in RECORDED["watched"] if each["verdict"] != "INVALID"]


def recorded_speed(process: dict[str, Any]) -> CoreSpeed:
    return CoreSpeed(process["best_us"], tuple(process["probe_us"]), tuple(process["before"]))


@pytest.mark.parametrize("process", RECORDED["watched"])
def test_each_watched_process_has_the_verdict_that_it_had(process: dict[str, Any]) -> None:
    usable = process["verdict"] != "INVALID"
    assert recorded_speed(process).enough() is usable
    assert bool(process["reasons"]) is not usable


def test_beside_a_neighbour_runs_are_slower_and_those_that_count_agree() -> None:
    usable, disturbed = [], []
    for process in RECORDED["watched"]:
        samples = process["samples_us"]
        counts = counting(len(samples), recorded_speed(process))
        (disturbed if process["verdict"] == "INVALID" else usable).append(
            median([*compress(samples, counts)])
        )
    assert max(usable) < 1.04 * min(usable)
    assert min(disturbed) > 1.08 * max(usable)


def calls_of(process: dict[str, Any]) -> Iterator[float]:
    """What each call of the probe returned, as far as it shows in what is recorded."""
    yield process["probe_us"][0]  # the very first is not recorded
    limit_us = (1 + TOLERANCE) * process["best_us"]
    for place, duration_us in enumerate(process["probe_us"]):
        yield duration_us
        if place - 1 in process["before"] and duration_us > limit_us:
            yield duration_us  # a slow one after a group is taken again, and the smaller kept


@pytest.mark.parametrize("process", TAKEN_AGAIN)
def test_watched_runs_are_taken_again_as_they_were(process: dict[str, Any]) -> None:
    recorded = [1000 * us for us in process["samples_us"]]
    runs = Replay(recorded)
    probes = calls_of(process)

    def probe() -> int:
        duration = round(1000 * next(probes))
        runs.now += duration
        return duration

    watch = SpeedWatch(probe, clock=runs.clock, best_us=process["best_us"])
    taken = time_runs(
        runs.run,
        clock=runs.clock,
        min_runs=SETTINGS.min_runs,
        # The moments between runs, which no series holds, spent the last of the budget.
        max_runs=len(recorded),
        budget_s=SETTINGS.timed_budget_s,
        watch=watch,
    )
    assert taken == recorded
    assert list(watch.read().before) == process["before"]
    assert watch.read().at_speed() == recorded_speed(process).at_speed()
