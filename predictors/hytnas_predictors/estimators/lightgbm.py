"""Gradient-boosted trees by LightGBM."""

from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
from numpy.typing import ArrayLike

from hytnas_predictors.estimators import files
from hytnas_predictors.estimators.base import EnsembleEstimator, Floats
from hytnas_predictors.estimators.lightgbm_model import checked_model_text


class LightGBMEstimator(EnsembleEstimator):
    """Boosted trees of LightGBM on one thread, saved as LightGBM's text.

    Parameters
    ----------
    n_estimators, learning_rate, num_leaves, min_child_samples, subsample, colsample_bytree, reg_lambda :
        As in LightGBM. Rows and columns are drawn anew for each tree, which is what makes members differ.
    members : int
        Size of the ensemble; 1 is cheapest and gives no standard deviation.
    """

    name = "lightgbm"
    suffix = "txt"

    def __init__(
        self,
        *,
        n_estimators: int = 150,
        learning_rate: float = 0.08,
        num_leaves: int = 8,
        min_child_samples: int = 5,
        subsample: float = 0.8,
        colsample_bytree: float = 0.4,
        reg_lambda: float = 1.0,
        members: int = 5,
    ) -> None:
        self.n_estimators = n_estimators
        self.learning_rate = learning_rate
        self.num_leaves = num_leaves
        self.min_child_samples = min_child_samples
        self.subsample = subsample
        self.colsample_bytree = colsample_bytree
        self.reg_lambda = reg_lambda
        self.members = members

    def _fit_member(self, x: Floats, y: Floats, seed: int) -> lightgbm.Booster:
        params: dict[str, Any] = {
            "objective": "regression",
            "learning_rate": self.learning_rate,
            "num_leaves": self.num_leaves,
            "min_data_in_leaf": self.min_child_samples,
            "min_data_in_bin": 1,
            "max_bin": 63,
            "bagging_fraction": self.subsample,
            "bagging_freq": 1,
            "feature_fraction": self.colsample_bytree,
            "lambda_l2": self.reg_lambda,
            "num_threads": 1,
            "deterministic": True,
            "force_col_wise": True,
            "seed": seed,
            "verbosity": -1,
        }
        data = lightgbm.Dataset(x, label=y, params=params)
        return lightgbm.train(params, data, num_boost_round=self.n_estimators)

    def _predict_member(self, model: lightgbm.Booster, x: Floats) -> ArrayLike:
        return np.asarray(model.predict(x, num_threads=1), dtype=np.float64)

    def _dump_member(self, model: lightgbm.Booster) -> bytes:
        text: str = model.model_to_string(num_iteration=-1)
        return text.encode()

    def _load_member(self, folder: Path, data: bytes, features: int) -> lightgbm.Booster:
        text = checked_model_text(folder, data, features)
        try:
            return lightgbm.Booster(model_str=text)
        except lightgbm.basic.LightGBMError as error:
            raise files.unusable(folder, f"LightGBM refuses it ({error})") from error
