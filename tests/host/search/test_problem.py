import numpy as np
import pytest

from hytnas_datasets.spaces import Architecture
from hytnas_host.search import ConstraintError, SearchError, get_objective, parse_constraint
from hytnas_host.search.problem import SearchProblem


def test_exact_objectives_and_constraints_are_told_apart(make_problem, small_space):
    bounds = [parse_constraint("params <= 40"), parse_constraint("latency <= 9 ms")]
    problem = make_problem(small_space, bounds)
    assert problem.exact_columns == (2,)
    assert problem.exact_constraints == (bounds[0],)
    assert problem.evaluated_constraints == (bounds[1],)
    architectures = small_space.sample(5, np.random.default_rng(0))
    values = problem.exact_values(architectures)
    assert np.isnan(values[:, :2]).all()
    assert np.array_equal(values[:, 2] <= 40, problem.admissible(architectures))
    assert np.array_equal(
        problem.exact_violation(architectures)[:, 0] <= 0, problem.admissible(architectures)
    )


def test_feasible_needs_both_kinds_of_constraint(make_problem, small_space):
    problem = make_problem(
        small_space, [parse_constraint("params <= 40"), parse_constraint("latency <= 9 ms")]
    )
    cheap = [a for a in small_space.enumerate() if sum(a.indices[:-1]) == 1][:2]
    values = np.array([[8.0, 0.5, 20.0], [10.0, 0.5, 20.0]])
    assert problem.feasible(cheap, values).tolist() == [True, False]
    dear = [a for a in small_space.enumerate() if sum(a.indices[:-1]) > 3][:1]
    assert problem.feasible(dear, np.array([[1.0, 0.5, 50.0]])).tolist() == [False]


def test_a_constraint_that_nobody_computes_is_refused(make_problem, small_space):
    with pytest.raises(ConstraintError, match=r"macs <= 5.*Constrain one of accuracy, latency_ms, params"):
        make_problem(small_space, [parse_constraint("macs <= 5")])


def test_objectives_are_checked(small_space, exact_metrics):
    with pytest.raises(SearchError, match="twice"):
        SearchProblem(small_space, (get_objective("params"), get_objective("params")), exact_metrics)


def test_new_networks_are_distinct_and_unseen(make_problem, small_space):
    problem, everything = make_problem(small_space), list(small_space.enumerate())
    first = problem.identity(everything[0])
    chosen = problem.select_new(everything, {first})
    identities = [problem.identity(a) for a in chosen]
    assert len(identities) == len(set(identities)) == 23
    assert first not in identities
    assert problem.select_new(everything, (), 3) == everything[:6:2]


@pytest.mark.parametrize("name", ["small_space", "wide_space"])
def test_draws_are_new_and_admissible(request, make_problem, name):
    space = request.getfixturevalue(name)
    problem = make_problem(space, [parse_constraint("params <= 60")])
    drawn = problem.draw_new(10, (), np.random.default_rng(0))
    assert len({problem.identity(a) for a in drawn}) == 10
    assert problem.admissible(drawn).all()
    more = problem.draw_new(5, {problem.identity(a) for a in drawn}, np.random.default_rng(1))
    assert not {problem.identity(a) for a in more} & {problem.identity(a) for a in drawn}
    assert problem.draw_new(0, (), np.random.default_rng(0)) == []


def test_a_small_space_is_drawn_to_its_end(make_problem, small_space):
    problem = make_problem(small_space)
    assert len(problem.draw_new(1000, (), np.random.default_rng(0))) == 24


def test_draws_from_a_large_space_give_up(make_problem, wide_space):
    problem = make_problem(wide_space, [parse_constraint("params <= 1")])
    assert problem.draw_new(1, (), np.random.default_rng(0)) == []


def test_the_nearest_new_candidate_stands_for_what_is_none(small_space, exact_metrics, objectives):
    rows = tuple(Architecture("toy-small", each) for each in ((0, 0, 0, 0), (3, 2, 1, 0), (3, 0, 0, 0)))
    problem = SearchProblem(small_space, objectives, exact_metrics, candidates=rows)
    wanted = [Architecture("toy-small", each) for each in ((2, 0, 0, 0), (3, 0, 0, 1), (0, 1, 0, 0))]
    assert problem.nearest(wanted, ()) == [rows[2], rows[0], rows[1]]
    assert problem.nearest(wanted, set(problem.identities(rows[2:])), 1) == [rows[0]]
    assert problem.nearest(wanted, set(problem.identities(rows))) == []
    assert problem.admissible(wanted).tolist() == [False, False, False]
    assert set(problem.draw_new(5, (), np.random.default_rng(0))) == set(rows)
