import math

import pytest

from hytnas_datasets.errors import DataSetError
from hytnas_datasets.targets import TARGETS, get_target


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_says_what_everything_else_needs(name: str) -> None:
    target = get_target(name)
    assert target.name == name
    assert target.words
    assert target.collect.startswith("hytnas-profile collect ")
    assert 1.0 in target.units.values()
    assert target.display.factor > 0
    assert not target.is_valid(math.nan)
    assert not target.is_valid(math.inf)
    assert not target.is_valid(-1.0)
    assert target.is_valid(0.5)
    assert target.is_valid(0.0) == (target.scale == "identity")


def test_names_and_aliases_are_unambiguous() -> None:
    said = [name for target in TARGETS.values() for name in (target.name, *target.aliases)]
    assert len(set(said)) == len(said)


def test_an_accuracy_is_a_fraction() -> None:
    assert get_target("accuracy").is_valid(1.0)
    assert not get_target("accuracy").is_valid(1.01)


def test_an_unknown_target_is_refused_with_the_known_ones() -> None:
    with pytest.raises(DataSetError, match="there is no target 'latency'") as refused:
        get_target("latency")
    assert all(name in str(refused.value) for name in TARGETS)
