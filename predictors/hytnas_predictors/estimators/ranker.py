"""The estimator ``xgboost-ranker``: trees that learn which of two rows is greater, mapped to labels."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xgboost
from numpy.typing import ArrayLike
from scipy.stats import rankdata
from sklearn.isotonic import IsotonicRegression

from hytnas_predictors.estimators import files, tensors
from hytnas_predictors.estimators.base import Floats
from hytnas_predictors.estimators.xgboost import XGBoostEstimator

OPTIONS = {"lambdarank_pair_method": "mean", "ndcg_exp_gain": False}


@dataclass(frozen=True)
class RisingMap:
    """From scores to labels: straight between knots, and beyond them as steep as between the outer two.

    Attributes
    ----------
    scores, labels : (k,) float64
        Knots, both rising strictly; one knot alone maps everything to its label.
    """

    scores: Floats
    labels: Floats

    @classmethod
    def fit(cls, scores: Floats, labels: Floats) -> "RisingMap":
        """The isotonic regression of the labels on the scores, with a knot in the middle of each step.

        Examples
        --------
        >>> rising = RisingMap.fit(np.array([0.0, 1.0, 2.0, 3.0]), np.array([10.0, 30.0, 20.0, 40.0]))
        >>> rising(np.array([0.0, 0.75, 1.5, 4.0])).round(2).tolist()
        [10.0, 17.5, 25.0, 50.0]
        """
        steps = IsotonicRegression().fit_transform(scores, labels)
        values, step = np.unique(steps, return_inverse=True)
        middles = np.bincount(step, weights=scores) / np.bincount(step)
        return cls(middles, values)

    def __call__(self, scores: Floats) -> Floats:
        """(n,) labels of (n,) scores; greater scores have greater labels."""
        if len(self.scores) == 1:
            return np.full(len(scores), self.labels[0])
        slope = (self.labels[-1] - self.labels[0]) / (self.scores[-1] - self.scores[0])
        beyond = scores - np.clip(scores, self.scores[0], self.scores[-1])
        return np.asarray(np.interp(scores, self.scores, self.labels) + slope * beyond)


@dataclass(frozen=True)
class Ranker:
    """A member: trees, and the map of their scores."""

    booster: xgboost.Booster
    rising: RisingMap


class XGBoostRankerEstimator(XGBoostEstimator):
    """Boosted trees on pairs of rows (``rank:pairwise``), mapped to the label's scale by isotonic regression.

    It takes the parameters of `XGBoostEstimator`. The standard deviation says how far members disagree.
    """

    name = "xgboost-ranker"
    suffix = "safetensors"
    objective = "rank:pairwise"

    def _fit_member(self, x: Floats, y: Floats, seed: int) -> Any:
        data = xgboost.DMatrix(x, label=rankdata(y, method="dense") - 1, nthread=1)
        data.set_group([len(y)])
        booster = self._boost(data, seed, {"objective": self.objective, **OPTIONS})
        return Ranker(booster, RisingMap.fit(_scores(booster, x), y))

    def _predict_member(self, model: Any, x: Floats) -> ArrayLike:
        labels: Floats = model.rising(_scores(model.booster, x))
        return labels

    def _dump_member(self, model: Any) -> bytes:
        booster = np.frombuffer(super()._dump_member(model.booster), dtype=np.uint8)
        return tensors.dump(
            {"booster": booster, "scores": model.rising.scores, "labels": model.rising.labels}
        )

    def _load_member(self, folder: Path, data: bytes, features: int) -> Any:
        try:
            arrays = tensors.parse(data)
            booster = arrays.pop("booster", np.empty(0))
            knots = len(arrays["scores"]) if "scores" in arrays and arrays["scores"].ndim else 0
            tensors.check_floats(arrays, {"scores": (knots,), "labels": (knots,)})
            if not knots or any(np.any(np.diff(each) <= 0) for each in arrays.values()):
                raise ValueError("its map does not rise")
            if booster.dtype != np.uint8 or booster.ndim != 1:
                raise ValueError("it holds no trees")
        except ValueError as error:
            raise files.unusable(folder, f"a member is no ranker: {error}") from error
        return Ranker(super()._load_member(folder, booster.tobytes(), features), RisingMap(**arrays))


def _scores(booster: xgboost.Booster, x: Floats) -> Floats:
    return np.asarray(booster.inplace_predict(x), dtype=np.float64)
