"""The layer-wise estimator: what it learns of few labels, where it holds, and what it says of itself."""

import numpy as np
import pytest

from hytnas_datasets.bundled import load
from hytnas_datasets.work import WORK_COLUMNS
from hytnas_predictors.errors import PredictorError
from hytnas_predictors.estimators import files, make_estimator, tensors
from hytnas_predictors.estimators.layer_costs import fit_costs, left_out_residuals
from hytnas_predictors.estimators.layerwise import LayerwiseEstimator
from hytnas_predictors.features import make_features
from hytnas_predictors.leaderboard.validation import grouped_folds
from hytnas_predictors.metrics import kendall_tau, mape

NOMINAL = 1.645


@pytest.fixture(scope="module")
def counted():
    """(430, c) work and (430,) labels of the bundled set."""
    labels = load("hyt-icount-a53")
    work = make_features(labels.space, labels.architectures, labels.context.task, ["work"]).x
    return work, labels.y


def fitted(work, y, seed=0):
    return make_estimator("layerwise").fit(work, np.log(y), rng=np.random.default_rng(seed))


def scores(estimator, work, y):
    """Kendall's tau, mean relative error and share inside the nominal 90 % interval."""
    mean, std = estimator.predict_with_std(work)
    inside = np.abs(np.log(y) - mean) < NOMINAL * std
    return kendall_tau(y, mean), mape(y, np.exp(mean)), inside.mean()


@pytest.mark.parametrize(("n", "least_tau", "most_error"), [(20, 0.96, 0.03), (80, 0.98, 0.015)])
def test_few_labels_are_enough(counted, n, least_tau, most_error):
    work, y = counted
    found = []
    for seed in range(4):
        order = np.random.default_rng(seed).permutation(len(y))
        found.append(scores(fitted(work[order[:n]], y[order[:n]]), work[order[200:]], y[order[200:]]))
    tau, error, inside = np.mean(found, axis=0)
    assert tau >= least_tau
    assert error <= most_error
    assert 0.85 <= inside <= 0.99


@pytest.mark.parametrize("direction", [1, -1])
def test_it_holds_beyond_its_training_range(counted, direction):
    work, y = counted
    order = np.argsort(direction * y)
    tenth, rest = order[:43], order[43:]
    found = []
    for seed in range(3):
        some = np.random.default_rng(seed).permutation(rest)[:80]
        found.append(scores(fitted(work[some], y[some]), work[tenth], y[tenth]))
    tau, error, inside = np.mean(found, axis=0)
    assert tau >= 0.93
    assert error <= 0.02
    assert inside >= 0.7


def test_its_intervals_hold_as_often_as_they_say(counted):
    work, y = counted
    order = np.random.default_rng(0).permutation(len(y))[:100]
    folds = grouped_folds(np.arange(100), 5, 2, 0)
    inside = []
    for fold in (row == k for row in folds for k in range(5)):
        train, new = order[~fold], order[fold]
        inside.append(scores(fitted(work[train], y[train]), work[new], y[new])[2])
    assert 0.85 <= np.mean(inside) <= 0.95


def test_costs_are_found_again(counted):
    work, _ = counted
    costs = np.zeros(len(WORK_COLUMNS))
    costs[[WORK_COLUMNS.index(name) for name in ("pointwise macs", "depthwise read", "silu written")]] = (
        2,
        30,
        5,
    )
    estimator = fitted(work[:60], work[:60] @ costs)
    found, (low, high) = estimator.unit_costs()
    for name in ("pointwise macs", "depthwise read", "silu written"):
        position = WORK_COLUMNS.index(name)
        assert found[position] == pytest.approx(costs[position], rel=0.05)
        assert low[position] <= found[position] <= high[position]
    assert (found >= 0).all()


def test_no_cost_is_negative_where_least_squares_would_make_it_so():
    work = np.array([[1.0, 1.0], [2.0, 1.0], [3.0, 1.0], [4.0, 1.0]])
    costs = fit_costs(work, np.array([1.0, 3.0, 5.0, 7.0]), ridge=0.0)
    assert costs[0] > 0
    assert costs[1] == 0


def test_left_out_residuals_are_larger_than_those_of_the_fit(counted):
    work, y = counted
    work, y = work[:15], y[:15]
    costs = fit_costs(work, y, ridge=0.0)
    left = left_out_residuals(work, y, ridge=0.0, folds=10, rng=np.random.default_rng(0))
    assert np.abs(left).mean() > 2 * np.abs(np.log(y / (work @ costs))).mean()


def test_work_that_was_never_seen_is_flagged_and_what_was_is_not(counted):
    work, y = counted
    estimator = fitted(work[:60], y[:60])
    other = work[100:110].copy()
    assert not estimator.predict_with_range(other)[2].any()
    other[:3, WORK_COLUMNS.index("window_pool written")] = 1e5
    assert estimator.predict_with_range(other)[2].tolist() == [True] * 3 + [False] * 7


def test_negative_work_is_refused(counted):
    work, y = counted
    wrong = work[:20].copy()
    wrong[4, 0] = -1
    with pytest.raises(PredictorError, match=r"1 of 20 rows of work.*row 4.*feature set work"):
        fitted(wrong, y[:20])
    with pytest.raises(PredictorError, match="row 4"):
        fitted(work[:20], y[:20]).predict(wrong)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("costs", lambda array: -array - 1, "a cost is negative"),
        ("costs", lambda array: array[:-1], "costs has shape"),
        ("resampled", lambda array: array[:0], "a cost is negative"),
        ("scalars", lambda array: array * np.nan, "NaN"),
        ("seen", lambda array: array.astype(np.float32), "float32"),
        ("process.factor", lambda array: -array, "not positive"),
    ],
)
def test_tampered_files_are_refused(counted, tmp_path, name, change, message):
    work, y = counted
    fitted(work[:20], y[:20]).save(tmp_path)
    header, (content,) = files.read(tmp_path, "layerwise", "safetensors")
    arrays = tensors.parse(content)
    arrays[name] = change(arrays[name])
    changed = tensors.dump(arrays)
    vouched = files.make_header("layerwise", header.params, header.features, [changed])
    files.write(tmp_path, vouched, "safetensors", [changed])
    with pytest.raises(PredictorError, match=message):
        LayerwiseEstimator.load(tmp_path)


def test_a_row_that_alone_has_some_work_leaves_nothing_over():
    rng = np.random.default_rng(0)
    work = np.column_stack([rng.uniform(1, 10, (30, 2)), np.zeros(30)])
    work[7, 2] = 4.0
    labels = work @ [1.0, 0.5, 2.0]
    residuals = left_out_residuals(work, labels, ridge=1e-6, folds=10, rng=rng)
    np.testing.assert_allclose(residuals, 0, atol=1e-6)
