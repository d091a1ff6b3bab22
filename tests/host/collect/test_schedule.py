"""The order of the processes of a window."""

from collections import Counter
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hytnas_host.collect.schedule import Passes, Slot, schedule_window, slots_of

windows = st.tuples(st.integers(0, 30), st.integers(1, 8), st.integers(0, 2**32 - 1))


def names(count: int) -> list[str]:
    return [f"model-{i}" for i in range(count)]


@given(windows)
def test_every_model_gets_each_replicate_and_one_memory_pass_exactly_once(window):
    count, processes, seed = window
    slots = schedule_window(names(count), Passes(processes), np.random.default_rng(seed))
    expected = [Slot(model, "timed", r) for model in names(count) for r in range(processes)]
    expected += [Slot(model, "memory", 0) for model in names(count)]
    assert Counter(slots) == Counter(expected)


@given(windows, st.booleans())
def test_window_holds_the_processes_of_its_models(window, memory):
    count, processes, seed = window
    passes = Passes(processes, memory)
    slots = schedule_window(names(count), passes, np.random.default_rng(seed))
    assert len(slots) == count * passes.count
    assert set(slots) == {slot for model in names(count) for slot in slots_of(model, passes)}


@given(windows)
def test_no_model_follows_itself_unless_it_is_alone(window):
    count, processes, seed = window
    slots = schedule_window(names(count), Passes(processes), np.random.default_rng(seed))
    if count > 1:
        assert all(a.model_sha256 != b.model_sha256 for a, b in pairwise(slots))


@given(windows)
def test_replicates_are_spread_one_a_round(window):
    count, processes, seed = window
    slots = schedule_window(names(count), Passes(processes), np.random.default_rng(seed))
    for number in range(processes):
        in_round = slots[number * count : (number + 1) * count]
        assert {slot.model_sha256 for slot in in_round} == set(names(count))
        assert {slot.replicate for slot in in_round} <= {number}


def test_same_seed_same_order_and_rounds_differ():
    first = schedule_window(names(20), Passes(5), np.random.default_rng(1))
    assert first == schedule_window(names(20), Passes(5), np.random.default_rng(1))
    assert first != schedule_window(names(20), Passes(5), np.random.default_rng(2))
    rounds = {tuple(s.model_sha256 for s in first[i * 20 : (i + 1) * 20]) for i in range(6)}
    assert len(rounds) == 6


def test_each_place_of_a_round_is_equally_likely():
    rng = np.random.default_rng(0)
    places = Counter(
        [s.model_sha256 for s in schedule_window(names(4), Passes(2), rng)[4:8]].index("model-0")
        for _ in range(4000)
    )
    # Binomial(4000, 1/4) stays within 1000 +- 137 with probability above 1 - 1e-6.
    assert all(abs(places[i] - 1000) < 137 for i in range(4))
