import numpy as np
import pytest

from hytnas_host.search import parse_constraint
from hytnas_host.search.initial import latin_hypercube, latin_hypercube_codes, uniform


@pytest.mark.parametrize("n", [7, 24, 30])
def test_latin_hypercube_uses_every_choice_evenly(n):
    choices = np.array([2, 3, 4, 6])
    codes = latin_hypercube_codes(choices, n, np.random.default_rng(0))
    assert codes.shape == (n, 4)
    for column, count in enumerate(choices):
        used = np.bincount(codes[:, column], minlength=count)
        assert len(used) == count
        assert used.max() - used.min() <= (0 if n % count == 0 else 2)


@pytest.mark.parametrize("design", [latin_hypercube, uniform])
@pytest.mark.parametrize("name", ["small_space", "wide_space", "conditional_space"])
def test_designs_are_distinct_admissible_and_reproducible(request, make_problem, design, name):
    space = request.getfixturevalue(name)
    problem = make_problem(space, [parse_constraint("params <= 90")])
    architectures = design(problem, 12, (), np.random.default_rng(5))
    assert len({problem.identity(a) for a in architectures}) == 12
    assert problem.admissible(architectures).all()
    assert all(space.contains(a) for a in architectures)
    assert design(problem, 12, (), np.random.default_rng(5)) == architectures


@pytest.mark.parametrize("design", [latin_hypercube, uniform])
def test_a_space_smaller_than_the_design_gives_all_it_has(make_problem, small_space, design):
    problem = make_problem(small_space)
    seen = {problem.identity(next(iter(small_space.enumerate())))}
    found = {problem.identity(a) for a in design(problem, 100, seen, np.random.default_rng(0))}
    assert len(found) == 23
    assert not found & seen


def test_latin_hypercube_without_constraint_keeps_its_strata(make_problem, wide_space):
    architectures = latin_hypercube(make_problem(wide_space), 16, (), np.random.default_rng(0))
    codes = wide_space.encode(architectures)
    for column in range(8):
        assert np.bincount(codes[:, column], minlength=4).tolist() == [4, 4, 4, 4]


def test_empty_design(make_problem, small_space):
    assert latin_hypercube(make_problem(small_space), 0, (), np.random.default_rng(0)) == []
