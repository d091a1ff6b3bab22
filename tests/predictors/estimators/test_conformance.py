"""The bundled estimators run through the suite that ships with the predictors, and it finds what is wrong."""

from pathlib import Path

import numpy as np
import pytest

from hytnas_agent.conformance import SuiteCheck
from hytnas_predictors.estimators import ESTIMATORS, make_estimator
from hytnas_predictors.estimators.conformance import (
    CHECKS,
    FILE_CHECKS,
    MEMBER_CHECKS,
    check_it_beats_the_mean_by_far,
    check_labels_that_are_no_numbers_are_refused,
    check_shapes_and_types,
)
from hytnas_predictors.estimators.mlp import MLP2Estimator

OF_MEMBERS = [name for name in ESTIMATORS.bundled if "members" in make_estimator(name).get_params()]


@pytest.mark.parametrize("check", [*CHECKS, *FILE_CHECKS])
@pytest.mark.parametrize("name", ESTIMATORS.bundled)
def test_it_conforms(check: SuiteCheck, name: str, tmp_path: Path) -> None:
    check(name, tmp_path)


@pytest.mark.parametrize("check", MEMBER_CHECKS)
@pytest.mark.parametrize("name", OF_MEMBERS)
def test_its_members_conform(check: SuiteCheck, name: str, tmp_path: Path) -> None:
    check(name, tmp_path)


class Constant(MLP2Estimator):
    """Predicts a constant, whatever it is given."""

    def fit(self, x, y, *, rng):
        self.mean_ = float(np.mean(y))
        return self

    def predict_with_std(self, x):
        return np.full(len(x), self.mean_), np.zeros(len(x))


def test_an_estimator_that_learns_nothing_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(ESTIMATORS._loaded, "mlp2", Constant)
    check_shapes_and_types("mlp2", tmp_path)
    with pytest.raises(AssertionError, match="the labels' standard deviation"):
        check_it_beats_the_mean_by_far("mlp2", tmp_path)
    with pytest.raises(AssertionError, match=r"2 of 120 labels.* was expected"):
        check_labels_that_are_no_numbers_are_refused("mlp2", tmp_path)
