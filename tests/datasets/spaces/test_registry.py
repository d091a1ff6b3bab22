"""Spaces are found by name, by file, and in installed packages."""

from importlib.metadata import EntryPoint

import pytest

from hytnas_datasets.errors import SpaceError
from hytnas_datasets.spaces import HYT, Space, Variable, get_space, list_spaces, register, registry, to_toml


@pytest.fixture(autouse=True)
def own_registry(monkeypatch):
    monkeypatch.setattr(registry, "_SPACES", dict(registry._SPACES))


def small(name="small", choices=(1, 2)):
    return Space(name, (Variable("v", choices),), "none")


def test_bundled_spaces_are_known_by_name():
    assert list_spaces()[:3] == ("hyt", "hyt-released", "hyt-mixed")
    assert get_space("hyt") is HYT


def test_an_unknown_name_lists_the_known_ones_and_the_nearest():
    with pytest.raises(SpaceError) as caught:
        get_space("hyt-relased")
    assert "Did you mean 'hyt-released'? Known: hyt, hyt-released, hyt-mixed" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_registered_space_is_known_and_cannot_be_replaced():
    assert register(small()) is get_space("small")
    assert register(small()) is get_space("small")
    assert "small" in list_spaces()
    with pytest.raises(SpaceError, match="Another space is already named 'small'"):
        register(small(choices=(1, 2, 3)))


def test_a_file_is_loaded_and_registered_under_its_name(tmp_path):
    path = tmp_path / "anything.toml"
    path.write_text(to_toml(small()))
    assert get_space(str(path)) == get_space(path) == get_space("small") == small()


def test_a_missing_file_is_named():
    with pytest.raises(SpaceError, match=r"Cannot read the space file no/such\.toml: No such file"):
        get_space("no/such.toml")


OFFERED = small("offered")


def offer(monkeypatch, value):
    entry = EntryPoint("offered", value, "hytnas.spaces")
    monkeypatch.setattr(
        registry,
        "entry_points",
        lambda **wanted: [entry] if wanted.get("name", "offered") == "offered" else [],
    )


def test_installed_packages_offer_spaces(monkeypatch):
    offer(monkeypatch, "json:JSONDecoder")
    monkeypatch.setattr("json.JSONDecoder", OFFERED)
    assert "offered" in list_spaces()
    assert get_space("offered") is OFFERED


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("no_such_module:space", "cannot be loaded"),
        ("json:no_such_name", "cannot be loaded"),
        ("json:dumps", "is not a Space"),
    ],
)
def test_a_broken_offer_is_named(monkeypatch, value, message):
    offer(monkeypatch, value)
    with pytest.raises(SpaceError, match=f"The installed space 'offered' .* {message}"):
        get_space("offered")
