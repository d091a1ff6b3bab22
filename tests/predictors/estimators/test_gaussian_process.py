from dataclasses import replace

import numpy as np
import pytest

from hytnas_predictors.estimators.gaussian_process import FittedProcess, fit_process
from hytnas_predictors.estimators.tensors import Tensors, dump, parse

N = 60


def noisy_sine(n: int, seed: int = 0, noise: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    """Rows of two columns, the second without meaning; labels around 50 of a sine of the first."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(0, 3, size=(n, 2))
    return x, 50.0 + 10.0 * np.sin(2 * x[:, 0]) + 10.0 * noise * rng.normal(size=n)


@pytest.fixture(scope="module")
def process() -> FittedProcess:
    return fit_process(*noisy_sine(N), rng=np.random.default_rng(0))


def test_mean_and_std_are_those_of_the_textbook(process: FittedProcess) -> None:
    """Held against the formulas with an explicit inverse of the kernel matrix."""
    x, y = noisy_sine(N)
    new = noisy_sine(7, seed=1)[0]
    standard = [(each - x.mean(axis=0)) / x.std(axis=0) / np.sqrt(2) / process.length for each in (x, new)]

    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        r = np.sqrt(5) * np.sqrt(((a[:, None] - b[None]) ** 2).sum(axis=-1))
        return process.variance * (1 + r + r**2 / 3) * np.exp(-r)

    inverse = np.linalg.inv(kernel(standard[0], standard[0]) + process.noise * np.eye(N))
    cross = kernel(standard[1], standard[0])
    mean, std = process.predict(new)
    np.testing.assert_allclose(mean, y.mean() + cross @ inverse @ (y - y.mean()), rtol=1e-8)
    variance = process.variance + process.noise - np.einsum("nm,mk,nk->n", cross, inverse, cross)
    np.testing.assert_allclose(std, y.std() * np.sqrt(variance), rtol=1e-6)
    np.testing.assert_allclose(process.predict_mean(new), mean, rtol=1e-12)


def test_the_noise_of_the_labels_is_found_and_can_be_left_out(process: FittedProcess) -> None:
    x = noisy_sine(40, seed=2)[0]
    with_noise, without = process.predict(x)[1], process.predict(x, with_noise=False)[1]
    np.testing.assert_allclose(with_noise**2 - without**2, process.noise * process.y_scale**2)
    assert np.sqrt(process.noise) * process.y_scale == pytest.approx(1.0, rel=0.4)


def test_a_nominal_90_percent_interval_holds() -> None:
    inside = []
    for seed in range(8):
        fitted = fit_process(*noisy_sine(N, seed), rng=np.random.default_rng(seed))
        x, y = noisy_sine(200, seed + 100)
        mean, std = fitted.predict(x)
        inside.append(np.abs(y - mean) <= 1.645 * std)
    assert 0.85 <= np.mean(inside) <= 0.95


def test_more_rows_than_the_kernel_is_fitted_to_still_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hytnas_predictors.estimators.gaussian_process.MAX_ROWS_OF_KERNEL", 40)
    fitted = fit_process(*noisy_sine(200), rng=np.random.default_rng(0))
    assert fitted.rows.shape == (200, 2)
    x, y = noisy_sine(100, seed=3, noise=0.0)
    assert np.abs(fitted.predict(x)[0] - y).mean() < 0.5


def test_rows_beyond_the_limit_are_drawn_by_the_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hytnas_predictors.estimators.gaussian_process.MAX_ROWS", 40)
    monkeypatch.setattr("hytnas_predictors.estimators.gaussian_process.MAX_ROWS_OF_KERNEL", 30)
    one, again, other = (fit_process(*noisy_sine(N), rng=np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert one.rows.shape == (40, 2)
    np.testing.assert_array_equal(one.rows, again.rows)
    assert not np.array_equal(one.rows, other.rows)


def test_what_is_saved_predicts_bit_equally(process: FittedProcess) -> None:
    x = noisy_sine(33, seed=4)[0]
    loaded = FittedProcess.from_tensors(parse(dump(process.tensors())), features=2)
    for ours, theirs in zip(loaded.predict(x), process.predict(x), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def changed(tensors: Tensors, name: str, value: object) -> Tensors:
    return tensors | {name: np.asarray(value)}


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("alpha", np.zeros(3), "alpha has shape"),
        ("alpha", np.zeros(N, dtype=np.float32), "float32"),
        ("alpha", np.full(N, np.nan), "alpha holds NaN"),
        ("rows", np.zeros(5), "no rows"),
        ("rows", np.zeros((0, 2)), "no rows"),
        ("rows", np.zeros((2001, 2)), "more than 2000"),
        ("rows", np.zeros((N, 3)), "rows has shape"),
        ("x_scale", np.zeros(2), "not positive"),
        ("length", np.array([-1.0]), "not positive"),
        ("noise", np.array([-1.0]), "not positive"),
        ("factor", np.ones((N, N)), "not lower triangular"),
        ("factor", np.zeros((N, N)), "not positive"),
        ("extra", np.zeros(1), "it holds"),
    ],
)
def test_arrays_that_are_no_process_are_refused(
    process: FittedProcess, name: str, value: object, why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        FittedProcess.from_tensors(changed(process.tensors(), name, value), features=2)


def test_a_process_of_other_columns_is_refused(process: FittedProcess) -> None:
    with pytest.raises(ValueError, match="shape"):
        FittedProcess.from_tensors(process.tensors(), features=3)


def test_restarts_find_no_worse_a_kernel() -> None:
    x, y = noisy_sine(30)

    def misfit(fitted: FittedProcess) -> float:
        """The negative logarithm of the marginal likelihood, but for a constant."""
        targets = (y - fitted.y_mean) / fitted.y_scale
        return float(targets @ fitted.alpha / 2 + np.log(np.diag(fitted.factor)).sum())

    plain, restarted = (fit_process(x, y, rng=np.random.default_rng(0), restarts=n) for n in (0, 2))
    assert misfit(restarted) <= misfit(plain) + 1e-6


def test_equal_targets_are_predicted_without_doubt() -> None:
    x = noisy_sine(20)[0]
    fitted = fit_process(x, np.full(20, 7.5), rng=np.random.default_rng(0))
    mean, std = fitted.predict(x)
    np.testing.assert_allclose(mean, 7.5)
    assert std.max() < 1e-9


def test_the_unit_of_columns_and_targets_does_not_matter(process: FittedProcess) -> None:
    x, y = noisy_sine(N)
    other = fit_process(x * [1e6, 1e-3] + 5.0, y * 1e3, rng=np.random.default_rng(0))
    mean, std = process.predict(x)
    np.testing.assert_allclose(other.predict(x * [1e6, 1e-3] + 5.0)[0], mean * 1e3, rtol=1e-4)
    assert replace(other, y_scale=1.0).predict(x * [1e6, 1e-3] + 5.0)[1] == pytest.approx(
        std / process.y_scale, rel=1e-2
    )
