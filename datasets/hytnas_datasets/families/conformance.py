"""What every family of networks must do, bundled or of another package.

The checks take the name of a space of the family, whose architectures they build; see
`hytnas_agent.conformance` for the use. A family without networks has nothing to build, and passes by that.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from hytnas_agent.conformance import SuiteCheck, refused
from hytnas_datasets.errors import PlanError, SpaceError
from hytnas_datasets.families import Family, get_family, list_families
from hytnas_datasets.plan import (
    Counts,
    NetworkSummary,
    PlanSummaries,
    build_plan,
    count_layer,
    count_network,
    identity,
    network_hash,
)
from hytnas_datasets.plan.build import build_stages
from hytnas_datasets.spaces import Architecture, Space, get_space, register
from hytnas_datasets.work import sum_stages, tabulate_stages, work_of

SAMPLE: Final = 20


def check_it_is_known_by_its_name(name: str, folder: Path) -> None:
    """The space's family is registered, and calls itself so."""
    del folder
    family = get_space(name).family
    assert family in list_families(), f"{family!r} is not among {', '.join(list_families())}"
    assert get_family(family).name == family, f"it calls itself {get_family(family).name!r}"


def check_unknown_caps_are_refused(name: str, folder: Path) -> None:
    """A cap for a stage that does not exist is an error, not nothing."""
    del folder
    space = get_space(name)
    capped = dataclasses.replace(space, channel_caps=(("no-such-stage", 8),))
    refused(SpaceError, lambda: get_family(space.family).check(capped))


def check_without_networks_ids_are_identities(name: str, folder: Path) -> None:
    """Where there are no networks, none is built, and an architecture is its own identity."""
    del folder
    space, family, sample = _subject(name)
    if family.has_networks:
        return
    refused(PlanError, lambda: build_plan(sample[0], family.default_task), "no networks")
    found = [identity(architecture, family.default_task) for architecture in sample]
    assert found == space.format_all(sample), "an identity is not the id"


def check_plans_have_the_stages_of_the_family(name: str, folder: Path) -> None:
    """Each network has the family's stages in their order, and its shapes fit together."""
    del folder
    _, family, sample = _subject(name)
    for architecture in sample if family.has_networks else ():
        plan = build_plan(architecture, family.default_task)
        stages = tuple(dict.fromkeys(layer.stage for layer in plan.layers))
        assert stages == family.stages, f"the stages are {stages}, not {family.stages}"
        assert plan.layers[-1].shape == (family.default_task.classes,), "the last layer gives no logits"
        for position, layer in enumerate(plan.layers):
            assert layer.index == position, f"{layer.name} has the index {layer.index}, not {position}"
            assert all(i < position for i in layer.inputs), f"{layer.name} comes before its input"
            shapes = tuple(plan.layers[i].shape for i in layer.inputs)
            assert layer.input_shapes == shapes, f"{layer.name} expects {layer.input_shapes}, gets {shapes}"
        assert len({layer.name for layer in plan.layers}) == len(plan.layers), "two layers have one name"


def check_counts_and_hashes_are_those_of_the_plan(name: str, folder: Path) -> None:
    """The shortcuts that write out no layers agree with the plan."""
    del folder
    space, family, sample = _subject(name)
    task = family.default_task
    summaries = PlanSummaries(space, task)(sample) if family.has_networks else []
    for architecture, summary in zip(sample, summaries, strict=False):
        plan = build_plan(architecture, task)
        assert summary == NetworkSummary(plan.counts, plan.hash), "its summary among others differs"
        assert count_network(architecture, task) == plan.counts, "counts differ from the plan's"
        assert sum(map(count_layer, plan.layers), start=Counts()) == plan.counts, "layers do not sum up"
        assert network_hash(architecture, task) == identity(architecture, task) == plan.hash


def check_a_network_does_not_depend_on_the_name_of_its_space(name: str, folder: Path) -> None:
    """A copy of the space under another name gives the same networks."""
    del folder
    space, family, sample = _subject(name)
    if not family.has_networks:
        return
    copy = register(dataclasses.replace(space, name=f"{space.name[:30]}-renamed"))
    for architecture in sample:
        twin = Architecture(copy.name, architecture.indices)
        same = network_hash(twin, family.default_task) == network_hash(architecture, family.default_task)
        assert same, f"{space.format(architecture)} is another network in a renamed space"


def check_a_stage_depends_on_its_variables_alone(name: str, folder: Path) -> None:
    """Networks that agree in a stage's variables have that stage in common; so it is with its parts."""
    del folder
    space, family, sample = _subject(name)
    if not family.has_networks:
        return
    named, parts = family.stage_variables(space), family.repeat_variables(space)
    for groups in (named, parts):
        assert len(groups) == len(family.stages), f"{len(groups)} groups of variables, not one a stage"
    rng = np.random.default_rng(1)
    others = space.sample(min(SAMPLE, space.size), rng)

    def agree(stage: int, names: Sequence[str], of_stage: Callable[[Any], object]) -> None:
        for architecture, twin in _twins(space, sample, others, names):
            built = [build_stages(each, family.default_task)[stage] for each in (architecture, twin)]
            assert of_stage(built[0]) == of_stage(built[1]), (
                f"{family.stages[stage]} depends on more than {', '.join(names)}"
            )

    for stage, (names, part) in enumerate(zip(named, parts, strict=True)):
        agree(stage, names, lambda built: built)
        if part is not None:
            agree(stage, part.rest, lambda built: built.rest)
            agree(stage, part.times, lambda built: built.times)
            # The map that a block receives is given by the rest.
            agree(stage, (*part.rest, *part.block), lambda built: built.block)


def check_tables_of_stages_add_up_to_the_plan(name: str, folder: Path) -> None:
    """Counts and work of many networks at once are those of each plan."""
    del folder
    space, family, sample = _subject(name)
    if not family.has_networks:
        return
    tables = tabulate_stages(space, sample, family.default_task)
    for architecture, row in zip(sample, sum_stages(tables, slice(None)), strict=True):
        plan = build_plan(architecture, family.default_task)
        totals = (plan.params, plan.macs, plan.activations, len(plan))
        assert np.array_equal(row, [*totals, *work_of(plan.layers)]), "the parts of its stages do not add up"


CHECKS: Final[tuple[SuiteCheck, ...]] = (
    check_it_is_known_by_its_name,
    check_unknown_caps_are_refused,
    check_without_networks_ids_are_identities,
    check_plans_have_the_stages_of_the_family,
    check_counts_and_hashes_are_those_of_the_plan,
    check_a_network_does_not_depend_on_the_name_of_its_space,
    check_a_stage_depends_on_its_variables_alone,
    check_tables_of_stages_add_up_to_the_plan,
)


def _subject(name: str) -> tuple[Space, Family, list[Architecture]]:
    space = get_space(name)
    return space, get_family(space.family), space.sample(min(SAMPLE, space.size), np.random.default_rng(0))


def _twins(
    space: Space, sample: Sequence[Architecture], others: Sequence[Architecture], names: Sequence[str]
) -> Iterator[tuple[Architecture, Architecture]]:
    """Each of the sample with one that has its choices in these variables, and those of another elsewhere."""
    kept = [variable.name in names for variable in space.variables]
    for architecture, other in zip(sample, others, strict=True):
        mixed = zip(kept, architecture.indices, other.indices, strict=True)
        twin = Architecture(space.name, tuple(own if keep else foreign for keep, own, foreign in mixed))
        if space.contains(twin):
            yield architecture, twin
