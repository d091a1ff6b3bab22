"""The bundled estimators run through the suite that ships with the predictors."""

from pathlib import Path

import pytest

from hytnas_agent.conformance import SuiteCheck
from hytnas_predictors.estimators import ESTIMATORS
from hytnas_predictors.estimators.conformance import CHECKS, ENSEMBLE_CHECKS


@pytest.mark.parametrize("name", ESTIMATORS.bundled)
@pytest.mark.parametrize("check", [*CHECKS, *ENSEMBLE_CHECKS])
def test_it_conforms(check: SuiteCheck, name: str, tmp_path: Path) -> None:
    check(name, tmp_path)
