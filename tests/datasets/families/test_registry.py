"""Families by name, and what one without networks is good for."""

import dataclasses
from importlib.metadata import EntryPoint

import pytest

from hytnas_datasets.errors import PlanError, SpaceError
from hytnas_datasets.families import Family, check_family, get_family, has_networks, list_families, task_for
from hytnas_datasets.families.registry import FAMILIES
from hytnas_datasets.plan import Task, build_plan, identity, network_hash
from hytnas_datasets.plan.stages import Head, Stem
from hytnas_datasets.spaces import HYT, Space, Variable, get_space, parse_toml, register

TABLE = Space("family-test-table", (Variable("depth", (1, 2)),), family="none")


class Narrow(Family):
    name = "narrow"
    stages = ("stem", "head")
    default_task = Task(resolution=32)

    def check(self, space):
        if {variable.name for variable in space.variables} != {"stride"}:
            raise SpaceError("Family 'narrow' has the variable 'stride' alone")

    def build_stages(self, values, task, channel_caps):
        return Stem(task.in_channels, values["stride"]), Head(task.classes)


@pytest.fixture
def narrow(monkeypatch):
    monkeypatch.setattr("json.JSONDecoder", Narrow())
    entry = EntryPoint("narrow", "json:JSONDecoder", "hytnas.families")
    monkeypatch.setattr(
        "hytnas_agent.registry._entry_points", lambda group: [entry] if group == "hytnas.families" else []
    )
    monkeypatch.setattr(FAMILIES, "_loaded", {})


def test_the_bundled_families():
    assert list_families()[:2] == ("hyt", "none")
    for name in ("hyt", "none"):
        assert get_family(name).name == name
    assert has_networks(HYT)
    assert not has_networks(TABLE)


def test_an_unknown_family_names_the_known_ones():
    with pytest.raises(SpaceError, match=r"no network family 'vit'. Known: hyt, none"):
        get_family("vit")


def test_a_plan_has_the_stages_of_its_family():
    plan = build_plan(first(HYT), Task())
    assert tuple(plan.per_stage()) == get_family("hyt").stages


def first(space):
    return space.from_values({variable.name: variable.choices[0] for variable in space.variables})


def test_an_installed_family_builds_the_networks_of_a_toml_space(narrow):
    text = 'name = "narrow-space"\nfamily = "narrow"\n[[variables]]\nname = "stride"\nchoices = [1, 2]\n'
    space = register(parse_toml(text))
    plan = build_plan(first(space), get_family("narrow").default_task)
    assert tuple(plan.per_stage()) == ("stem", "head")
    with pytest.raises(SpaceError, match="the variable 'stride' alone"):
        parse_toml(text.replace('"stride"', '"depth"'))


def test_without_networks_an_architecture_is_its_own_identity():
    space = register(TABLE)
    one, two = space.enumerate()
    assert identity(one, Task()) == space.format(one) != identity(two, Task())
    with pytest.raises(PlanError, match=r"'family-test-table' is of family 'none'"):
        build_plan(one, Task())
    network = first(get_space("hyt"))
    assert identity(network, Task()) == network_hash(network, Task())


def test_without_networks_there_is_nothing_to_cap():
    check_family(TABLE)
    with pytest.raises(SpaceError, match="caps channels, and its family 'none' has no stages"):
        check_family(dataclasses.replace(TABLE, channel_caps=(("stage1", 8),)))


def test_the_task_is_the_familys_unless_it_is_chosen(narrow):
    space = Space("narrow-task", (Variable("stride", (1, 2)),), family="narrow")
    assert task_for(space) == Task(resolution=32)
    assert task_for(space, classes=7) == Task(resolution=32, classes=7)
    assert task_for(HYT, 64) == Task(resolution=64)
