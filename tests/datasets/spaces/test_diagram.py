"""The decision diagram against slow enumeration, on random small spaces."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hytnas_datasets.errors import SpaceError
from hytnas_datasets.spaces import INACTIVE, Bounded, Forbidden, Ordering, Space, Variable, When
from hytnas_datasets.spaces.constraints import exact


def holds(constraint, values):
    """The meaning of a constraint, stated directly."""
    if isinstance(constraint, Forbidden):
        return not all(name in values and values[name] in listed for name, listed in constraint.values)
    present = [exact(values[name]) for name in constraint.variables if name in values]
    if isinstance(constraint, Ordering):
        compare = {"<": "__lt__", "<=": "__le__", ">": "__gt__", ">=": "__ge__"}[constraint.relation]
        return all(getattr(left, compare)(right) for left, right in itertools.pairwise(present))
    total = sum(present) if constraint.kind == "sum" else math.prod(present)
    low = constraint.at_least is None or total >= exact(constraint.at_least)
    return low and (constraint.at_most is None or total <= exact(constraint.at_most))


def by_enumeration(variables, constraints):
    """Every architecture's indices in lexicographic order, by trying every choice vector."""
    found = set()
    for vector in itertools.product(*(range(len(variable.choices)) for variable in variables)):
        values, indices = {}, []
        for variable, i in zip(variables, vector, strict=True):
            exists = variable.when is None or values.get(variable.when.variable) in variable.when.values
            if exists:
                values[variable.name] = variable.choices[i]
            indices.append(i if exists else INACTIVE)
        if all(holds(constraint, values) for constraint in constraints):
            found.add(tuple(indices))
    return sorted(found)


@st.composite
def parts(draw):
    """Variables and constraints of a small space, which may be empty."""
    variables = []
    for name in "abcde"[: draw(st.integers(1, 5))]:
        choices = tuple(
            draw(st.lists(st.sampled_from([0, 1, 2, 3, 0.5, -1]), min_size=1, max_size=3, unique=True))
        )
        when = None
        if variables and draw(st.booleans()):
            parent = draw(st.sampled_from(variables))
            listed = draw(st.lists(st.sampled_from(parent.choices), min_size=1, max_size=2, unique=True))
            when = When(parent.name, tuple(listed))
        variables.append(Variable(name, choices, when))
    names = st.permutations([variable.name for variable in variables])
    bound = st.sampled_from([-1, 0, 1, 2.5, 4])
    constraints = []
    for kind in draw(st.lists(st.sampled_from(["forbidden", "sum", "product", "ordering"]), max_size=3)):
        chosen = tuple(draw(names)[: draw(st.integers(1, len(variables)))])
        if kind == "forbidden":
            by_name = {variable.name: variable.choices for variable in variables}
            constraints.append(Forbidden(tuple((name, by_name[name][:2]) for name in chosen)))
        elif kind == "ordering":
            if len(chosen) > 1:
                constraints.append(Ordering(chosen, draw(st.sampled_from(["<", "<=", ">", ">="]))))
        else:
            low, high = draw(st.one_of(st.tuples(bound, st.none()), st.tuples(st.none(), bound)))
            constraints.append(Bounded(kind, chosen, low, high))
    return tuple(variables), tuple(constraints)


@given(parts())
@settings(max_examples=150, deadline=None)
def test_counting_and_coding_agree_with_enumeration(drawn):
    variables, constraints = drawn
    space = Space("random", variables, "none", constraints)
    expected = by_enumeration(variables, constraints)
    if not expected:
        with pytest.raises(SpaceError, match="no architecture meets its constraints"):
            _ = space.size
        return
    architectures = list(space.enumerate())
    assert space.size == len(expected)
    assert sorted(a.indices for a in architectures) == expected
    assert space.decode(space.encode(architectures)) == architectures
    assert [space.parse(text) for text in space.format_all(architectures)] == architectures
    assert len(set(space.format_all(architectures))) == space.size
    assert [space.from_values(space.values(a)) for a in architectures] == architectures
    everything = set(space.sample(space.size, np.random.default_rng(0)))
    assert everything == set(architectures)


@given(parts())
@settings(max_examples=80, deadline=None)
def test_exactly_the_enumerated_codes_are_valid(drawn):
    variables, constraints = drawn
    space = Space("random", variables, "none", constraints)
    expected = set(by_enumeration(variables, constraints))
    if expected:
        ranges = [range(-2, len(variable.choices) + 1) for variable in variables]
        vectors = list(itertools.islice(itertools.product(*ranges), 5_000))
        valid = space.is_valid(np.array(vectors))
        assert [vector in expected for vector in vectors] == valid.tolist()


def test_a_space_beyond_64_bits_is_counted_and_coded_exactly():
    variables = tuple(Variable(f"v{i}", (1, 2, 3, 4)) for i in range(40))
    plain = Space("wide", variables, "none")
    assert plain.size == 4**40
    bounded = Space(
        "wide", variables, "none", (Bounded("sum", tuple(v.name for v in variables), at_most=42),)
    )
    # Sums 40, 41 and 42 above the least: 1, 40, and 40 + (40 choose 2) ways.
    assert bounded.size == 1 + 40 + 40 + math.comb(40, 2)
    architectures = plain.sample(300, np.random.default_rng(1))
    assert len(set(architectures)) == 300
    assert plain.decode(plain.encode(architectures)) == architectures
    assert [plain.parse(text) for text in plain.format_all(architectures)] == architectures
    again = plain.sample(20, np.random.default_rng(2), exclude=architectures)
    assert not set(again) & set(architectures)


def test_constraints_too_entangled_to_count_are_refused_in_one_line(monkeypatch):
    monkeypatch.setattr("hytnas_datasets.spaces.diagram.MAX_BRANCHES", 5_000)
    variables = tuple(Variable(f"v{i}", tuple(2**k for k in range(8 * i, 8 * i + 8))) for i in range(20))
    space = Space(
        "tangle", variables, "none", (Bounded("sum", tuple(v.name for v in variables), at_least=1),)
    )
    with pytest.raises(SpaceError, match="tie too many variables together") as caught:
        _ = space.size
    assert "\n" not in str(caught.value)
