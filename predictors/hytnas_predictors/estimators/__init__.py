"""Regressors behind one interface: the paper's four, and those of the entry points ``hytnas.estimators``."""

from importlib.metadata import entry_points
from typing import Any

from hytnas_predictors.errors import PredictorError
from hytnas_predictors.estimators.base import Estimator
from hytnas_predictors.estimators.lightgbm import LightGBMEstimator
from hytnas_predictors.estimators.mlp import MLP2Estimator, MLP3Estimator
from hytnas_predictors.estimators.xgboost import XGBoostEstimator

__all__ = ["ENTRY_POINTS", "ESTIMATORS", "Estimator", "estimator_class", "list_estimators", "make_estimator"]

ENTRY_POINTS = "hytnas.estimators"
ESTIMATORS: dict[str, type[Estimator]] = {
    "xgboost": XGBoostEstimator,
    "lightgbm": LightGBMEstimator,
    "mlp2": MLP2Estimator,
    "mlp3": MLP3Estimator,
}


def list_estimators() -> tuple[str, ...]:
    """Names of the registered estimators, the bundled ones first."""
    others = sorted(point.name for point in entry_points(group=ENTRY_POINTS) if point.name not in ESTIMATORS)
    return (*ESTIMATORS, *others)


def estimator_class(name: str) -> type[Estimator]:
    """The class registered under ``name``; raises PredictorError if none is, or it cannot be imported."""
    if name in ESTIMATORS:
        return ESTIMATORS[name]
    for point in entry_points(group=ENTRY_POINTS, name=name):
        try:
            found: type[Estimator] = point.load()
        except (ImportError, AttributeError) as error:
            raise PredictorError(
                f"the estimator {name} ({point.value}) cannot be imported: {error}",
                "Repair or remove the package that brings it.",
            ) from error
        return found
    raise PredictorError(f"unknown estimator {name!r}", f"Choose one of {', '.join(list_estimators())}.")


def make_estimator(name: str, **params: Any) -> Estimator:
    """An unfitted estimator with these parameters; raises PredictorError for unknown names or parameters.

    >>> make_estimator("xgboost", n_estimators=100, members=1).get_params()["n_estimators"]
    100
    """
    kind = estimator_class(name)
    try:
        return kind(**params)
    except TypeError as error:
        known = ", ".join(kind().get_params())
        raise PredictorError(
            f"{name} does not take these parameters: {error}", f"It takes {known}."
        ) from error
