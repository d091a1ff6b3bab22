import json
from pathlib import Path

import numpy as np
import pytest

from hytnas_predictors.errors import PredictorError
from hytnas_predictors.estimators import estimator_class, files, make_estimator
from hytnas_predictors.estimators.stacked import StackedEstimator, mix, weigh

TWO = ("gp", "ridge")


def line(n: int, seed: int = 0, noise: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3))
    return x, 10.0 + x @ [3.0, 1.0, 0.0] + noise * rng.normal(size=n)


def fitted(*names: str, rows: int = 40) -> StackedEstimator:
    ensemble = make_estimator("ensemble", estimators=names)
    return ensemble.fit(*line(rows), rng=np.random.default_rng(0))  # type: ignore[return-value]


def test_weights_are_those_of_least_error() -> None:
    """Held against the closed form for two, where it lies inside."""
    errors = np.random.default_rng(0).normal(size=(2, 500)) * [[1.0], [2.0]]
    weights = weigh(errors)
    a, b, both = (errors[0] ** 2).mean(), (errors[1] ** 2).mean(), (errors[0] * errors[1]).mean()
    np.testing.assert_allclose(
        weights, [(b - both) / (a + b - 2 * both), (a - both) / (a + b - 2 * both)], 1e-4
    )


def test_weights_are_never_negative_and_sum_to_1() -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        weights = weigh(rng.normal(size=(4, 12)) + rng.normal(size=12))
        assert np.all(weights >= 0)
        assert weights.sum() == pytest.approx(1.0, abs=1e-12)


def test_what_is_useless_gets_no_weight() -> None:
    right = np.full(50, 0.1) * np.random.default_rng(0).choice([-1, 1], 50)
    assert weigh(np.stack([right, right * 20])).tolist() == pytest.approx([1.0, 0.0], abs=1e-6)


def test_a_mixture_has_the_moments_of_its_draws() -> None:
    rng = np.random.default_rng(0)
    draws = np.concatenate([rng.normal(1.0, 2.0, 300_000), rng.normal(5.0, 1.0, 700_000)])
    mean, std = mix(np.array([[1.0], [5.0]]), np.array([[2.0], [1.0]]), np.array([0.3, 0.7]))
    assert (mean[0], std[0]) == pytest.approx((draws.mean(), draws.std()), rel=0.01)


def test_a_nominal_90_percent_interval_holds() -> None:
    ensemble = fitted(*TWO, rows=80)
    x, y = line(500, seed=1)
    mean, std = ensemble.predict_with_std(x)
    assert 0.82 <= np.mean(np.abs(y - mean) <= 1.645 * std) <= 0.96


def test_too_few_rows_for_inner_folds_get_equal_weights() -> None:
    assert fitted(*TWO, rows=11).model_.weights.tolist() == [0.5, 0.5]


@pytest.mark.parametrize("names", [(), ("gp", "gp"), ("gp", "ensemble")])
def test_members_that_cannot_be_are_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(PredictorError, match="Name each once, or with other columns, and not ensemble"):
        fitted(*names)


def test_a_name_can_come_again_with_other_columns_and_what_helps_gets_the_weight(tmp_path: Path) -> None:
    x, y = line(60)
    ensemble = make_estimator("ensemble", estimators=("ridge", "ridge"), columns=(1, 3, 0, 2))
    ensemble.fit(x, y, rng=np.random.default_rng(0))
    assert ensemble.model_.weights[1] > 0.9  # the first column is what the labels follow
    ensemble.save(tmp_path)
    new, _ = line(20, seed=1)
    loaded = estimator_class("ensemble").load(tmp_path)
    np.testing.assert_array_equal(loaded.predict_with_std(new), ensemble.predict_with_std(new))
    header = json.loads((tmp_path / files.HEADER).read_text())
    for wrong in ([0, 3], [0, 9, 0, 2], ["a", 3, 0, 2], [3, 1, 0, 2], [-1, 3, 0, 2], None, 7, "all"):
        header["params"]["columns"] = wrong
        (tmp_path / files.HEADER).write_text(json.dumps(header))
        with pytest.raises(PredictorError, match="was given the columns"):
            estimator_class("ensemble").load(tmp_path)


def test_a_member_that_nobody_registered_is_refused() -> None:
    with pytest.raises(PredictorError, match="no estimator 'forest'"):
        fitted("gp", "forest")


def test_a_missing_member_is_refused(tmp_path: Path) -> None:
    fitted(*TWO).save(tmp_path)
    (tmp_path / "gp" / files.HEADER).unlink()
    with pytest.raises(PredictorError, match="cannot be used"):
        estimator_class("ensemble").load(tmp_path)


def test_a_member_of_other_columns_is_refused(tmp_path: Path) -> None:
    fitted(*TWO).save(tmp_path)
    x, y = line(20)
    make_estimator("gp").fit(x[:, :2], y, rng=np.random.default_rng(0)).save(tmp_path / "gp")
    with pytest.raises(PredictorError, match="3 columns"):
        estimator_class("ensemble").load(tmp_path)


def test_a_header_that_names_the_ensemble_itself_is_refused(tmp_path: Path) -> None:
    fitted(*TWO).save(tmp_path)
    header = tmp_path / files.HEADER
    content = json.loads(header.read_text())
    content["params"]["estimators"] = ["gp", "ensemble"]
    header.write_text(json.dumps(content))
    with pytest.raises(PredictorError, match="not ensemble itself"):
        estimator_class("ensemble").load(tmp_path)
