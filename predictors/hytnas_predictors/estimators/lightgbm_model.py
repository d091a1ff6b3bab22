"""LightGBM's model text, read as arrays that are checked, and written anew from them.

LightGBM's reader trusts a file: it follows links, feature numbers and ``tree_sizes`` wherever they lead. So
it never sees the file itself, but a text that is made of numbers that were checked here, and of nothing else.
"""

import re
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hytnas_predictors.estimators import files, trees

END: Final = "end of trees"
PLAIN_HEADER: Final = {
    "version": "v4",
    "num_class": "1",
    "num_tree_per_iteration": "1",
    "label_index": "0",
    "objective": "regression",
}
DECISION_TYPES: Final = (0, 2, 4, 6, 8, 10)
"""Numerical splits, by where missing values go (LightGBM's ``kDefaultLeftMask``, ``missing_type``)."""

_INTEGERS: Final = re.compile(r"-?[0-9]{1,9}(?: -?[0-9]{1,9})*", re.ASCII)
_NUMBER: Final = r"-?[0-9]{1,400}(?:\.[0-9]{1,400})?(?:e[+-]?[0-9]{1,3})?"
_NUMBERS: Final = re.compile(rf"{_NUMBER}(?: {_NUMBER})*", re.ASCII)
"""As C reads them and Python does, too: no `1_000`, no other digits, no white space but a space."""


def checked_model_text(folder: Path, data: bytes, features: int) -> str:
    """The text of a plain regression booster over ``features`` columns, made of what was checked.

    Raises
    ------
    PredictorError
        The file holds something else.
    """
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError as error:
        raise files.unusable(folder, "a member is no LightGBM model") from error
    before, end, _ = text.partition(f"\n{END}\n")
    head, *blocks = before.split("\nTree=")
    header = _pairs(head)
    plain = (
        bool(end)
        and len(blocks) <= trees.MAX_TREES
        and head.startswith("tree\n")
        and all(header.get(key) == value for key, value in PLAIN_HEADER.items())
        and header.get("max_feature_idx") == str(features - 1)
        and len(header.get("feature_names", "").split(" ")) == features
    )
    if not plain:
        raise files.unusable(folder, "a member is no LightGBM regression model of these features")
    try:
        written = [_tree_anew(index, block, features) for index, block in enumerate(blocks)]
    except ValueError as error:
        raise files.unusable(folder, f"a member's trees are inconsistent ({error})") from error
    lines = {
        **PLAIN_HEADER,
        "max_feature_idx": str(features - 1),
        "feature_names": " ".join(f"Column_{index}" for index in range(features)),
        "feature_infos": " ".join(["[0:1]"] * features),
    }
    return f"tree\n{_lines(lines)}\n{''.join(written)}\n{END}\n"


def _lines(pairs: dict[str, str]) -> str:
    return "".join(f"{key}={value}\n" for key, value in pairs.items())


def _pairs(text: str) -> dict[str, str]:
    return {key: value for key, found, value in (line.partition("=") for line in text.split("\n")) if found}


def _tree_anew(index: int, block: str, features: int) -> str:
    """The text of a tree that was checked; raises ValueError for any other."""
    number, _, body = block.partition("\n")
    if number != str(index):
        raise ValueError(f"tree {number[:20]!r} is in the place of {index}")
    tree = _pairs(body)
    (leaves,) = _integers(tree, "num_leaves")
    if leaves < 1 or tree.get("num_cat") != "0" or tree.get("is_linear", "0") != "0":
        raise ValueError("it is no tree of numerical splits")
    values = _numbers(tree, "leaf_value")
    if len(values) != leaves:
        raise ValueError("its leaves are not as many as it says")
    kept = {"num_leaves": str(leaves), "num_cat": "0"}
    if leaves > 1:
        kept |= _splits(tree, int(leaves), features)
    kept |= {"leaf_value": _joined(values), "is_linear": "0", "shrinkage": "1"}
    return f"Tree={index}\n{_lines(kept)}\n"


def _splits(tree: dict[str, str], leaves: int, features: int) -> dict[str, str]:
    names = ("left_child", "right_child", "split_feature", "decision_type")
    left, right, feature, kind = columns = [_integers(tree, name) for name in names]
    threshold = _numbers(tree, "threshold")
    if any(len(column) != leaves - 1 for column in (*columns, threshold)):
        raise ValueError("its splits are not as many as its leaves need")
    if not np.isin(kind, DECISION_TYPES).all():
        raise ValueError("it has splits of another kind")
    if not trees.links_are_sound(*_with_leaves(left, right, feature, leaves), features):
        raise ValueError("its links lead nowhere, or in a circle")
    return {
        "split_feature": _joined(feature),
        "threshold": _joined(threshold),
        "decision_type": _joined(kind),
        "left_child": _joined(left),
        "right_child": _joined(right),
    }


def _integers(tree: dict[str, str], key: str) -> NDArray[np.int64]:
    text = tree.get(key, "")
    if _INTEGERS.fullmatch(text) is None:
        raise ValueError(f"{key} is not of whole numbers")
    return np.array([int(each) for each in text.split(" ")], dtype=np.int64)


def _numbers(tree: dict[str, str], key: str) -> NDArray[np.float64]:
    text = tree.get(key, "")
    found = np.array([float(each) for each in text.split(" ")] if _NUMBERS.fullmatch(text) else [np.nan])
    if not np.isfinite(found).all():
        raise ValueError(f"{key} is not of numbers")
    return found


def _joined(values: NDArray[np.int64] | NDArray[np.float64]) -> str:
    return " ".join(map(repr, values.tolist()))


def _with_leaves(
    left: NDArray[np.int64], right: NDArray[np.int64], feature: NDArray[np.int64], leaves: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """LightGBM numbers leaves apart, as ``~leaf``; number them after the inner nodes instead."""
    inner = leaves - 1
    left, right = (np.where(child < 0, inner + ~child, child) for child in (left, right))
    end = np.full(leaves, -1)
    return np.concatenate([left, end]), np.concatenate([right, end]), np.concatenate([feature, end])
