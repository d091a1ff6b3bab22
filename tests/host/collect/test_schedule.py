"""The order of the processes of a window."""

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hytnas_agent.label import StoppingRule
from hytnas_host.collect.schedule import Passes, Slot, schedule_round, slots_of

seeds = st.integers(0, 2**32 - 1)


def names(count: int) -> list[str]:
    return [f"model-{i}" for i in range(count)]


def test_a_model_may_take_as_many_processes_as_the_budget_and_one_of_each_other_pass():
    slots = slots_of("m", Passes(StoppingRule(0.01, 3, 7), ("memory", "profile")))
    expected = [Slot("m", "timed", r) for r in range(7)] + [Slot("m", "memory", 0), Slot("m", "profile", 0)]
    assert slots == expected
    assert Passes(StoppingRule(0.01, 3, 7), ("memory", "profile")).count == 5
    assert Passes(StoppingRule.fixed(4), ()).count == len(slots_of("m", Passes(StoppingRule.fixed(4), ())))


@given(st.integers(0, 30), seeds)
def test_every_model_comes_once_a_round(count, seed):
    order = schedule_round(names(count), None, np.random.default_rng(seed))
    assert Counter(order) == Counter(names(count))


@given(st.integers(1, 30), seeds)
def test_no_model_follows_itself_unless_it_is_alone(count, seed):
    order = schedule_round(names(count), "model-0", np.random.default_rng(seed))
    assert (order[0] == "model-0") == (count == 1)


def test_same_seed_same_order_and_rounds_differ():
    rng, again = np.random.default_rng(1), np.random.default_rng(1)
    rounds = [schedule_round(names(20), None, rng) for _ in range(6)]
    assert rounds == [schedule_round(names(20), None, again) for _ in range(6)]
    assert len(set(map(tuple, rounds))) == 6


def test_each_place_of_a_round_is_equally_likely():
    rng = np.random.default_rng(0)
    places: Counter[int] = Counter()
    previous = None
    for _ in range(4000):
        order = schedule_round(names(4), previous, rng)
        places[order.index("model-0")] += 1
        previous = order[-1]
    # Binomial(4000, 1/4) stays within 1000 +- 137 with probability above 1 - 1e-6.
    assert all(abs(places[i] - 1000) < 137 for i in range(4))
