"""Ids of architectures: short, stable, and refused when damaged or of another space."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hytnas_datasets.errors import SpaceError
from hytnas_datasets.spaces import HYT, HYT_MIXED, HYT_RELEASED, Architecture, get_space

DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"
SPACES = [HYT, HYT_RELEASED, HYT_MIXED]


@given(st.sampled_from(SPACES), st.integers(0, 2**32))
def test_ids_round_trip(space, seed):
    architecture = space.sample(1, np.random.default_rng(seed))[0]
    text = space.format(architecture)
    assert space.parse(text) == architecture
    assert space.parse(f" {text.upper().replace(space.name.upper(), space.name)}\n") == architecture
    assert len(text) == len(space.name) + {"hyt": 10, "hyt-released": 11, "hyt-mixed": 11}[space.name]


def test_ids_stay_what_they_are():
    """Studies and reports hold these ids: a change of the format must keep reading them."""
    assert HYT.format(Architecture("hyt", (0,) * 18)) == "hyt-0000000dt"
    assert HYT.parse("hyt-0000000dt").indices == (0,) * 18


@given(st.sampled_from(SPACES), st.integers(0, 2**32), st.data())
def test_one_wrong_digit_is_noticed(space, seed, data):
    text = space.format(space.sample(1, np.random.default_rng(seed))[0])
    place = data.draw(st.integers(len(space.name) + 1, len(text) - 1))
    digit = data.draw(st.sampled_from([d for d in DIGITS if d != text[place]]))
    with pytest.raises(SpaceError, match="damaged"):
        space.parse(text[:place] + digit + text[place + 1 :])


@given(st.sampled_from(SPACES), st.integers(0, 2**32))
def test_two_exchanged_digits_are_noticed(space, seed):
    text = space.format(space.sample(1, np.random.default_rng(seed))[0])
    for place in range(len(space.name) + 1, len(text) - 1):
        if text[place] != text[place + 1]:
            with pytest.raises(SpaceError, match="damaged"):
                space.parse(text[:place] + text[place + 1] + text[place] + text[place + 2 :])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hyt-mixed-0n643hapdk", "of space 'hyt-mixed', not of 'hyt'"),
        ("0000000dt", "not an architecture id"),
        ("", "not an architecture id"),
        ("hyt-", "damaged: 9 digits"),
        ("hyt-0000000d", "damaged: 9 digits"),
        ("hyt-0000000dt0", "damaged: 9 digits"),
        ("hyt-0000000du", "damaged: 9 digits"),
        ("hyt-zzzzzzz00", "damaged"),
    ],
)
def test_other_texts_are_refused(text, message):
    with pytest.raises(SpaceError, match=message):
        HYT.parse(text)


def test_an_id_of_another_version_of_the_space_is_refused():
    other = dataclasses.replace(HYT, variables=(*HYT.variables[1:], HYT.variables[0]))
    assert get_space("hyt").hash() != other.hash()
    with pytest.raises(SpaceError, match="another version of space 'hyt'"):
        other.parse("hyt-0000000dt")
