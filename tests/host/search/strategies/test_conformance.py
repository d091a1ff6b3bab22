"""The bundled strategies run through the suite that ships with the host."""

import pytest

from hytnas_host.search import STRATEGIES
from hytnas_host.search.strategies.conformance import CHECKS


@pytest.mark.parametrize("name", STRATEGIES.bundled)
@pytest.mark.parametrize("check", CHECKS)
def test_it_conforms(check, name, tmp_path):
    check(name, tmp_path)
