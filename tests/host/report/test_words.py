"""Numbers as people read them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hytnas_host.report import words


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2.4051, "2.41"),
        (9.999, "10.0"),
        (99.96, "100"),
        (0.01234, "0.0123"),
        (0, "0"),
        (1234.5, "1234"),
        (-1.5, "\u22121.50"),
    ],
)
def test_three_significant_digits(value, text):
    assert words.significant(value) == text


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_a_dash(value):
    assert words.significant(value) == words.percent(value) == words.signed_percent(value) == "\u2013"


@given(st.floats(1e-3, 1e6))
def test_the_printed_number_is_within_half_a_percent(value):
    assert float(words.significant(value)) == pytest.approx(value, rel=0.0051)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: words.milliseconds(None), "\u2013"),
        (lambda: words.milliseconds(2.0), "2.00\u00a0ms"),
        (lambda: words.count(187_400), "187\u00a0k"),
        (lambda: words.count(94), "94"),
        (lambda: words.memory(2**30), "1.00\u00a0GiB"),
        (lambda: words.memory(12), "12\u00a0B"),
        (lambda: words.duration(3.24), "3.2\u00a0s"),
        (lambda: words.duration(65), "1\u00a0min\u00a05\u00a0s"),
        (lambda: words.duration(3725), "1\u00a0h\u00a02\u00a0min"),
        (lambda: words.signed_percent(1.26), "+1.3\u00a0%"),
        (lambda: words.plural(1, "network"), "1\u00a0network"),
        (lambda: words.plural(2, "network"), "2\u00a0networks"),
    ],
)
def test_units(call, text):
    assert call() == text
