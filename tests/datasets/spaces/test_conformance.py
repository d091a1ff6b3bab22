"""The bundled spaces run through the suite that ships with the data sets, and it finds what is wrong."""

import pytest

from hytnas_datasets.spaces import HYT, registry
from hytnas_datasets.spaces.conformance import CHECKS, check_it_is_known_by_its_name
from hytnas_datasets.spaces.registry import SPACES


@pytest.mark.parametrize("name", SPACES.bundled)
@pytest.mark.parametrize("check", CHECKS)
def test_it_conforms(check, name, tmp_path):
    check(name, tmp_path)


def test_a_space_of_another_name_is_found(monkeypatch, tmp_path):
    monkeypatch.setattr(registry, "_REGISTERED", {"alias": HYT})
    with pytest.raises(AssertionError, match="it calls itself 'hyt'"):
        check_it_is_known_by_its_name("alias", tmp_path)
