"""The estimator ``transfer`` beside the conformance suite: its prior, many rows, and files that mislead."""

import hashlib
import json
import shutil

import numpy as np
import pytest
from sklearn.base import clone

from hytnas_predictors.errors import PredictorError
from hytnas_predictors.estimators import files, make_estimator, tensors
from hytnas_predictors.estimators.layerwise import LayerwiseEstimator
from hytnas_predictors.estimators.transfer import MAX_ROWS, TransferEstimator

COSTS = np.array([1.0, 4.0, 0.5])


def make_work(n, seed=0):
    return np.random.default_rng(seed).lognormal(size=(n, 3)) * 100


@pytest.fixture(scope="module")
def prior():
    work = make_work(60)
    return LayerwiseEstimator().fit(work, np.log(work @ COSTS), rng=np.random.default_rng(0))


@pytest.fixture
def saved_mixture(prior, tmp_path):
    """Of which both parts count."""
    work = make_work(20, seed=5)
    logs = np.log(work @ np.array([4.0, 0.0, 3.0]))
    fitted = TransferEstimator(prior=prior).fit(work, logs, rng=np.random.default_rng(0))
    fitted.save(tmp_path / "mixture")
    again = TransferEstimator.load(tmp_path / "mixture")
    np.testing.assert_array_equal(again.predict_with_std(work), fitted.predict_with_std(work))
    return tmp_path / "mixture"


@pytest.fixture
def saved(prior, tmp_path):
    work = make_work(8, seed=1)
    fitted = TransferEstimator(prior=prior).fit(work, np.log(work @ COSTS), rng=np.random.default_rng(0))
    fitted.save(tmp_path / "saved")
    return tmp_path / "saved"


def test_a_device_that_is_dearer_in_one_kind_is_understood(prior):
    work, new = make_work(12, seed=2), make_work(50, seed=3)
    dearer = 3.0 * COSTS * [1.0, 1.5, 1.0]
    fitted = TransferEstimator(prior=prior).fit(work, np.log(work @ dearer), rng=np.random.default_rng(0))
    np.testing.assert_allclose(np.exp(fitted.predict(new)), new @ dearer, rtol=0.05)


def test_a_clone_keeps_the_fitted_prior(prior):
    copy = clone(TransferEstimator(prior=prior))
    assert copy.prior is prior
    with pytest.raises(PredictorError, match="not fitted"):
        copy.predict(make_work(3))


def test_a_prior_that_is_not_fitted_or_of_other_columns_is_refused(prior):
    work = make_work(8)
    for wrong, x in ((LayerwiseEstimator(), work), (prior, work[:, :2])):
        with pytest.raises(PredictorError, match=r"not a layerwise estimator fitted to [23] columns"):
            TransferEstimator(prior=wrong).fit(x, np.log(work @ COSTS), rng=np.random.default_rng(0))


def test_of_many_labels_it_takes_some(prior):
    work = make_work(MAX_ROWS + 50, seed=4)
    fitted = TransferEstimator(prior=prior).fit(work, np.log(work @ COSTS), rng=np.random.default_rng(0))
    assert len(fitted.model_.correction.rows) == MAX_ROWS


def test_a_prior_that_misleads_is_given_little_weight(prior):
    work, new = make_work(20, seed=5), make_work(50, seed=6)
    other = np.array([4.0, 0.0, 3.0])
    rng = np.random.default_rng(0)
    misled = TransferEstimator(prior=prior).fit(work, np.log(work @ other), rng=rng)
    assert misled.model_.weight < 0.05
    np.testing.assert_allclose(np.exp(misled.predict(new)), new @ other, rtol=0.05)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("weights", np.zeros(3)),
        ("rows", np.zeros((0, 3))),
        ("explained", np.full((13, 13), np.nan)),
        ("noise_variance", np.zeros(1)),
        ("costs", -COSTS),
        ("weight", np.full(1, 2.0)),
    ],
)
def test_arrays_that_mislead_are_refused(saved, name, value):
    member = saved / "member-0.safetensors"
    content = tensors.dump(tensors.parse(member.read_bytes()) | {name: value})
    member.write_bytes(content)
    header = json.loads((saved / files.HEADER).read_text())
    header["members"][0] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (saved / files.HEADER).write_text(json.dumps(header))
    with pytest.raises(PredictorError, match="not those of a transfer"):
        TransferEstimator.load(saved)


def test_a_part_that_is_missing_or_another_is_refused(saved_mixture):
    saved = saved_mixture
    work = make_work(20)[:, :2]
    other = LayerwiseEstimator().fit(work, np.log(work.sum(axis=1)), rng=np.random.default_rng(0))
    other.save(saved / "alone")
    with pytest.raises(PredictorError, match="its parts were fitted to different columns"):
        TransferEstimator.load(saved)
    shutil.rmtree(saved / "alone")
    make_estimator("ridge").fit(work, work[:, 0], rng=np.random.default_rng(0)).save(saved / "alone")
    with pytest.raises(PredictorError, match="it is a ridge, not a layerwise"):
        TransferEstimator.load(saved)
    shutil.rmtree(saved / "alone")
    with pytest.raises(PredictorError, match="cannot be read"):
        TransferEstimator.load(saved)


def test_negative_work_is_refused(prior):
    work = make_work(8)
    fitted = TransferEstimator(prior=prior).fit(work, np.log(work @ COSTS), rng=np.random.default_rng(0))
    with pytest.raises(PredictorError, match="8 of 8 rows of work hold a negative amount"):
        fitted.predict(-work)
