"""Variables refuse what could not be chosen from or written down."""

import pytest

from hytnas_datasets.errors import SpaceError
from hytnas_datasets.spaces import Variable


@pytest.mark.parametrize(
    ("name", "choices", "message"),
    [
        ("", (1,), "name ''"),
        ("two words", (1,), "letters, digits"),
        ("a" * 81, (1,), "80 letters"),
        ("a", (), "no choices"),
        ("a", (1, 2, 1), "twice"),
        ("a", (1, 1.0), "twice"),
        ("a", (1, True), "not a number or a string"),
        ("a", (float("nan"),), "not finite"),
        ("a", (float("inf"),), "not finite"),
        ("a", ("line\nbreak",), "unprintable"),
        ("a", ("",), "empty"),
        ("a", (None,), "not a number or a string"),
        ("a", tuple(range(1001)), "1000 is the most"),
    ],
)
def test_an_unusable_variable_is_refused(name, choices, message):
    with pytest.raises(SpaceError, match=message):
        Variable(name, choices)


def test_a_choice_is_found_by_its_value():
    variable = Variable("ratio", (1.0, 1.5, 2.0))
    assert [variable.index(value) for value in (1, 1.5, 2.0)] == [0, 1, 2]


@pytest.mark.parametrize("value", [True, 3, "1.5", None])
def test_other_values_are_refused_with_the_choices(value):
    with pytest.raises(SpaceError, match=r"not a choice of 'ratio'. Choose one of 1.0, 1.5, 2.0"):
        Variable("ratio", (1.0, 1.5, 2.0)).index(value)
