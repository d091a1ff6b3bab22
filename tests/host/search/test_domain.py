import numpy as np
import pytest

from hytnas_host.search import ConstraintError, SearchError, get_objective, parse_constraint
from hytnas_host.search.domain import Domain


def test_exact_objectives_and_constraints_are_told_apart(make_domain, small_space):
    bounds = [parse_constraint("params <= 40"), parse_constraint("latency <= 9 ms")]
    domain = make_domain(small_space, bounds)
    assert domain.exact_columns == (2,)
    assert domain.exact_constraints == (bounds[0],)
    assert domain.evaluated_constraints == (bounds[1],)
    architectures = small_space.sample(5, np.random.default_rng(0))
    values = domain.exact_values(architectures)
    assert np.isnan(values[:, :2]).all()
    assert np.array_equal(values[:, 2] <= 40, domain.admissible(architectures))
    assert np.array_equal(domain.exact_violation(architectures)[:, 0] <= 0, domain.admissible(architectures))


def test_feasible_needs_both_kinds_of_constraint(make_domain, small_space):
    domain = make_domain(small_space, [parse_constraint("params <= 40"), parse_constraint("latency <= 9 ms")])
    cheap = [a for a in small_space.enumerate() if sum(a.indices[:-1]) == 1][:2]
    values = np.array([[8.0, 0.5, 20.0], [10.0, 0.5, 20.0]])
    assert domain.feasible(cheap, values).tolist() == [True, False]
    dear = [a for a in small_space.enumerate() if sum(a.indices[:-1]) > 3][:1]
    assert domain.feasible(dear, np.array([[1.0, 0.5, 50.0]])).tolist() == [False]


def test_a_constraint_that_nobody_computes_is_refused(make_domain, small_space):
    with pytest.raises(ConstraintError, match=r"macs <= 5.*Constrain one of accuracy, latency_ms, params"):
        make_domain(small_space, [parse_constraint("macs <= 5")])


def test_objectives_are_checked(small_space, facts):
    with pytest.raises(SearchError, match="twice"):
        Domain(small_space, (get_objective("params"), get_objective("params")), facts)


def test_new_networks_are_distinct_and_unseen(make_domain, small_space):
    domain, everything = make_domain(small_space), list(small_space.enumerate())
    first = domain.identity(everything[0])
    chosen = domain.select_new(everything, {first})
    identities = [domain.identity(a) for a in chosen]
    assert len(identities) == len(set(identities)) == 23
    assert first not in identities
    assert domain.select_new(everything, (), 3) == everything[:6:2]


@pytest.mark.parametrize("name", ["small_space", "wide_space"])
def test_draws_are_new_and_admissible(request, make_domain, name):
    space = request.getfixturevalue(name)
    domain = make_domain(space, [parse_constraint("params <= 60")])
    drawn = domain.draw_new(10, (), np.random.default_rng(0))
    assert len({domain.identity(a) for a in drawn}) == 10
    assert domain.admissible(drawn).all()
    more = domain.draw_new(5, {domain.identity(a) for a in drawn}, np.random.default_rng(1))
    assert not {domain.identity(a) for a in more} & {domain.identity(a) for a in drawn}
    assert domain.draw_new(0, (), np.random.default_rng(0)) == []


def test_a_small_space_is_drawn_to_its_end(make_domain, small_space):
    domain = make_domain(small_space)
    assert len(domain.draw_new(1000, (), np.random.default_rng(0))) == 24


def test_draws_from_a_large_space_give_up(make_domain, wide_space):
    domain = make_domain(wide_space, [parse_constraint("params <= 1")])
    assert domain.draw_new(1, (), np.random.default_rng(0)) == []
