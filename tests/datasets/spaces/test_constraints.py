"""Each kind of constraint alone: what it lets pass, and what it refuses to be."""

import itertools

import pytest

from hytnas_datasets.errors import SpaceError
from hytnas_datasets.spaces import Bounded, Forbidden, Ordering, Space, Variable, When

A, B, C = (Variable(name, (1, 2, 3)) for name in "abc")


def passing(*constraints, variables=(A, B, C)):
    space = Space("s", variables, "none", constraints)
    return {tuple(space.values(architecture).values()) for architecture in space.enumerate()}


def where(rule):
    return {values for values in itertools.product((1, 2, 3), repeat=3) if rule(*values)}


@pytest.mark.parametrize(
    ("constraint", "rule"),
    [
        (Forbidden((("a", (1, 2)), ("c", (3,)))), lambda a, b, c: not (a in (1, 2) and c == 3)),
        (Forbidden((("c", (3,)), ("a", (1, 2)))), lambda a, b, c: not (a in (1, 2) and c == 3)),
        (Forbidden((("b", (2,)),)), lambda a, b, c: b != 2),
        (Bounded("sum", ("a", "c"), at_most=4), lambda a, b, c: a + c <= 4),
        (Bounded("sum", ("a", "b", "c"), at_least=8), lambda a, b, c: a + b + c >= 8),
        (Bounded("product", ("b", "c"), 2, 4), lambda a, b, c: 2 <= b * c <= 4),
        (Ordering(("a", "b", "c")), lambda a, b, c: a <= b <= c),
        (Ordering(("a", "b", "c"), ">"), lambda a, b, c: a > b > c),
        (Ordering(("c", "a", "b"), "<"), lambda a, b, c: c < a < b),
        (Ordering(("b", "c", "a"), ">="), lambda a, b, c: b >= c >= a),
    ],
)
def test_a_constraint_keeps_what_its_rule_keeps(constraint, rule):
    assert passing(constraint) == where(rule)


def test_constraints_act_together():
    both = passing(Ordering(("a", "b")), Bounded("sum", ("a", "c"), at_least=5))
    assert both == where(lambda a, b, c: a <= b and a + c >= 5)


def test_decimal_sums_are_exact():
    tenths = tuple(Variable(name, (0.1, 0.2)) for name in "ab")
    kept = passing(Bounded("sum", ("a", "b"), at_least=0.3, at_most=0.3), variables=tenths)
    assert kept == {(0.1, 0.2), (0.2, 0.1)}


def test_a_variable_that_does_not_exist_counts_for_nothing():
    variables = (Variable("on", ("yes", "no")), Variable("a", (1, 3), When("on", ("yes",))), B)
    assert passing(Bounded("sum", ("a", "b"), at_most=3), variables=variables) == {
        ("yes", 1, 1),
        ("yes", 1, 2),
        ("no", 1),
        ("no", 2),
        ("no", 3),
    }
    assert ("no", 1) in passing(Bounded("product", ("a", "b"), at_most=1), variables=variables)
    assert ("no", 2) in passing(Forbidden((("a", (1, 3)), ("b", (2,)))), variables=variables)
    assert passing(Ordering(("b", "a"), ">"), variables=variables) == {
        ("yes", 1, 2),
        ("yes", 1, 3),
        ("no", 1),
        ("no", 2),
        ("no", 3),
    }


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Forbidden(()), "names no variable"),
        (lambda: Forbidden((("a", (1,)), ("a", (2,)))), "twice"),
        (lambda: Bounded("sum", ("a",)), "no bound"),
        (lambda: Bounded("sum", ("a", "a"), at_most=3), "twice"),
        (lambda: Bounded("sum", ("a",), at_most=float("inf")), "not finite"),
        (lambda: Ordering(("a",)), "at least two"),
        (lambda: Ordering(("a", "b"), "=="), "not a relation"),
        (lambda: passing(Forbidden((("a", ()),))), "lists no value"),
        (lambda: passing(Forbidden((("a", (9,)),))), "9 is not a choice of 'a'"),
        (
            lambda: passing(Bounded("sum", ("a", "ab"), at_most=3)),
            "unknown variable 'ab'. Did you mean '",
        ),
        (
            lambda: passing(Ordering(("a", "k")), variables=(A, Variable("k", ("x", "y")))),
            "'k', whose choices are not all numbers",
        ),
    ],
)
def test_a_constraint_that_cannot_be_is_refused(make, message):
    with pytest.raises(SpaceError, match=message):
        make()


def test_a_constraint_says_what_it_asks():
    assert str(Bounded("sum", ("a", "b"), 1, 4)) == "1 <= sum of a, b <= 4"
    assert str(Ordering(("a", "b"), "<")) == "a < b"
    assert str(Forbidden((("a", (1, 2)), ("b", (3,))))) == "forbidden: a in {1, 2} and b in {3}"
