"""Hypervolume against closed forms and a slow oracle; dominance against its definition."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hytnas_host.search.errors import SearchError
from hytnas_host.search.pareto import (
    choose_reference_point,
    front_ranks,
    hypervolume,
    hypervolume_history,
    hypervolume_improvement,
    non_dominated,
)

COORDINATE = st.integers(0, 8).map(float)


@st.composite
def point_sets(draw, min_rows=1):
    m = draw(st.integers(2, 4))
    n = draw(st.integers(min_rows, 9))
    return draw(arrays(np.float64, (n, m), elements=COORDINATE))


def dominates(a, b):
    return bool((a <= b).all() and (a < b).any())


def slow_hypervolume(points, reference):
    """Inclusion and exclusion over all subsets: the volume of a union of boxes."""
    total = 0.0
    for size in range(1, len(points) + 1):
        for subset in combinations(points, size):
            corner = np.max(subset, axis=0)
            total += (-1) ** (size + 1) * float(np.prod(np.maximum(reference - corner, 0.0)))
    return total


def test_hypervolume_of_rectangles_and_boxes():
    assert hypervolume(np.array([[1.0, 2.0]]), np.array([4.0, 4.0])) == pytest.approx(3 * 2)
    staircase = np.array([[1.0, 3.0], [2.0, 2.0], [3.0, 1.0]])
    assert hypervolume(staircase, np.array([4.0, 4.0])) == pytest.approx(3 + 2 + 1)
    assert hypervolume(np.array([[1.0, 1.0, 1.0]]), np.array([3.0, 4.0, 5.0])) == pytest.approx(2 * 3 * 4)
    boxes = np.array([[0.0, 0.0, 2.0], [1.0, 1.0, 0.0]])
    assert hypervolume(boxes, np.array([3.0, 3.0, 3.0])) == pytest.approx(9 * 1 + 4 * 3 - 4 * 1)


def test_hypervolume_of_nothing_and_of_points_beyond_the_reference():
    assert hypervolume(np.zeros((0, 2)), np.ones(2)) == 0
    assert hypervolume(np.array([[2.0, 0.0], [1.0, 0.5]]), np.ones(2)) == 0


@given(point_sets())
def test_hypervolume_equals_inclusion_exclusion(points):
    reference = np.full(points.shape[1], 7.0)
    assert hypervolume(points, reference) == pytest.approx(slow_hypervolume(points, reference))


@given(point_sets(min_rows=2))
def test_adding_a_point_never_lowers_hypervolume(points):
    reference = np.full(points.shape[1], 9.0)
    fewer, more = hypervolume(points[:-1], reference), hypervolume(points, reference)
    assert more >= fewer - 1e-9
    gain = hypervolume_improvement(points[:-1], points[-1:], reference)[0]
    assert gain == pytest.approx(more - fewer)


@given(point_sets())
def test_front_is_mutually_non_dominated_and_dominates_the_rest(points):
    before = points.copy()
    kept = non_dominated(points)
    front, rest = points[kept], points[~kept]
    assert not any(dominates(a, b) for a in front for b in front)
    assert all(any(dominates(a, b) for a in front) for b in rest)
    assert np.array_equal(points, before)


@given(point_sets())
def test_front_ranks_follow_dominance(points):
    ranks = front_ranks(points)
    assert ranks.min() == 0
    assert np.array_equal(ranks == 0, non_dominated(points))
    for i, a in enumerate(points):
        for j, b in enumerate(points):
            if dominates(a, b):
                assert ranks[i] < ranks[j]


def test_no_points():
    assert non_dominated(np.zeros((0, 3))).shape == (0,)
    assert front_ranks(np.zeros((0, 3))).shape == (0,)
    assert hypervolume_improvement(np.zeros((0, 3)), np.zeros((0, 3)), np.ones(3)).shape == (0,)


def test_improvement_on_an_empty_front_is_the_hypervolume():
    points = np.array([[0.0, 0.5], [0.5, 0.0]])
    gains = hypervolume_improvement(np.zeros((0, 2)), points, np.ones(2))
    assert gains.tolist() == pytest.approx([0.5, 0.5])


def test_reference_point_lies_beyond_the_worst_by_a_share_of_the_range():
    points = np.array([[0.0, -0.9], [10.0, -0.5]])
    assert choose_reference_point(points).tolist() == pytest.approx([11.0, -0.46])
    same = np.array([[4.0, 0.0], [4.0, 0.0]])
    assert choose_reference_point(same).tolist() == pytest.approx([4.4, 0.1])
    with pytest.raises(SearchError, match="no feasible point"):
        choose_reference_point(np.zeros((0, 2)))


def test_history_skips_what_may_not_count():
    points = np.array([[1.0, 1.0], [np.nan, np.nan], [0.0, 0.0]])
    assert hypervolume_history(points, [1, 2, 3], np.full(2, 2.0)) == ((1, 1.0), (2, 1.0), (3, 4.0))
