"""The bundled spaces run through the suite that ships with the data sets."""

import pytest

from hytnas_datasets.spaces.conformance import CHECKS
from hytnas_datasets.spaces.registry import SPACES


@pytest.mark.parametrize("name", SPACES.bundled)
@pytest.mark.parametrize("check", CHECKS)
def test_it_conforms(check, name, tmp_path):
    check(name, tmp_path)
