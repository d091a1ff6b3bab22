"""The watch on the core's speed, on a simulated core that a neighbour shares for a part of the time."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest

from hytnas_agent.core_speed import CoreSpeed, counting
from hytnas_agent.statistics import median
from hytnas_agent.worker.speed import (
    FIRST_LOOK_S,
    LOOK_S,
    PATIENCE_S,
    SIDE,
    TIMED_PRODUCTS,
    WARMING_PRODUCTS,
    SpeedProbe,
    SpeedWatch,
    look_for_best,
)
from hytnas_agent.worker.timing import WATCHED_BUDGETS, time_runs

from .replay import SpellCore

PROBE_NS, RUN_NS = 120_000, 4_000_000
BESIDE_NEIGHBOUR = 1.3
US = 1000
STEP_NS = 4 * US


@dataclass
class Core:
    """A core that works ``BESIDE_NEIGHBOUR`` times as long while it is shared.

    ``held_up_ns`` is by how much longer single probes take, by their number from the very first, which is 0.
    """

    shared: Callable[[int], bool]
    run_ns: int = RUN_NS
    now: int = 0
    ran: int = 0
    probed: int = 0
    runs_shared: list[bool] = field(default_factory=list)
    held_up_ns: dict[int, int] = field(default_factory=dict)

    def clock(self) -> int:
        return self.now

    def work(self, work_ns: float) -> bool:
        """Do so much work in steps of 4 us; whether the core was shared during any of it."""
        found = False
        while work_ns > 0:
            shared = self.shared(self.now)
            found = found or shared
            self.now += STEP_NS
            work_ns -= STEP_NS / (BESIDE_NEIGHBOUR if shared else 1)
        return found

    def run(self) -> None:
        self.ran += 1
        self.runs_shared.append(self.work(self.run_ns))

    def probe(self) -> int:
        before = self.now
        self.work(PROBE_NS)
        self.now += self.held_up_ns.get(self.probed, 0)
        self.probed += 1
        return self.now - before

    def timed(
        self,
        *,
        best_us: float = PROBE_NS / US,
        patience_s: float = PATIENCE_S,
        may_end_early: bool = False,
        **options: float,
    ) -> tuple[list[int], SpeedWatch]:
        watch = SpeedWatch(
            self.probe,
            clock=self.clock,
            best_us=best_us,
            patience_s=patience_s,
            may_end_early=may_end_early,
        )
        limits = {"min_runs": 10, "max_runs": 100, "budget_s": 0.05} | options
        return time_runs(self.run, clock=self.clock, watch=watch, **limits), watch


def counted(samples: list[int], watch: SpeedWatch) -> list[int]:
    which = counting(len(samples), watch.read())
    return [each for each, counts in zip(samples, which, strict=True) if counts]


def test_a_core_of_ones_own_takes_the_budget_and_every_run_counts() -> None:
    core = Core(lambda now: False)
    samples, watch = core.timed()
    assert len(samples) == pytest.approx(0.05e9 / RUN_NS, abs=2)
    assert counted(samples, watch) == samples
    assert watch.read().waited_s == 0
    assert core.probed == len(samples) + 2  # one a run of this length, one before them, one that never counts


def test_short_runs_are_watched_in_groups() -> None:
    core = Core(lambda now: False, run_ns=100 * US)
    samples, watch = core.timed()
    assert len(samples) == 100
    assert core.probed < 10
    assert all(watch.read().at_speed())
    assert core.probed * PROBE_NS < sum(samples) / 20 + 3 * PROBE_NS


def test_runs_wait_while_the_core_is_shared() -> None:
    core = Core(lambda now: now < 100_000_000)
    samples, watch = core.timed()
    assert watch.read().waited_s == pytest.approx(0.1, abs=0.001)
    assert counted(samples, watch) == samples
    assert median(samples) == pytest.approx(RUN_NS, rel=0.01)


def test_a_neighbour_who_comes_and_goes_is_left_out() -> None:
    core = Core(lambda now: now % 60_000_000 > 40_000_000)
    samples, watch = core.timed()
    kept = counted(samples, watch)
    assert len(kept) < len(samples)
    assert len(kept) >= 10
    assert median(kept) == pytest.approx(RUN_NS, rel=0.005)
    assert max(samples) > 1.05 * RUN_NS
    of_those = counting(len(samples), watch.read())
    assert not any(shared for shared, counts in zip(core.runs_shared, of_those, strict=True) if counts)


def test_more_runs_are_taken_where_too_few_count() -> None:
    alone = len(Core(lambda now: False).timed()[0])
    samples, watch = Core(lambda now: now % 20_000_000 > 12_000_000).timed()
    assert alone < len(samples)
    spent_s = sum(samples) / 1e9
    assert spent_s <= WATCHED_BUDGETS * 0.05 + 2 * RUN_NS / 1e9
    assert sum(watch.read().at_speed()) >= 10


def test_a_core_that_is_always_shared_costs_the_patience_and_the_budget() -> None:
    core = Core(lambda now: True)
    samples, watch = core.timed()
    found = watch.read()
    assert found.waited_s == pytest.approx(PATIENCE_S, abs=0.001)
    assert sum(samples) <= 1.2 * 0.05e9
    assert not found.enough()
    assert counted(samples, watch) == samples
    assert min(found.probe_us) > 1.2 * found.best_us


def test_the_first_process_looks_for_the_best_until_it_has_seen_it() -> None:
    core = Core(lambda now: now < 800_000_000)
    best_us = look_for_best(core.probe, clock=core.clock)
    assert core.now == pytest.approx(1e9 * FIRST_LOOK_S, rel=0.01)
    assert best_us == pytest.approx(PROBE_NS / US, rel=0.01)


def test_one_lucky_probe_is_not_the_best() -> None:
    lucky = iter([1, *[PROBE_NS] * 10_000])
    ticks = iter(range(0, 10**12, PROBE_NS))
    assert look_for_best(lambda: next(lucky), clock=lambda: next(ticks)) == PROBE_NS / US


def test_a_best_is_found_in_no_time_too() -> None:
    core = Core(lambda now: False)
    assert look_for_best(core.probe, clock=core.clock, seconds=0.0) == PROBE_NS / US


def test_a_quicker_core_than_ever_sets_the_measure() -> None:
    found = Core(lambda now: False).timed(best_us=2 * PROBE_NS / US)[1].read()
    assert found.best_us == pytest.approx(PROBE_NS / US, rel=0.02)
    assert found.enough()


@pytest.mark.parametrize("runs", [1, 2])
def test_the_fewest_runs_have_a_probe_on_both_sides(runs: int) -> None:
    samples, watch = Core(lambda now: False, run_ns=100 * US).timed(min_runs=runs, max_runs=runs)
    assert len(samples) == runs
    assert watch.read().at_speed() == [True] * runs


def test_a_probe_that_something_held_up_is_taken_again_and_drops_no_run() -> None:
    core = Core(lambda now: False, held_up_ns={4: PROBE_NS})
    samples, watch = core.timed()
    found = watch.read()
    assert core.probed == len(samples) + 3
    assert max(found.probe_us) == PROBE_NS / US
    assert found.at_speed() == [True] * len(samples)
    assert found.waited_s == 0


def test_a_probe_that_was_preempted_makes_no_group_long() -> None:
    """Once patience has ended nothing is waited for: the slow probe is the last one before the next group."""
    core = Core(lambda now: True, run_ns=100 * US, held_up_ns={2: 10_000 * US, 3: 10_000 * US})
    samples, watch = core.timed(patience_s=0.0, max_runs=200, budget_s=1.0)
    found = watch.read()
    assert len(samples) == 200
    assert found.probe_us[1] > 10_000
    groups = Counter(found.before)
    assert groups[1] == groups[0] < 50


def test_a_group_that_the_last_run_cuts_short_has_a_probe_after_it() -> None:
    samples, watch = Core(lambda now: False, run_ns=100 * US).timed(max_runs=50)
    found = watch.read()
    assert len(samples) == 50
    groups = Counter(found.before)
    assert 0 < groups[1] < groups[0]
    assert len(found.probe_us) == 3
    assert found.at_speed() == [True] * 50


def test_the_simulated_label_keeps_to_the_truth_where_the_plain_one_does_not() -> None:
    """Spells of both kinds by a seeded chance: thirty processes, each its median."""
    rng = np.random.default_rng(5)
    plain, watched = [], []
    for _ in range(30):
        ends = np.cumsum(rng.exponential([[0.15e9, 0.08e9]] * 40)).tolist()
        core = Core(lambda now, ends=ends: bisect_left(ends, now) % 2 == 1)
        samples, watch = core.timed()
        if watch.read().enough():
            watched.append(median(counted(samples, watch)))
        late = Core(core.shared)
        plain.append(median(time_runs(late.run, clock=late.clock, min_runs=10, max_runs=100, budget_s=0.05)))
    assert len(watched) > 15
    assert np.std(np.log(watched)) < np.std(np.log(plain)) / 5
    assert max(watched) < 1.02 * RUN_NS


def watch_of(core: Core) -> SpeedWatch:
    return SpeedWatch(core.probe, clock=core.clock, best_us=PROBE_NS / US, may_end_early=True)


def test_a_fast_core_is_not_waited_for() -> None:
    core = Core(lambda now: False)
    watch = watch_of(core)
    assert watch.wait_before(10.0)
    assert core.now == pytest.approx(1e9 * LOOK_S, rel=0.01)
    assert watch.read().waited_before_s == pytest.approx(0.0, abs=0.001)


def test_a_slow_core_is_waited_for_until_it_is_fast() -> None:
    watch = watch_of(Core(lambda now: now < 3e9))
    assert watch.wait_before(10.0)
    found = watch.read()
    assert found.waited_before_s == pytest.approx(3.0, abs=2 * LOOK_S)
    assert (found.wait_limit_s, found.waited_in_vain, found.ended_early) == (10.0, False, False)


def test_the_wait_has_a_bound() -> None:
    core = Core(lambda now: True)
    watch = watch_of(core)
    assert not watch.wait_before(2.0)
    found = watch.read()
    assert found.waited_before_s == pytest.approx(2.0, abs=2 * LOOK_S)
    assert found.waited_in_vain
    assert (found.before, min(found.probe_us) > 1.2 * found.best_us) == ((), True)


def test_a_neighbour_who_leaves_one_probe_in_four_alone_is_waited_for() -> None:
    """The first fast probe is not the end of such a spell: a process would find every other run slow."""
    core = Core(lambda now: now < 1e9 and now // PROBE_NS % 4 > 0)
    watch = watch_of(core)
    assert watch.wait_before(10.0)
    assert watch.read().waited_before_s >= 0.95


def test_the_wait_before_leaves_the_patience_beside_the_runs_alone() -> None:
    core = Core(lambda now: now < 3e9)
    watch = watch_of(core)
    watch.wait_before(10.0)
    assert (watch.patient, watch.waited_ns) == (True, 0)
    time_runs(core.run, clock=core.clock, watch=watch, min_runs=10, max_runs=100, budget_s=0.05)
    assert watch.read().waited_s == 0
    assert watch.read().enough()


@pytest.mark.parametrize("run_ns", [100 * US, RUN_NS])
def test_a_process_that_cannot_become_valid_ends(run_ns: int) -> None:
    limits = {"max_runs": 200, "budget_s": 0.2}
    whole, _ = Core(lambda now: True, run_ns=run_ns).timed(**limits)
    samples, watch = Core(lambda now: True, run_ns=run_ns).timed(may_end_early=True, **limits)
    assert watch.ended_early
    assert watch.read().ended_early
    assert not watch.read().enough()
    assert 10 <= len(samples) < len(whole)


def spells(seed: int) -> SpellCore:
    """Fast and slow ones of random lengths, from a hundredth of a second to a second on average."""
    rng = np.random.default_rng(seed)
    ends_ns = np.cumsum(rng.exponential(10 ** rng.uniform(7, 9, 2), (300, 2)).ravel()).astype(int)
    run_ns = int(rng.choice([300 * US, 1000 * US, RUN_NS]))
    return SpellCore(ends_ns.tolist(), run_ns=run_ns, probe_ns=PROBE_NS, slow_first=bool(rng.integers(2)))


def timed_on(core: SpellCore, *, may_end_early: bool) -> tuple[list[int], CoreSpeed]:
    best_us = PROBE_NS / US
    watch = SpeedWatch(core.probe, clock=core.clock, best_us=best_us, may_end_early=may_end_early)
    limits = {"min_runs": 10, "max_runs": 100, "budget_s": 0.1}
    return time_runs(core.run, clock=core.clock, watch=watch, **limits), watch.read()


def test_only_a_process_ends_early_that_would_have_been_invalid() -> None:
    """Each is replayed to its end: the same runs where it is valid, and never valid where it ended early."""
    early = valid = 0
    for seed in range(100):
        whole, speed = timed_on(spells(seed), may_end_early=False)
        found, cut = timed_on(spells(seed), may_end_early=True)
        early += cut.ended_early
        valid += speed.enough()
        assert found == whole[: len(found)]
        if cut.ended_early:
            assert not speed.enough()
            assert not cut.enough()
        else:
            assert (found, cut) == (whole, speed)
    assert early > 15
    assert valid > 30


def test_the_work_is_the_same_products_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    ticks = iter(range(0, 10**6, 7))
    multiply = np.matmul

    def clock() -> int:
        done.append("clock")
        return next(ticks)

    def product(left: np.ndarray, right: np.ndarray, *, out: np.ndarray) -> np.ndarray:
        assert left.shape == right.shape == (SIDE, SIDE)
        done.append("product")
        return multiply(left, right, out=out)

    monkeypatch.setattr(np, "matmul", product)
    probe = SpeedProbe(clock)
    assert [probe() for _ in range(3)] == [7, 7, 7]
    once = [*["product"] * WARMING_PRODUCTS, "clock", *["product"] * TIMED_PRODUCTS, "clock"]
    assert done == 3 * once
