import numpy as np
import pytest

from hytnas_host.search.objectives import get_objective
from hytnas_host.search.picks import knee, pick
from hytnas_host.search.result import Evaluated


def members(rows):
    return [Evaluated(f"a{i}", f"h{i}", tuple(row), i + 1) for i, row in enumerate(rows)]


def test_knee_is_the_corner_that_bulges_most():
    points = np.array([[0.0, 10.0], [1.0, 2.0], [5.0, 1.0], [10.0, 0.0]])
    assert knee(points) == 1


def test_knee_does_not_depend_on_units_or_order():
    points = np.array([[10.0, 0.0], [2.0, 3.0], [0.0, 10.0], [3.0, 2.5]])
    scaled = points * [1e-3, 1e6] + [5.0, -3.0]
    assert knee(points) == knee(scaled)
    assert knee(points[::-1]) == 3 - knee(points)


def test_knee_ignores_dominated_points():
    points = np.array([[0.0, 1.0], [0.4, 0.4], [1.0, 0.0], [0.39, 5.0]])
    assert knee(points) == 1


def test_knee_of_a_bulge_to_the_other_side_is_the_point_nearest_the_line():
    points = np.array([[0.0, 10.0], [5.0, 9.9], [9.0, 2.0], [10.0, 0.0]])
    assert knee(points) == 2


def test_knee_of_few_points():
    assert knee(np.array([[1.0, 1.0]])) == 0
    assert knee(np.array([[1.0, 0.0], [0.0, 1.0]])) == 1
    assert knee(np.array([[1.0, 1.0], [1.0, 1.0]])) == 0
    with pytest.raises(ValueError, match="at least one"):
        knee(np.zeros((0, 2)))


def test_the_three_picks(objectives):
    rows = [(2.0, 0.60, 5.0), (3.0, 0.78, 9.0), (9.0, 0.80, 3.0), (9.5, 0.80, 2.0), (2.0, 0.60, 4.0)]
    picks = {p.label: p.architecture for p in pick(members(rows), objectives)}
    assert picks == {"BL": "a4", "BA": "a2", "O": "a1"}


def test_optimum_is_the_knee_of_latency_and_accuracy_whatever_else_is_searched(objectives):
    rows = [(1.0, 0.5, 9.0), (2.0, 0.9, 9.0), (10.0, 0.95, 9.0), (9.0, 0.51, 1.0)]
    assert pick(members(rows), objectives)[2].architecture == "a1"


def test_picks_that_the_objectives_do_not_allow_are_absent():
    front = members([(1.0, 3.0), (2.0, 1.0)])
    assert [p.label for p in pick(front, (get_objective("latency_ms"), get_objective("params")))] == ["BL"]
    assert pick(front, (get_objective("macs"), get_objective("params"))) == ()
    assert pick([], (get_objective("latency_ms"),)) == ()


def test_the_worst_is_not_called_the_best_where_an_objective_goes_the_other_way():
    front = members([(1.0, 0.5), (2.0, 0.9)])
    slowest, accuracy = get_objective("latency_ms", direction="max"), get_objective("accuracy")
    assert [(p.label, p.architecture) for p in pick(front, (slowest, accuracy))] == [("BA", "a1")]
    assert pick(front, (slowest, get_objective("accuracy", direction="min"))) == ()
