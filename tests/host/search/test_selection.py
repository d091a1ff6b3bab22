"""Greedy hypervolume selection against the exhaustive choice."""

from itertools import combinations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hytnas_host.search.pareto import hypervolume
from hytnas_host.search.selection import greedy_hypervolume

COORDINATE = st.integers(0, 10).map(lambda value: value / 10)


@st.composite
def problems(draw):
    m = draw(st.integers(2, 3))
    front = draw(arrays(np.float64, (draw(st.integers(0, 3)), m), elements=COORDINATE))
    candidates = draw(arrays(np.float64, (draw(st.integers(1, 6)), m), elements=COORDINATE))
    return front, candidates, draw(st.integers(1, 4))


def volume(front, candidates, chosen, reference):
    return hypervolume(np.vstack([front, candidates[list(chosen)]]), reference)


@given(problems())
def test_every_step_is_the_exhaustively_best_one(problem):
    front, candidates, n = problem
    reference = np.full(candidates.shape[1], 1.1)
    chosen = greedy_hypervolume(front, candidates, reference, n)
    assert len(chosen) == len(set(chosen)) == min(n, len(candidates))
    for step in range(len(chosen)):
        before = chosen[:step]
        best = max(volume(front, candidates, [*before, i], reference) for i in range(len(candidates)))
        assert abs(volume(front, candidates, chosen[: step + 1], reference) - best) < 1e-9


@given(problems())
def test_greedy_is_within_its_bound_of_the_best_subset(problem):
    front, candidates, n = problem
    reference = np.full(candidates.shape[1], 1.1)
    size = min(n, len(candidates))
    start = hypervolume(front, reference)
    best = max(volume(front, candidates, s, reference) for s in combinations(range(len(candidates)), size))
    greedy = volume(front, candidates, greedy_hypervolume(front, candidates, reference, n), reference)
    assert greedy - start >= (1 - 1 / np.e) * (best - start) - 1e-9


@given(problems())
def test_inputs_are_not_changed(problem):
    front, candidates, n = problem
    preference = np.arange(float(len(candidates)))
    reference = np.full(candidates.shape[1], 1.1)
    copies = [array.copy() for array in (front, candidates, reference, preference)]
    greedy_hypervolume(front, candidates, reference, n, preference=preference)
    for array, copy in zip((front, candidates, reference, preference), copies, strict=True):
        assert np.array_equal(array, copy)


def test_preference_decides_where_nothing_improves():
    front = np.array([[0.0, 0.0]])
    candidates = np.array([[0.5, 0.5], [0.6, 0.6], [0.7, 0.7]])
    chosen = greedy_hypervolume(front, candidates, np.ones(2), 2, preference=np.array([0.1, 0.3, 0.2]))
    assert chosen == [1, 2]
    assert greedy_hypervolume(front, candidates, np.ones(2), 2) == [0, 1]


def test_no_candidates():
    assert greedy_hypervolume(np.zeros((1, 2)), np.zeros((0, 2)), np.ones(2), 3) == []
