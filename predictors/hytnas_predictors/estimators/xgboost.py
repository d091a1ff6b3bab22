"""Gradient-boosted trees by XGBoost."""

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import xgboost
from numpy.typing import ArrayLike

from hytnas_predictors.estimators import files
from hytnas_predictors.estimators.base import EnsembleEstimator, Floats
from hytnas_predictors.estimators.xgboost_model import checked_model


class XGBoostEstimator(EnsembleEstimator):
    """Boosted trees of XGBoost on one thread, saved as XGBoost's JSON.

    Parameters
    ----------
    n_estimators, max_depth, learning_rate, subsample, colsample_bytree, min_child_weight, reg_lambda :
        As in XGBoost. Rows and columns are drawn anew for each tree, which is what makes members differ.
    members : int
        Size of the ensemble; 1 is cheapest and gives no standard deviation.
    """

    name = "xgboost"
    suffix = "json"
    objective: ClassVar[str] = "reg:squarederror"

    def __init__(
        self,
        *,
        n_estimators: int = 300,
        max_depth: int = 3,
        learning_rate: float = 0.05,
        subsample: float = 0.8,
        colsample_bytree: float = 0.4,
        min_child_weight: float = 2.0,
        reg_lambda: float = 1.0,
        members: int = 5,
    ) -> None:
        self.n_estimators = n_estimators
        self.max_depth = max_depth
        self.learning_rate = learning_rate
        self.subsample = subsample
        self.colsample_bytree = colsample_bytree
        self.min_child_weight = min_child_weight
        self.reg_lambda = reg_lambda
        self.members = members

    def _fit_member(self, x: Floats, y: Floats, seed: int) -> xgboost.Booster:
        return self._boost(xgboost.DMatrix(x, label=y, nthread=1), seed, {"objective": self.objective})

    def _boost(self, data: xgboost.DMatrix, seed: int, objective: dict[str, Any]) -> xgboost.Booster:
        params = {
            "max_depth": self.max_depth,
            "learning_rate": self.learning_rate,
            "subsample": self.subsample,
            "colsample_bytree": self.colsample_bytree,
            "min_child_weight": self.min_child_weight,
            "reg_lambda": self.reg_lambda,
            "tree_method": "hist",
            "max_bin": 64,
            "nthread": 1,
            "seed": seed,
            "verbosity": 0,
        }
        return xgboost.train(params | objective, data, num_boost_round=self.n_estimators)

    def _predict_member(self, model: xgboost.Booster, x: Floats) -> ArrayLike:
        return np.asarray(model.inplace_predict(x), dtype=np.float64)

    def _dump_member(self, model: xgboost.Booster) -> bytes:
        return bytes(model.save_raw("json"))

    def _load_member(self, folder: Path, data: bytes, features: int) -> xgboost.Booster:
        checked = checked_model(folder, data, features, self.objective)
        booster = xgboost.Booster({"nthread": 1})
        try:
            booster.load_model(bytearray(checked))
        except xgboost.core.XGBoostError as error:
            raise files.unusable(folder, f"XGBoost refuses it ({str(error).splitlines()[0]})") from error
        return booster
