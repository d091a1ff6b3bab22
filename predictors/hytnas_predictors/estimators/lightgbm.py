"""Gradient-boosted trees by LightGBM."""

from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
from numpy.typing import ArrayLike

from hytnas_predictors.estimators import files, trees
from hytnas_predictors.estimators.base import EnsembleEstimator, Floats

END = "end of trees"
HEADER_KEYS = (
    "version", "num_class", "num_tree_per_iteration", "label_index", "max_feature_idx", "objective",
    "feature_names", "feature_infos",
)  # fmt: skip
PLAIN_HEADER = {"version": "v4", "num_class": "1", "num_tree_per_iteration": "1", "objective": "regression"}


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


def checked_model_text(folder: Path, data: bytes, features: int) -> str:
    """The model text, reduced to what prediction needs, after its trees were checked.

    LightGBM's reader trusts the links, feature numbers and ``tree_sizes`` of a file; the first two are
    checked here and the third, an index for reading in parallel, is left out.

    Raises
    ------
    PredictorError
        If the text is not a plain regression booster over ``features`` columns.
    """
    try:
        head, *blocks = data.decode("ascii").split(f"\n{END}")[0].split("\nTree=")
    except UnicodeDecodeError as error:
        raise files.unusable(folder, "a member is no LightGBM model") from error
    header = _pairs(head)
    plain = (
        head.startswith("tree\n")
        and f"\n{END}\n".encode() in data
        and all(key in header for key in HEADER_KEYS)
        and all(header[key].split(" ")[0] == value for key, value in PLAIN_HEADER.items())
        and header["max_feature_idx"] == str(features - 1)
        and len(header["feature_names"].split(" ")) == features
        and len(header["feature_infos"].split(" ")) == features
    )
    if not plain:
        raise files.unusable(folder, "a member is no LightGBM regression model of these features")
    kept = []
    for index, block in enumerate(blocks):
        number, _, body = block.partition("\n")
        if number != str(index) or not _is_sound(_pairs(body), features):
            raise files.unusable(folder, "a member's trees are inconsistent")
        kept.append(f"Tree={index}\n{body.strip()}\n\n")
    lines = "\n".join(f"{key}={header[key]}" for key in HEADER_KEYS)
    return f"tree\n{lines}\n\n{''.join(kept)}\n{END}\n"


def _pairs(text: str) -> dict[str, str]:
    return {key: value for key, found, value in (line.partition("=") for line in text.splitlines()) if found}


def _is_sound(tree: dict[str, str], features: int) -> bool:
    try:
        leaves = int(tree["num_leaves"])
        values = [float(value) for value in tree["leaf_value"].split()]
        if leaves < 1 or len(values) != leaves or tree["num_cat"] != "0" or tree.get("is_linear", "0") != "0":
            return False
        if leaves == 1:
            return True
        left, right, feature, kind = (
            np.array([int(value) for value in tree[key].split()], dtype=np.int64)
            for key in ("left_child", "right_child", "split_feature", "decision_type")
        )
        thresholds = [float(value) for value in tree["threshold"].split()]
    except (KeyError, ValueError, OverflowError):
        return False
    if any(len(column) != leaves - 1 for column in (left, right, feature, kind, thresholds)):
        return False
    if np.any(kind & 1):
        return False
    return trees.links_are_sound(*_with_leaves(left, right, feature, leaves), features)


def _with_leaves(
    left: np.ndarray, right: np.ndarray, feature: np.ndarray, leaves: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """LightGBM numbers leaves apart, as ``~leaf``; number them after the inner nodes instead."""
    inner = leaves - 1
    left, right = (np.where(child < 0, inner + ~child, child) for child in (left, right))
    end = np.full(leaves, -1)
    return np.concatenate([left, end]), np.concatenate([right, end]), np.concatenate([feature, end])
