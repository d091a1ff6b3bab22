from collections import Counter, defaultdict
from collections.abc import Callable
from itertools import islice

import numpy as np
import pytest
from noise.journal import Process
from noise.methods import METHODS, Turn, label_of, settings_of, turns_of_block, wants_more

from hytnas_agent.records import Outcome
from hytnas_agent.stopping import StoppingRule

MODELS = [f"{number:064x}" for number in range(8)]
RULE = StoppingRule(max_processes=10)


def process(
    median_ms: float = 5.0,
    *,
    method: str = "ours",
    model: str = MODELS[0],
    outcome: Outcome = Outcome.OK,
    usable: bool = True,
) -> Process:
    samples = (median_ms,) * 3 if outcome is Outcome.OK else ()
    return Process("quiet", 0, model, method, "", outcome, 0.0, 0.5, samples, 2 * median_ms, usable=usable)


def run_block(
    measure: Callable[[Turn], Process], measured: dict[Turn, list[Process]], limit: int | None = None
) -> list[Turn]:
    taken = []
    for turn in islice(turns_of_block(MODELS, measured, RULE, [0, 1, 2]), limit):
        measured[turn].append(measure(turn))
        taken.append(turn)
    return taken


def steady(turn: Turn) -> Process:
    return process(method=turn[0], model=turn[1])


def test_every_method_measures_every_model_once() -> None:
    taken = Counter(run_block(steady, defaultdict(list)))
    assert {turn: count for turn, count in taken.items() if turn[0] != "ours"} == {
        (method, model): 1 for method in ("naive", "fixed") for model in MODELS
    }
    assert {taken["ours", model] for model in MODELS} == {RULE.min_processes}


def test_the_methods_are_mixed_in_time() -> None:
    """Over many blocks the processes of all methods lie about the block's middle."""
    places = defaultdict(list)
    for seed in range(40):
        measured: dict[Turn, list[Process]] = defaultdict(list)
        for place, turn in enumerate(turns_of_block(MODELS, measured, RULE, [seed])):
            measured[turn].append(steady(turn))
            places[turn[0]].append(place)
    middle = np.mean([place for each in places.values() for place in each])
    for method in METHODS:
        assert np.mean(places[method]) == pytest.approx(middle, rel=0.1)


def test_a_model_is_not_measured_twice_by_ours_before_the_others_had_their_turn() -> None:
    counts: Counter[str] = Counter()
    for method, model in run_block(steady, defaultdict(list)):
        if method == "ours":
            assert counts[model] == min(counts[each] for each in MODELS)
            counts[model] += 1


def test_an_interrupted_block_goes_on_in_the_same_order() -> None:
    whole = run_block(steady, defaultdict(list))
    measured: dict[Turn, list[Process]] = defaultdict(list)
    begun = run_block(steady, measured, limit=17)
    assert begun + run_block(steady, measured) == whole


def test_a_noisy_model_gets_more_processes_within_the_budget() -> None:
    rng = np.random.default_rng(0)
    taken = Counter(
        run_block(
            lambda turn: process(
                5.0 * (float(np.exp(0.2 * rng.normal())) if turn[1] == MODELS[3] else 1.0),
                method=turn[0],
                model=turn[1],
            ),
            defaultdict(list),
        )
    )
    assert taken["ours", MODELS[3]] == RULE.max_processes
    assert taken["ours", MODELS[2]] == RULE.min_processes


def test_disturbed_processes_are_measured_again_and_do_not_count() -> None:
    well = [process(5.0 + 0.01 * k) for k in range(5)]
    disturbed = [process(9.0, usable=False)] * 2
    assert wants_more("ours", [*disturbed, *well[:4]], RULE)
    assert not wants_more("ours", [*disturbed, *well], RULE)
    label = label_of("ours", [*disturbed, *well], RULE)
    assert label is not None
    assert (label.latency_ms, label.disturbed, label.stable) == (5.02, 2, True)
    assert label.cost_s == 7 * 0.5
    assert sum(label.costs_s) == 5 * 0.5


def test_a_device_that_is_always_disturbed_is_measured_within_bounds_all_the_same() -> None:
    taken = run_block(
        lambda turn: process(method=turn[0], model=turn[1], usable=False), measured := defaultdict(list)
    )
    assert Counter(taken)["ours", MODELS[0]] == RULE.max_processes + 5
    label = label_of("ours", measured["ours", MODELS[0]], RULE)
    assert label is not None
    assert label.latency_ms == 5.0
    assert label.disturbed == RULE.max_processes + 5


def test_the_other_methods_take_what_they_get() -> None:
    for method in ("naive", "fixed"):
        disturbed = [process(9.0, method=method, usable=False)]
        assert not wants_more(method, disturbed, RULE)
        label = label_of(method, disturbed, RULE)
        assert label is not None
        assert label.latency_ms == 9.0


def test_the_first_run_is_of_the_naive_process() -> None:
    label = label_of("first", [process(5.0, method="naive")], RULE)
    assert label is not None
    assert label.latency_ms == 10.0


def test_failures_are_tried_again_and_then_given_up() -> None:
    failed = process(outcome=Outcome.CRASH)
    for method in METHODS:
        assert wants_more(method, [failed] * 2, RULE)
        assert not wants_more(method, [failed] * 3, RULE)
        assert label_of(method, [failed] * 3, RULE) is None


def test_a_label_waits_for_the_method_to_be_satisfied() -> None:
    assert label_of("ours", [process()] * 4, RULE) is None
    assert label_of("naive", [], RULE) is None


def test_an_unstable_label_says_so() -> None:
    values = [5.0, 6.0] * 5
    label = label_of("ours", [process(value) for value in values], RULE)
    assert label is not None
    assert label.latency_ms == 5.5
    assert not label.stable


def test_the_runs_of_a_process() -> None:
    naive, fixed = settings_of("naive", 1, 0.1), settings_of("fixed", 1, 0.1)
    assert (naive.warmup_max_runs, naive.min_runs, naive.max_runs) == (0, 1, 1)
    assert (fixed.warmup_max_runs, fixed.min_runs, fixed.max_runs) == (10, 50, 50)
    assert fixed.warmup_max_runs < 2 * fixed.warmup_window
    assert settings_of("ours", 1, 0.1).timed_budget_s == 0.1
