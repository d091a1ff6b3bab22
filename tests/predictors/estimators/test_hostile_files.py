"""Files whose hashes are right but whose contents are made to mislead a native reader."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hytnas_predictors.errors import PredictorError
from hytnas_predictors.estimators import estimator_class, files, make_estimator, tensors
from hytnas_predictors.estimators.trees import links_are_sound


def save_with(name: str, folder: Path, change: Callable[[bytes], bytes], **params: object) -> None:
    """Save a small estimator whose first member was changed, with size and hash to match."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 4, size=(60, 3)).astype(float)
    make_estimator(name, **params).fit(x, x[:, 0] + x[:, 1] ** 2, rng=rng).save(folder)
    member = next(folder.glob("member-0.*"))
    before = member.read_bytes()
    after = change(before)
    assert after != before
    member.write_bytes(after)
    header = json.loads((folder / files.HEADER).read_text())
    header["members"][0] = {"bytes": len(after), "sha256": hashlib.sha256(after).hexdigest()}
    (folder / files.HEADER).write_text(json.dumps(header))


def in_first_tree(key: str, index: int | None, value: object) -> Callable[[bytes], bytes]:
    """Change one entry of an array of the first tree, or what the key holds, in XGBoost's JSON."""

    def change(data: bytes) -> bytes:
        model = json.loads(data)
        tree = model["learner"]["gradient_booster"]["model"]["trees"][0]
        if index is None:
            tree[key] = value
        else:
            tree[key][index] = value
        return json.dumps(model).encode()

    return change


def in_lightgbm(key: str, value: str) -> Callable[[bytes], bytes]:
    """Change the first number of the first line with this key, in LightGBM's text."""

    def change(data: bytes) -> bytes:
        head, mark, tail = data.partition(f"\n{key}=".encode())
        assert mark
        line, _, rest = tail.partition(b"\n")
        numbers = [value.encode(), *line.split(b" ")[1:]]
        return head + mark + b" ".join(numbers) + b"\n" + rest

    return change


def with_arrays(**changed: object) -> Callable[[bytes], bytes]:
    """Replace arrays of a safetensors file, or change them where a function is given."""

    def change(data: bytes) -> bytes:
        arrays = tensors.parse(data)
        for name, value in changed.items():
            arrays[name] = np.asarray(value(arrays[name]) if callable(value) else value)
        return tensors.dump(arrays)

    return change


