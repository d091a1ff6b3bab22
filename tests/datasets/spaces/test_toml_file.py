"""TOML files: reading back what was written, and one clear line for whatever is wrong."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hytnas_datasets.errors import SpaceError
from hytnas_datasets.spaces import (
    HYT,
    HYT_MIXED,
    HYT_RELEASED,
    Space,
    Variable,
    load_toml,
    parse_toml,
    to_toml,
)
from hytnas_datasets.spaces.toml_file import MAX_FILE_BYTES

HEAD = 'name = "small"\nfamily = "none"\n'
V = '[[variables]]\nname = "v"\nchoices = [1, 2]\n'
W = '[[variables]]\nname = "w"\nchoices = [1, 2]\n'


def test_spaces_round_trip(conditional):
    for space in (HYT, HYT_RELEASED, HYT_MIXED, conditional):
        again = parse_toml(to_toml(space))
        assert again == space
        assert again.hash() == space.hash()


choices = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(min_size=1).filter(str.isprintable),
)


@given(st.lists(choices, min_size=1, max_size=6, unique=True))
def test_any_usable_choice_round_trips(values):
    space = Space("any", (Variable("v", tuple(values)),), "none")
    again = parse_toml(to_toml(space))
    assert again == space
    assert again.hash() == space.hash()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "missing required field `name`"),
        ("name = ", "Not valid TOML"),
        (HEAD, "missing required field `variables`"),
        (HEAD + "variables = []", "no variables"),
        (HEAD + "speed = 1\n" + V, "unknown field `speed`"),
        (HEAD + V + "unit = 'x'", r"unknown field `unit` - at `\$.variables\[0\]`"),
        (HEAD + V + V, "two variables named 'v'"),
        (HEAD + V.replace("[1, 2]", "[]"), "'v' has no choices"),
        (HEAD + V.replace("[1, 2]", "[1, 1]"), "lists a choice twice"),
        (HEAD + V.replace("[1, 2]", "[nan]"), "not finite"),
        (HEAD + V.replace("[1, 2]", "[true]"), "got `bool`"),
        (HEAD + V.replace("[1, 2]", "[[1]]"), "got `array`"),
        (HEAD + V.replace("[1, 2]", "[1979-05-27]"), r"at `\$.variables\[0\].choices\[0\]`"),
        (HEAD + V + "when = { variable = 'u', values = [1] }", "depends on 'u'"),
        (
            HEAD + V + "[[constraints]]\nkind = 'sum'\nvariables = ['v', 'u']\nat_most = 1",
            "unknown variable 'u'",
        ),
        (HEAD + V + "[[constraints]]\nkind = 'sum'\nvariables = ['v']\nat_most = 0", "no architecture meets"),
        (HEAD + V + "[[constraints]]\nkind = 'sum'\nvariables = ['v']", "no bound"),
        (HEAD + V + "[[constraints]]\nkind = 'eval'\ncode = 'v < 2'", "Invalid value 'eval'"),
        (
            HEAD + V + W + "[[constraints]]\nkind = 'ordering'\nvariables = ['v', 'w']\nrelation = '=='",
            "Invalid enum",
        ),
        (HEAD + "channel_caps = { a = 0 }\n" + V, "channel cap of 'a' is 0. Give a positive"),
        (HEAD + "channel_caps = { a = 'x' }\n" + V, "Expected `int`"),
        (HEAD.replace("none", "vit") + V, "There is no network family 'vit'. Known: hyt, none"),
        (HEAD.replace("none", "hyt") + V, "Family 'hyt' has no variable 'v'"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_with_the_file(tmp_path, text, message):
    path = tmp_path / "space.toml"
    path.write_text(text)
    with pytest.raises(SpaceError, match=message) as caught:
        load_toml(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_file_that_is_too_large_or_no_text_is_refused(tmp_path):
    path = tmp_path / "space.toml"
    path.write_bytes(b"#" * (MAX_FILE_BYTES + 1))
    with pytest.raises(SpaceError, match="larger than 1000000 bytes"):
        load_toml(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(SpaceError, match="not UTF-8"):
        load_toml(path)
    with pytest.raises(SpaceError, match=r"Cannot read the space file .*Is a directory"):
        load_toml(tmp_path)
    os.mkfifo(tmp_path / "pipe.toml")
    with pytest.raises(SpaceError, match="no regular file"):
        load_toml(tmp_path / "pipe.toml")
    path.write_text(HEAD + "variables = " + "[" * 5_000)
    with pytest.raises(SpaceError, match="Not valid TOML"):
        load_toml(path)


def test_the_example_of_the_documentation_reads():
    text = (
        HEAD
        + V
        + '[[variables]]\nname = "w"\nchoices = [1, 2, 4]\nwhen = { variable = "v", values = [2] }\n'
        + '[[constraints]]\nkind = "forbidden"\nvalues = { v = [2], w = [4] }\n'
    )
    assert {tuple(a.indices) for a in parse_toml(text).enumerate()} == {(0, -1), (1, 0), (1, 1)}
