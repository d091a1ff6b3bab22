"""One suite that every registered estimator has to pass."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone

from hytnas_predictors.errors import PredictorError
from hytnas_predictors.estimators import Estimator, estimator_class, list_estimators, make_estimator

pytestmark = pytest.mark.parametrize("name", list_estimators())


def easy_data(n: int = 120, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(seed).integers(0, 4, size=(n, 6)).astype(float)
    return x, 3.0 * x[:, 0] + x[:, 1] * x[:, 2] + 100.0


def fitted(name: str, seed: int = 1, **params: Any) -> Estimator:
    return make_estimator(name, **params).fit(*easy_data(), rng=np.random.default_rng(seed))


def test_shapes_and_types(name: str) -> None:
    mean, std = fitted(name).predict_with_std(easy_data(17, seed=2)[0])
    assert mean.shape == std.shape == (17,)
    assert mean.dtype == std.dtype == np.float64
    assert np.isfinite(mean).all()
    assert (std >= 0).all()
    assert std.max() > 0


def test_the_mean_is_what_predict_gives(name: str) -> None:
    estimator, x = fitted(name), easy_data(9, seed=3)[0]
    np.testing.assert_array_equal(estimator.predict(x), estimator.predict_with_std(x)[0])


def test_no_rows_give_no_predictions(name: str) -> None:
    mean, std = fitted(name).predict_with_std(np.empty((0, 6)))
    assert mean.shape == std.shape == (0,)


def test_equal_generators_give_equal_predictions(name: str) -> None:
    x = easy_data(40, seed=4)[0]
    first, again, other = (fitted(name, seed).predict(x) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_inputs_stay_as_they_are(name: str) -> None:
    x, y = easy_data()
    before = x.copy(), y.copy()
    make_estimator(name).fit(x, y, rng=np.random.default_rng(0)).predict(x)
    np.testing.assert_array_equal(x, before[0])
    np.testing.assert_array_equal(y, before[1])


def test_it_beats_the_mean_by_far(name: str) -> None:
    x, y = easy_data(100, seed=5)
    error = fitted(name).predict(x) - y
    assert np.sqrt(np.mean(error**2)) < 0.5 * y.std()


def test_a_clone_has_the_parameters_and_no_fit(name: str) -> None:
    estimator = fitted(name, members=2)
    copy = clone(estimator)
    assert copy.get_params() == estimator.get_params()
    with pytest.raises(PredictorError, match="not fitted"):
        copy.predict(easy_data()[0])


def test_parameters_can_be_set(name: str) -> None:
    estimator = make_estimator(name)
    estimator.set_params(members=1)  # type: ignore[attr-defined]
    estimator.fit(*easy_data(), rng=np.random.default_rng(0))
    assert estimator.predict_with_std(easy_data(5)[0])[1].tolist() == [0.0] * 5


def test_unknown_parameters_are_refused_with_the_known_ones(name: str) -> None:
    with pytest.raises(PredictorError, match="members"):
        make_estimator(name, depht=3)


def test_saved_and_loaded_predicts_bit_equally(name: str, tmp_path: Path) -> None:
    estimator, x = fitted(name, members=2), easy_data(50, seed=6)[0]
    estimator.save(tmp_path)
    loaded = estimator_class(name).load(tmp_path)
    np.testing.assert_array_equal(loaded.predict_with_std(x), estimator.predict_with_std(x))
    assert loaded.get_params() == estimator.get_params()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_labels_that_are_no_numbers_are_refused(name: str, bad: float) -> None:
    x, y = easy_data()
    y[[3, 7]] = bad
    with pytest.raises(PredictorError, match=r"2 of 120 labels.*row 3.*[Rr]emove"):
        make_estimator(name).fit(x, y, rng=np.random.default_rng(0))


def test_features_that_are_no_numbers_are_refused(name: str) -> None:
    x, y = easy_data()
    estimator = fitted(name)
    x[5, 1] = np.nan
    with pytest.raises(PredictorError, match=r"1 of 120 feature rows.*row 5"):
        make_estimator(name).fit(x, y, rng=np.random.default_rng(0))
    with pytest.raises(PredictorError, match="row 5"):
        estimator.predict(x)


def test_a_wrong_number_of_columns_is_refused(name: str) -> None:
    with pytest.raises(PredictorError, match="5 columns, the estimator was fitted to 6"):
        fitted(name).predict(np.zeros((3, 5)))


def test_rows_and_labels_must_pair(name: str) -> None:
    x, y = easy_data()
    with pytest.raises(PredictorError, match="120 feature rows and 119 labels"):
        make_estimator(name).fit(x, y[:-1], rng=np.random.default_rng(0))


def test_a_constant_target_is_predicted(name: str) -> None:
    x, _ = easy_data(30)
    estimator = make_estimator(name).fit(x, np.full(30, 7.5), rng=np.random.default_rng(0))
    np.testing.assert_allclose(estimator.predict(x), 7.5, rtol=1e-5)


def test_a_constant_column_does_no_harm(name: str) -> None:
    x, y = easy_data()
    x[:, 5] = 1e9
    estimator = make_estimator(name).fit(x, y, rng=np.random.default_rng(0))
    assert np.corrcoef(estimator.predict(x), y)[0, 1] > 0.9


def test_few_rows_are_enough_or_refused(name: str) -> None:
    x, y = easy_data(4)
    assert np.isfinite(make_estimator(name).fit(x, y, rng=np.random.default_rng(0)).predict(x)).all()
    with pytest.raises(PredictorError, match="3 rows are too few"):
        make_estimator(name).fit(x[:3], y[:3], rng=np.random.default_rng(0))


def test_a_missing_folder_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(PredictorError, match="cannot be used"):
        estimator_class(name).load(tmp_path / "none")


def test_a_changed_member_is_refused(name: str, tmp_path: Path) -> None:
    fitted(name, members=1).save(tmp_path)
    member = next(tmp_path.glob("member-0.*"))
    data = bytearray(member.read_bytes())
    data[len(data) // 2] ^= 1
    member.write_bytes(bytes(data))
    with pytest.raises(PredictorError, match="damaged"):
        estimator_class(name).load(tmp_path)


def test_a_truncated_header_is_refused(name: str, tmp_path: Path) -> None:
    fitted(name, members=1).save(tmp_path)
    header = tmp_path / "estimator.json"
    header.write_bytes(header.read_bytes()[:40])
    with pytest.raises(PredictorError, match="not what it should be"):
        estimator_class(name).load(tmp_path)


def test_another_estimators_files_are_refused(name: str, tmp_path: Path) -> None:
    fitted(name, members=1).save(tmp_path)
    header = tmp_path / "estimator.json"
    header.write_text(json.dumps(json.loads(header.read_text()) | {"estimator": "another"}))
    with pytest.raises(PredictorError, match="it is a another"):
        estimator_class(name).load(tmp_path)
