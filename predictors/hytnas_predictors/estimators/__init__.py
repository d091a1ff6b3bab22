"""Regressors behind one interface, bundled and of the entry points ``hytnas.estimators``."""

from typing import Any, Final

from hytnas_agent.registry import Registry
from hytnas_predictors.errors import PredictorError
from hytnas_predictors.estimators.base import Estimator

__all__ = ["ESTIMATORS", "Estimator", "estimator_class", "list_estimators", "make_estimator"]

ESTIMATORS: Final[Registry[type[Estimator]]] = Registry(
    "hytnas.estimators",
    "estimator",
    {
        "xgboost": "hytnas_predictors.estimators.xgboost:XGBoostEstimator",
        "lightgbm": "hytnas_predictors.estimators.lightgbm:LightGBMEstimator",
        "mlp2": "hytnas_predictors.estimators.mlp:MLP2Estimator",
        "mlp3": "hytnas_predictors.estimators.mlp:MLP3Estimator",
        "layerwise": "hytnas_predictors.estimators.layerwise:LayerwiseEstimator",
        "gp": "hytnas_predictors.estimators.process:GaussianProcessEstimator",
        "ridge": "hytnas_predictors.estimators.ridge:RidgeEstimator",
        "random-forest": "hytnas_predictors.estimators.forest:RandomForestEstimator",
        "xgboost-ranker": "hytnas_predictors.estimators.ranker:XGBoostRankerEstimator",
        "ensemble": "hytnas_predictors.estimators.stacked:StackedEstimator",
        "transfer": "hytnas_predictors.estimators.transfer:TransferEstimator",
    },
    error=PredictorError,
    accepts=lambda found: isinstance(found, type) and issubclass(found, Estimator),
)


def list_estimators() -> tuple[str, ...]:
    """Names of the registered estimators, the bundled ones first.

    Examples
    --------
    >>> list_estimators()[:2]
    ('xgboost', 'lightgbm')
    """
    return ESTIMATORS.names()


def estimator_class(name: str) -> type[Estimator]:
    """The class registered under ``name``; raises PredictorError if none is, or it cannot be imported."""
    return ESTIMATORS.get(name)


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
