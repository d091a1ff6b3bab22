"""The bundled families run through the suite that ships with the data sets, and it finds what is wrong."""

import pytest

from hytnas_datasets.families.conformance import (
    CHECKS,
    check_a_network_does_not_depend_on_the_name_of_its_space,
)
from hytnas_datasets.families.hyt import HYT_FAMILY
from hytnas_datasets.plan import build
from hytnas_datasets.spaces import Space, Variable, get_space, register
from hytnas_datasets.spaces.registry import SPACES


@pytest.mark.parametrize("name", [*SPACES.bundled, "conformance-none"])
@pytest.mark.parametrize("check", CHECKS)
def test_it_conforms(check, name, tmp_path):
    register(Space("conformance-none", (Variable("depth", (1, 2, 3)),), family="none"))
    check(name, tmp_path)


def test_a_family_that_looks_at_the_name_is_found(monkeypatch, tmp_path):
    def by_name(architecture, task):
        space = get_space(architecture.space)
        caps = {} if space.name == "hyt" else {"stage5": 4}
        return HYT_FAMILY.build_stages(space.values(architecture), task, caps)

    monkeypatch.setattr(build, "build_stages", by_name)
    with pytest.raises(AssertionError, match="another network in a renamed space"):
        check_a_network_does_not_depend_on_the_name_of_its_space("hyt", tmp_path)