def put(index: int, value: float) -> Callable[[np.ndarray], np.ndarray]:
    """Change one entry of an array."""

    def change(array: np.ndarray) -> np.ndarray:
        array[index] = value
        return array

    return change


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(in_first_tree("left_children", 0, 10_000_000), id="child outside"),
        pytest.param(in_first_tree("left_children", 0, 0), id="circle"),
        pytest.param(in_first_tree("right_children", 0, -1), id="half a leaf"),
        pytest.param(in_first_tree("split_indices", 0, 99_999), id="feature outside"),
        pytest.param(in_first_tree("split_type", 0, 1), id="categories"),
        pytest.param(in_first_tree("categories_sizes", None, [1]), id="sizes of categories"),
        pytest.param(in_first_tree("categories_nodes", None, [10**6]), id="nodes of categories"),
        pytest.param(in_first_tree("parents", 1, 10**6), id="parent outside"),
        pytest.param(in_first_tree("parents", 1, 2**31 - 1), id="two roots"),
        pytest.param(in_first_tree("left_children", 0, 2**32 + 1), id="child that wraps"),
        pytest.param(in_first_tree("id", None, 1), id="two trees of a number"),
        pytest.param(in_first_tree("default_left", 0, 7), id="neither left nor right"),
        pytest.param(in_first_tree("split_conditions", 0, 1e300), id="beyond single precision"),
        pytest.param(lambda data: data.replace(b'"num_nodes":"', b'"num_nodes":"0'), id="octal"),
        pytest.param(lambda data: data.replace(b'"num_deleted":"0"', b'"num_deleted":"9"'), id="deleted"),
        pytest.param(lambda data: data.replace(b'"base_score":"', b'"base_score":"1_0'), id="score"),
        pytest.param(lambda data: data.replace(b'"num_feature":"3"', b'"num_feature":"9"'), id="features"),
        pytest.param(lambda data: data.replace(b'"gbtree"', b'"dart"'), id="another booster"),
        pytest.param(lambda data: data[:-20], id="cut off"),
        pytest.param(lambda _: b"[" * 100_000, id="deep nesting"),
        pytest.param(lambda _: b"", id="empty"),
    ],
)
def test_xgboost_trees_that_mislead_are_refused(change: Callable[[bytes], bytes], tmp_path: Path) -> None:
    save_with("xgboost", tmp_path, change, members=1)
    with pytest.raises(PredictorError, match="cannot be used"):
        estimator_class("xgboost").load(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(in_lightgbm("left_child", "10000000"), id="child outside"),
        pytest.param(in_lightgbm("left_child", "-5000"), id="leaf outside"),
        pytest.param(in_lightgbm("left_child", "0"), id="circle"),
        pytest.param(in_lightgbm("split_feature", "99999"), id="feature outside"),
        pytest.param(in_lightgbm("num_leaves", "1000000000"), id="leaves"),
        pytest.param(in_lightgbm("decision_type", "1"), id="categories"),
        pytest.param(in_lightgbm("decision_type", "256"), id="kind that wraps"),
        pytest.param(in_lightgbm("num_leaves", "0_8"), id="number that C reads otherwise"),
        pytest.param(in_lightgbm("left_child", "+1"), id="sign that C reads otherwise"),
        pytest.param(in_lightgbm("threshold", "0x1p3"), id="hexadecimal"),
        pytest.param(in_lightgbm("threshold", "nan"), id="not a number"),
        pytest.param(in_lightgbm("leaf_value", "1e999"), id="infinite"),
        pytest.param(in_lightgbm("split_feature", "0\x0bsplit_feature=9"), id="white space as a line"),
        pytest.param(in_lightgbm("Tree", "1"), id="number of a tree"),
        pytest.param(in_lightgbm("max_feature_idx", "7"), id="features"),
        pytest.param(lambda data: data.replace(b"is_linear=0", b"is_linear=1"), id="linear trees"),
        pytest.param(lambda data: data[: len(data) // 3], id="cut off"),
        pytest.param(lambda _: b"\xff\xfe", id="no text"),
        pytest.param(lambda _: b"", id="empty"),
    ],
)
def test_lightgbm_trees_that_mislead_are_refused(change: Callable[[bytes], bytes], tmp_path: Path) -> None:
    save_with("lightgbm", tmp_path, change, members=1)
    with pytest.raises(PredictorError, match="cannot be used"):
        estimator_class("lightgbm").load(tmp_path)


def test_a_lying_index_of_lightgbm_is_not_followed(tmp_path: Path) -> None:
    save_with("lightgbm", tmp_path, in_lightgbm("tree_sizes", "1000000000000"), members=1)
    loaded = estimator_class("lightgbm").load(tmp_path)
    assert np.isfinite(loaded.predict(np.zeros((2, 3)))).all()


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda data: data[:-8], id="cut off"),
        pytest.param(lambda data: b"\xff" * 8 + data[8:], id="huge header"),
        pytest.param(lambda data: data.replace(b"weight_0", b"weight_9"), id="another name"),
        pytest.param(lambda data: data[:-8] + np.array([np.nan]).tobytes(), id="not a number"),
        pytest.param(with_arrays(weight_0=put((0, 0, 0), 1e300)), id="too large"),
        pytest.param(lambda _: b"", id="empty"),
    ],
)
def test_weights_that_mislead_are_refused(change: Callable[[bytes], bytes], tmp_path: Path) -> None:
    save_with("mlp2", tmp_path, change, members=1)
    with pytest.raises(PredictorError, match="cannot be used"):
        estimator_class("mlp2").load(tmp_path)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        pytest.param("gp", with_arrays(noise=[-1.0]), id="gp: noise"),
        pytest.param("gp", with_arrays(alpha=put(0, np.nan)), id="gp: not a number"),
        pytest.param("ridge", with_arrays(covariance=np.eye(4)), id="ridge: columns"),
        pytest.param("ridge", with_arrays(covariance=put((0, 1), 9.0)), id="ridge: covariance"),
        pytest.param("ridge", with_arrays(x_scale=put(0, 0.0)), id="ridge: scale"),
        pytest.param("random-forest", with_arrays(left=put(0, 0)), id="forest: circle"),
        pytest.param("random-forest", with_arrays(right=put(0, 10**7)), id="forest: child outside"),
        pytest.param("random-forest", with_arrays(feature=put(0, 3)), id="forest: feature outside"),
        pytest.param("random-forest", with_arrays(first=put(1, 10**7)), id="forest: tree outside"),
        pytest.param("random-forest", with_arrays(first=lambda first: first[:-1]), id="forest: half"),
        pytest.param("random-forest", with_arrays(value=put(0, np.inf)), id="forest: infinite"),
        pytest.param("random-forest", with_arrays(left=lambda left: left.astype(float)), id="forest: type"),
        pytest.param("random-forest", with_arrays(value=lambda value: value[:-1]), id="forest: lengths"),
        pytest.param("ensemble", with_arrays(weights=[2.0, -1.0]), id="ensemble: negative"),
        pytest.param("ensemble", with_arrays(weights=[0.5, 0.0]), id="ensemble: sum"),
        pytest.param("ensemble", with_arrays(weights=[1.0]), id="ensemble: number"),
        pytest.param("xgboost-ranker", with_arrays(scores=[1.0, 0.0], labels=[0.0, 1.0]), id="ranker: map"),
        pytest.param("xgboost-ranker", with_arrays(scores=[], labels=[]), id="ranker: no map"),
        pytest.param("xgboost-ranker", with_arrays(booster=np.zeros(9)), id="ranker: no trees"),
        pytest.param("xgboost-ranker", with_arrays(booster=np.zeros(9, np.uint8)), id="ranker: zeros"),
    ],
)
def test_arrays_that_mislead_are_refused(name: str, change: Callable[[bytes], bytes], tmp_path: Path) -> None:
    small = {"ensemble": {"estimators": ("gp", "ridge")}, "xgboost-ranker": {"members": 1}}
    save_with(name, tmp_path, change, **small.get(name, {}))
    with pytest.raises(PredictorError, match="cannot be used"):
        estimator_class(name).load(tmp_path)


