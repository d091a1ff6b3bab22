"""Gradient-boosted trees by XGBoost."""

from pathlib import Path
from typing import Annotated, Any, ClassVar

import msgspec
import numpy as np
import xgboost
from numpy.typing import ArrayLike

from hytnas_predictors.estimators import files, trees
from hytnas_predictors.estimators.base import EnsembleEstimator, Floats


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
        check_model(folder, data, features, self.objective)
        booster = xgboost.Booster({"nthread": 1})
        try:
            booster.load_model(bytearray(data))
        except xgboost.core.XGBoostError as error:
            raise files.unusable(folder, f"XGBoost refuses it ({str(error).splitlines()[0]})") from error
        return booster


class _TreeParam(msgspec.Struct):
    num_nodes: str
    num_feature: str
    size_leaf_vector: str = "1"


class _Tree(msgspec.Struct):
    left_children: list[int]
    right_children: list[int]
    split_indices: list[int]
    split_conditions: list[float]
    split_type: list[int]
    default_left: list[int]
    parents: list[int]
    base_weights: list[float]
    loss_changes: list[float]
    sum_hessian: list[float]
    categories: list[int]
    tree_param: _TreeParam


class _Trees(msgspec.Struct):
    trees: list[_Tree]
    tree_info: list[int]
    iteration_indptr: list[int]


class _Booster(msgspec.Struct):
    name: str
    model: _Trees


class _ModelParam(msgspec.Struct):
    num_class: str
    num_feature: str
    num_target: str


class _Objective(msgspec.Struct):
    name: str


class _Learner(msgspec.Struct):
    gradient_booster: _Booster
    learner_model_param: _ModelParam
    objective: _Objective


class _Model(msgspec.Struct):
    learner: _Learner
    version: Annotated[list[int], msgspec.Meta(min_length=3, max_length=3)]


def check_model(folder: Path, data: bytes, features: int, objective: str) -> None:
    """Refuse a file whose trees would make XGBoost read outside of its arrays or never end.

    XGBoost's reader trusts the node links and feature numbers of a file; here each is checked first.

    Raises
    ------
    PredictorError
        If the JSON is not a plain booster of this objective over ``features`` columns.
    """
    try:
        learner = msgspec.json.decode(data, type=_Model).learner
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise files.unusable(folder, f"a member is no XGBoost model ({error})") from error
    forest, param = learner.gradient_booster.model, learner.learner_model_param
    plain = (
        learner.gradient_booster.name == "gbtree"
        and learner.objective.name == objective
        and (param.num_class, param.num_target, param.num_feature) == ("0", "1", str(features))
        and forest.tree_info == [0] * len(forest.trees)
        and forest.iteration_indptr == list(range(len(forest.trees) + 1))
    )
    if not plain or not all(_is_sound(tree, features) for tree in forest.trees):
        raise files.unusable(folder, "a member's trees are inconsistent")


def _is_sound(tree: _Tree, features: int) -> bool:
    nodes = len(tree.left_children)
    per_node = (
        tree.right_children, tree.split_indices, tree.split_conditions, tree.split_type, tree.default_left,
        tree.parents, tree.base_weights, tree.loss_changes, tree.sum_hessian,
    )  # fmt: skip
    plain = (
        all(len(values) == nodes for values in per_node)
        and tree.tree_param.num_nodes == str(nodes)
        and tree.tree_param.num_feature == str(features)
        and tree.tree_param.size_leaf_vector in {"0", "1"}
        and not tree.categories
        and not any(tree.split_type)
    )
    return plain and trees.links_are_sound(
        np.array(tree.left_children), np.array(tree.right_children), np.array(tree.split_indices), features
    )
