"""What every space must do, bundled or of another package; see `hytnas_agent.conformance` for the use."""

from pathlib import Path
from typing import Final

import numpy as np

from hytnas_agent.conformance import SuiteCheck, refused
from hytnas_datasets.errors import SpaceError
from hytnas_datasets.families import check_family
from hytnas_datasets.spaces import Architecture, Space, get_space, list_spaces, load_toml, to_toml

SAMPLE: Final = 50


def check_it_is_known_by_its_name(name: str, folder: Path) -> None:
    """``--space NAME`` finds it, and it calls itself so."""
    del folder
    assert name in list_spaces(), f"it is not among {', '.join(list_spaces())}"
    assert get_space(name).name == name, f"it calls itself {get_space(name).name!r}"


def check_its_family_can_build_it(name: str, folder: Path) -> None:
    """The family exists, and accepts the variables and caps."""
    del folder
    check_family(get_space(name))


def check_samples_are_distinct_and_follow_the_generator(name: str, folder: Path) -> None:
    """Equal generators draw equal samples, without a repetition, until the space is used up."""
    del folder
    space = get_space(name)
    sample = _sample(space)
    assert sample == _sample(space), "equal generators drew different samples"
    assert len(set(sample)) == len(sample), "an architecture was drawn twice"
    assert all(space.contains(each) for each in sample), "a drawn architecture is not of the space"
    refused(SpaceError, lambda: space.sample(space.size + 1, np.random.default_rng(0)), str(space.size))


def check_ids_and_codes_lead_back(name: str, folder: Path) -> None:
    """Ids, ordinal codes and choices by name give the architecture again."""
    del folder
    space = get_space(name)
    sample = _sample(space)
    assert [space.parse(text) for text in space.format_all(sample)] == sample, "an id leads elsewhere"
    assert space.decode(space.encode(sample)) == sample, "codes lead elsewhere"
    assert [space.from_values(space.values(each)) for each in sample] == sample, "choices lead elsewhere"
    indicators = space.one_hot(sample)
    width = sum(len(variable.choices) for variable in space.variables)
    assert indicators.shape == (len(sample), width), f"indicators have the shape {indicators.shape}"


def check_neighbours_differ_and_belong_to_the_space(name: str, folder: Path) -> None:
    """Neighbours are others, of the space, and neighbours in return."""
    del folder
    space = get_space(name)
    for architecture in _sample(space)[:5]:
        near = list(space.neighbours(architecture))
        assert architecture not in near, "an architecture is its own neighbour"
        assert all(space.contains(each) for each in near), "a neighbour is not of the space"
        for other in near[:3]:
            assert architecture in set(space.neighbours(other)), "a neighbour does not know it"


def check_it_survives_a_toml_file(name: str, folder: Path) -> None:
    """Written to TOML and read again it is the same space, hash and all."""
    space = get_space(name)
    path = folder / "space.toml"
    path.write_text(to_toml(space))
    again = load_toml(path)
    assert again == space, "it is another space after a TOML file"
    assert again.hash() == space.hash(), "its hash is another after a TOML file"


CHECKS: Final[tuple[SuiteCheck, ...]] = (
    check_it_is_known_by_its_name,
    check_its_family_can_build_it,
    check_samples_are_distinct_and_follow_the_generator,
    check_ids_and_codes_lead_back,
    check_neighbours_differ_and_belong_to_the_space,
    check_it_survives_a_toml_file,
)


def _sample(space: Space) -> list[Architecture]:
    return space.sample(min(SAMPLE, space.size), np.random.default_rng(0))