@pytest.mark.parametrize(
    ("field", "value"),
    [("format", 99), ("params", {"depth": 1}), ("members", []), ("features", 0), ("extra", 1)],
)
def test_headers_that_mislead_are_refused(field: str, value: object, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    make_estimator("mlp2", members=1).fit(rng.normal(size=(9, 2)), rng.normal(size=9), rng=rng).save(tmp_path)
    header = tmp_path / files.HEADER
    header.write_text(json.dumps(json.loads(header.read_text()) | {field: value}))
    with pytest.raises(PredictorError, match="cannot be used"):
        estimator_class("mlp2").load(tmp_path)


def test_files_beyond_the_limit_are_not_read(tmp_path: Path) -> None:
    with (tmp_path / files.HEADER).open("wb") as file:
        file.truncate(files.HEADER_LIMIT_BYTES + 1)
    with pytest.raises(PredictorError, match="larger than"):
        estimator_class("mlp2").load(tmp_path)


def test_sound_links_pass_and_unsound_ones_do_not() -> None:
    left, right, feature = np.array([1, 3, -1, -1, -1]), np.array([2, 4, -1, -1, -1]), np.zeros(5, dtype=int)
    assert links_are_sound(left, right, feature, 1)
    assert not links_are_sound(left, np.array([1, 4, -1, -1, -1]), feature, 1)
    assert not links_are_sound(left, right, feature, 0)
    assert not links_are_sound(left[:0], right[:0], feature[:0], 1)
    assert not links_are_sound(np.full(2, -1), np.full(2, -1), feature[:2], 1), "a node that nothing leads to"


def test_a_tree_too_deep_for_a_stack_is_refused() -> None:
    inner = np.arange(5000)
    left = np.concatenate([np.append(inner[1:], 5000), np.full(5001, -1)])
    right = np.concatenate([inner + 5001, np.full(5001, -1)])
    assert not links_are_sound(left, right, np.zeros(10001, dtype=int), 1)


def test_a_pipe_is_no_file_of_an_estimator(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / files.HEADER)
    with pytest.raises(PredictorError, match="no regular file"):
        estimator_class("mlp2").load(tmp_path)
