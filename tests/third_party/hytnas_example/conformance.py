"""How a package runs the conformance suites of what it adds."""

import pytest

import hytnas_agent.runtimes.conformance as runtimes
import hytnas_datasets.families.conformance as families
import hytnas_datasets.spaces.conformance as spaces
import hytnas_host.search.strategies.conformance as strategies
import hytnas_predictors.estimators.conformance as estimators

SUITES = {
    "example-chains": (*spaces.CHECKS, *families.CHECKS),
    "example-onnx": runtimes.CHECKS,
    "example-quadratic": estimators.CHECKS,
    "example-climber": strategies.CHECKS,
}


@pytest.mark.parametrize(("name", "check"), [(name, check) for name in SUITES for check in SUITES[name]])
def test_it_conforms(name, check, tmp_path):
    check(name, tmp_path)
