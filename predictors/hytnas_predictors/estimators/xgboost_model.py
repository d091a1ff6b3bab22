"""XGBoost's JSON, read as arrays that are checked, and written anew from them.

XGBoost's reader trusts a file: it follows links and feature numbers wherever they lead. So it never sees the
file itself, but a text that is made of numbers that were checked here, and of nothing else.
"""

import re
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from hytnas_predictors.estimators import files, trees

ROOT: Final = 2**31 - 1
"""What XGBoost says is the parent of a root."""

MAX_FLOAT: Final = float(np.finfo(np.float32).max)
"""XGBoost reckons in single precision."""

_BASE_SCORE: Final = re.compile(r"\[?(-?[0-9]{1,20}(?:\.[0-9]{1,20})?(?:E-?[0-9]{1,2})?)\]?", re.ASCII)

_OBJECTIVES: Final[dict[str, dict[str, Any]]] = {
    "reg:squarederror": {"reg_loss_param": {"scale_pos_weight": "1"}},
    "rank:pairwise": {"lambdarank_param": {}},
}
"""Their parameters say how a model is fitted, and nothing of what it predicts."""

Index = Annotated[int, msgspec.Meta(ge=-1, le=ROOT)]
Version = Annotated[int, msgspec.Meta(ge=0, le=1000)]


class _TreeParam(msgspec.Struct):
    num_nodes: str
    num_feature: str
    num_deleted: str = "0"
    size_leaf_vector: str = "1"


class _Tree(msgspec.Struct):
    left_children: list[Index]
    right_children: list[Index]
    split_indices: list[Index]
    split_conditions: list[float]
    split_type: list[Index]
    default_left: list[Index]
    parents: list[Index]
    base_weights: list[float]
    loss_changes: list[float]
    sum_hessian: list[float]
    tree_param: _TreeParam
    id: int
    categories: list[int] = []
    categories_nodes: list[int] = []
    categories_segments: list[int] = []
    categories_sizes: list[int] = []


class _Trees(msgspec.Struct):
    trees: list[_Tree]
    tree_info: list[int]
    iteration_indptr: list[int]


class _Booster(msgspec.Struct):
    name: str
    model: _Trees


class _ModelParam(msgspec.Struct):
    base_score: str
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
    version: Annotated[list[Version], msgspec.Meta(min_length=3, max_length=3)]


def checked_model(folder: Path, data: bytes, features: int, objective: str) -> bytes:
    """The JSON of a plain booster of ``objective`` over ``features`` columns, made of what was checked.

    Raises
    ------
    PredictorError
        The file holds something else.
    """
    try:
        model = msgspec.json.decode(data, type=_Model)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise files.unusable(folder, f"a member is no XGBoost model ({error})") from error
    learner = model.learner
    forest, param = learner.gradient_booster.model, learner.learner_model_param
    count = len(forest.trees)
    plain = (
        learner.gradient_booster.name == "gbtree"
        and count <= trees.MAX_TREES
        and learner.objective.name == objective
        and (param.num_class, param.num_target, param.num_feature) == ("0", "1", str(features))
        and _is_score(param.base_score)
        and forest.tree_info == [0] * count
        and forest.iteration_indptr == list(range(count + 1))
        and [tree.id for tree in forest.trees] == list(range(count))
    )
    if not plain or not all(_is_sound(tree, features) for tree in forest.trees):
        raise files.unusable(folder, "a member's trees are inconsistent")
    return msgspec.json.encode(_anew(model, features))


def _is_score(text: str) -> bool:
    found = _BASE_SCORE.fullmatch(text)
    return found is not None and abs(float(found[1])) <= MAX_FLOAT


def _is_sound(tree: _Tree, features: int) -> bool:
    nodes, param = len(tree.left_children), tree.tree_param
    per_node = (
        tree.right_children, tree.split_indices, tree.split_conditions, tree.split_type, tree.default_left,
        tree.parents, tree.base_weights, tree.loss_changes, tree.sum_hessian,
    )  # fmt: skip
    plain = (
        all(len(values) == nodes for values in per_node)
        and (param.num_nodes, param.num_feature, param.num_deleted) == (str(nodes), str(features), "0")
        and param.size_leaf_vector in {"0", "1"}
        and not any((tree.categories, tree.categories_nodes, tree.categories_segments, tree.categories_sizes))
        and not any(tree.split_type)
        and set(tree.default_left) <= {0, 1}
        and all(np.all(np.abs(values) <= MAX_FLOAT) for values in (tree.split_conditions, tree.base_weights))
    )
    if not plain:
        return False
    left, right = np.array(tree.left_children), np.array(tree.right_children)
    sound = trees.links_are_sound(left, right, np.array(tree.split_indices), features)
    return sound and bool(np.array_equal(_parents(left, right), tree.parents))


def _parents(left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.int64]:
    """(k,) the parent of each node by the links down."""
    parents = np.full(len(left), ROOT)
    inner = np.flatnonzero(left >= 0)
    parents[left[inner]] = parents[right[inner]] = inner
    return parents


def _anew(model: _Model, features: int) -> dict[str, Any]:
    learner = model.learner
    forest = learner.gradient_booster.model
    name = learner.objective.name
    return {
        "learner": {
            "attributes": {},
            "feature_names": [],
            "feature_types": [],
            "gradient_booster": {
                "model": {
                    "cats": {"enc": [], "feature_segments": [], "sorted_idx": []},
                    "gbtree_model_param": {"num_parallel_tree": "1", "num_trees": str(len(forest.trees))},
                    "iteration_indptr": forest.iteration_indptr,
                    "tree_info": forest.tree_info,
                    "trees": forest.trees,
                },
                "name": "gbtree",
            },
            "learner_model_param": {
                "base_score": learner.learner_model_param.base_score,
                "boost_from_average": "1",
                "num_class": "0",
                "num_feature": str(features),
                "num_target": "1",
            },
            "objective": {"name": name, **_OBJECTIVES[name]},
        },
        "version": model.version,
    }
