"""Spaces are found by name, by file, and in installed packages."""

from importlib.metadata import EntryPoint

import pytest

from hytnas_datasets.errors import SpaceError
from hytnas_datasets.spaces import HYT, Space, Variable, get_space, list_spaces, register, registry, to_toml


@pytest.fixture(autouse=True)
def own_registry(monkeypatch):
    monkeypatch.setattr(registry, "_REGISTERED", {})
    monkeypatch.setattr(registry.SPACES, "_loaded", {})


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
        "hytnas_agent.registry._entry_points", lambda group: [entry] if group == "hytnas.spaces" else []
    )


def test_installed_packages_offer_spaces(monkeypatch):
    offer(monkeypatch, "json:JSONDecoder")
    monkeypatch.setattr("json.JSONDecoder", OFFERED)
    assert "offered" in list_spaces()
    assert get_space("offered") is OFFERED


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("no_such_module:space", r"The space 'offered' \(no_such_module:space\) cannot be imported"),
        ("json:dumps", "What json:dumps offers as space 'offered' is no space"),
        ("hytnas_datasets.spaces:HYT", "The installed space 'offered' calls itself 'hyt'"),
    ],
)
def test_a_broken_offer_is_named(monkeypatch, value, message):
    offer(monkeypatch, value)
    with pytest.raises(SpaceError, match=message):
        get_space("offered")


def test_an_offer_that_its_family_cannot_build_is_refused(monkeypatch):
    offer(monkeypatch, "json:JSONDecoder")
    monkeypatch.setattr("json.JSONDecoder", Space("offered", (Variable("v", (1, 2)),)))
    with pytest.raises(SpaceError, match="Family 'hyt' has no variable 'v'"):
        get_space("offered")
