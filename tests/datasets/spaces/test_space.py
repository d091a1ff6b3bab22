"""Architectures in and out of a space: values, codes, neighbours, membership, hash."""

import dataclasses
import itertools

import numpy as np
import pytest

from hytnas_datasets.errors import SpaceError
from hytnas_datasets.spaces import (
    HYT,
    HYT_MIXED,
    HYT_RELEASED,
    INACTIVE,
    Architecture,
    Space,
    Variable,
    When,
)

BUNDLED = [HYT, HYT_RELEASED, HYT_MIXED]
by_name = pytest.mark.parametrize("space", BUNDLED, ids=lambda space: space.name)


@by_name
def test_codes_and_values_round_trip(space):
    architectures = space.sample(500, np.random.default_rng(0))
    codes = space.encode(architectures)
    assert codes.shape == (500, len(space.variables))
    assert codes.dtype == np.int64
    assert space.decode(codes) == architectures
    assert [space.from_values(space.values(a)) for a in architectures] == architectures
    assert all(type(i) is int for i in space.decode(codes)[0].indices)
    assert all(space.contains(a) for a in architectures)


def test_no_architectures_have_no_codes():
    assert HYT.encode([]).shape == (0, 18)
    assert HYT.decode(np.empty((0, 18), dtype=np.int64)) == []
    assert HYT.one_hot([]).shape == (0, 58)


@by_name
def test_one_hot_marks_each_existing_variable_once(space):
    architectures = space.sample(50, np.random.default_rng(0))
    matrix, names = space.one_hot(architectures), space.one_hot_names()
    assert matrix.shape == (50, len(names))
    assert len(set(names)) == len(names)
    for row, architecture in zip(matrix, architectures, strict=True):
        marked = {names[i] for i in np.flatnonzero(row)}
        assert marked == {f"{name}={value}" for name, value in space.values(architecture).items()}
        assert set(row) <= {0.0, 1.0}


def test_values_name_only_the_variables_that_exist():
    values = HYT_MIXED.values(HYT_MIXED.sample(1, np.random.default_rng(1))[0])
    for stage in range(1, 6):
        own = {name.split(".")[1] for name in values if name.startswith(f"stage{stage}.")}
        convolution = values[f"stage{stage}.kind"] == "convolution"
        rest = {"blocks", "channels"} if convolution else {"ratio", "heads", "ff_ratio"}
        assert own == {"kind", "expand"} | rest


def conditional_values(**changes):
    values = {"kind": "attention", "heads": 2, "dropout": 0.1, "width": 16, "depth": 2} | changes
    return {name: value for name, value in values.items() if value is not None}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": None}, "No value given for 'width' of space 'conditional'. Choose one of 8, 16, 24"),
        ({"width": 17}, "17 is not a choice of 'width'"),
        ({"widht": 16}, "no variable 'widht'. Did you mean 'width'"),
        ({"blocks": 1}, "'blocks' does not exist in this architecture: it needs 'kind' to be convolution"),
        ({"dropout": None}, "No value given for 'dropout'"),
        ({"heads": 1}, "'dropout' does not exist .* it needs 'heads' to be 2 or 4"),
        (
            {"width": 8},
            "break a constraint of space 'conditional': forbidden: kind in .attention. and width in .8.",
        ),
        ({"heads": 4, "depth": 3}, "break a constraint of space 'conditional': product of heads, depth <= 8"),
    ],
)
def test_values_that_are_no_architecture_are_refused(conditional, changes, message):
    assert conditional.contains(conditional.from_values(conditional_values()))
    with pytest.raises(SpaceError, match=message):
        conditional.from_values(conditional_values(**changes))


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (np.zeros((2, 17), dtype=np.int64), r"shape \(n, 18\)"),
        (np.zeros(18, dtype=np.int64), r"shape \(n, 18\)"),
        (np.zeros((2, 18)), "float64"),
        (np.full((2, 18), -1), "row 0"),
        (np.array([[0] * 18, [4, *[0] * 17]]), r"row 1\) are no architecture"),
        (np.array([[2**40, *[0] * 17]]), "row 0"),
    ],
)
def test_codes_that_are_no_architecture_are_refused(codes, message):
    with pytest.raises(SpaceError, match=message):
        HYT.decode(codes)


def test_inactive_codes_are_part_of_what_is_checked(conditional):
    attention = conditional.from_values(conditional_values())
    assert attention.indices[1] == INACTIVE
    both = Architecture("conditional", (1, 0, *attention.indices[2:]))
    neither = Architecture("conditional", (1, INACTIVE, INACTIVE, *attention.indices[3:]))
    for wrong in (both, neither):
        assert not conditional.contains(wrong)
        with pytest.raises(SpaceError, match="no architecture of space"):
            conditional.encode([wrong])


def test_architectures_of_other_spaces_do_not_belong():
    foreign = HYT_RELEASED.sample(1, np.random.default_rng(0))[0]
    assert not HYT.contains(foreign)
    assert not HYT.contains(Architecture("hyt", (0,) * 17))
    for use in (HYT.values, HYT.format, lambda a: HYT.encode([a]), lambda a: list(HYT.neighbours(a))):
        with pytest.raises(SpaceError, match="does not belong to space 'hyt'"):
            use(foreign)


def test_neighbours_differ_in_one_variable():
    architecture = HYT.sample(1, np.random.default_rng(0))[0]
    neighbours = list(HYT.neighbours(architecture))
    assert len(neighbours) == len(set(neighbours)) == sum(len(v.choices) - 1 for v in HYT.variables)
    for neighbour in neighbours:
        assert HYT.contains(neighbour)
        assert sum(a != b for a, b in zip(architecture.indices, neighbour.indices, strict=True)) == 1


def test_neighbours_under_conditions_and_constraints_are_all_there_and_mutual(conditional):
    def differ_in_one(left, right):
        pairs = list(zip(left.indices, right.indices, strict=True))
        return sum(a != b and INACTIVE not in (a, b) for a, b in pairs) == 1

    found = {a: list(conditional.neighbours(a)) for a in conditional.enumerate()}
    for a, b in itertools.combinations(found, 2):
        assert (b in found[a]) == (a in found[b]) == differ_in_one(a, b)
    assert all(len(set(near)) == len(near) for near in found.values())


def test_the_hash_is_of_the_content():
    assert HYT.hash() == dataclasses.replace(HYT).hash()
    assert len(HYT.hash()) == 16
    changed = Variable("stage1.blocks", (1, 2, 3))
    assert dataclasses.replace(HYT, variables=(changed, *HYT.variables[1:])).hash() != HYT.hash()
    assert dataclasses.replace(HYT, family="none").hash() != HYT.hash()
    assert dataclasses.replace(HYT, channel_caps=(("stage5", 64),)).hash() != HYT.hash()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda v: Space("Big", (v,)), "name 'Big'"),
        (lambda v: Space("s", ()), "no variables"),
        (lambda v: Space("s", (v, v)), "two variables named 'a'"),
        (
            lambda v: Space("s", (Variable("b", (1,), When("a", (1,))), v)),
            "depends on 'a', which is not before it",
        ),
        (lambda v: Space("s", (v, Variable("b", (1,), When("a", (7,))))), "7 is not a choice of 'a'"),
        (lambda v: Space("s", (v, Variable("b", (1,), When("a", ())))), "lists no value of 'a'"),
        (lambda v: Space("s", tuple(Variable(f"v{i}", (1,)) for i in range(301))), "300 is the most"),
    ],
)
def test_a_space_that_cannot_be_is_refused(make, message):
    with pytest.raises(SpaceError, match=message):
        make(Variable("a", (1, 2)))
