"""The gradients, the early stopping and the batches of the networks that are trained together."""

import numpy as np
import pytest

from hytnas_predictors.estimators.networks import Networks, _gradients, _initial, train


def parameters(networks: Networks) -> list[np.ndarray]:
    return [*networks.weights, networks.shortcut, *networks.biases]


def curve(n: int, seed: int = 0, noise: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2))
    return x, np.sin(2 * x[:, 0]) + 0.5 * x[:, 1] + noise * rng.normal(size=n)


def fit(x: np.ndarray, y: np.ndarray, seed: int = 0, **options: object) -> Networks:
    chosen = {"members": 3, "hidden": (16,), "weight_decay": 0.1, "learning_rate": 0.02, "max_steps": 200}
    return train(x, y, rng=np.random.default_rng(seed), **(chosen | options))


def test_gradients_are_those_of_finite_differences() -> None:
    rng = np.random.default_rng(0)
    networks = _initial(2, (3, 4, 5, 1), rng).astype(np.float64)
    for each in parameters(networks):
        each[...] = 0.5 * rng.normal(size=each.shape)
    x, y, used = rng.normal(size=(6, 3)), rng.normal(size=6), rng.uniform(size=(2, 6)) < 0.7

    def loss() -> float:
        return sum(float(np.mean((networks(x)[m] - y)[used[m]] ** 2)) for m in range(2))

    for parameter, gradient in zip(parameters(networks), _gradients(networks, x, y, used), strict=True):
        assert parameter.shape == gradient.shape
        at = tuple(int(rng.integers(size)) for size in parameter.shape)
        before = parameter[at]
        parameter[at] = before + 1e-5
        above = loss()
        parameter[at] = before - 1e-5
        below = loss()
        parameter[at] = before
        assert gradient[at] == pytest.approx((above - below) / 2e-5, rel=1e-3, abs=1e-5)


def test_a_curve_is_learned() -> None:
    x, y = curve(150)
    new, truth = curve(100, seed=1)
    error = fit(x, y)(new).mean(axis=0) - truth
    assert np.sqrt(np.mean(error**2)) < 0.25 * truth.std()


def test_members_differ() -> None:
    x, y = curve(60)
    outputs = fit(x, y)(x)
    assert not np.allclose(outputs[0], outputs[1])


def test_weights_are_kept_from_before_they_fit_noise() -> None:
    """On labels of pure noise a network that goes on to the end is much worse than one that stops."""
    x, y = np.random.default_rng(0).normal(size=(40, 10)), np.random.default_rng(1).normal(size=40)
    new, truth = np.random.default_rng(2).normal(size=(200, 10)), np.random.default_rng(3).normal(size=200)
    stopped = fit(x, y, weight_decay=0.0, hidden=(32,))
    assert np.mean((stopped(new).mean(axis=0) - truth) ** 2) < 1.3 * truth.var()
    assert np.mean((stopped(x).mean(axis=0) - y) ** 2) > 0.2 * y.var()


def test_many_rows_are_learned_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hytnas_predictors.estimators.networks.BATCH_ROWS", 64)
    x, y = curve(150)
    new, truth = curve(100, seed=1)
    networks = fit(x, y, max_steps=400)
    assert np.sqrt(np.mean((networks(new).mean(axis=0) - truth) ** 2)) < 0.35 * truth.std()
    np.testing.assert_array_equal(fit(x, y, max_steps=400)(new), networks(new))


def test_a_greater_decay_makes_smaller_weights() -> None:
    x, y = curve(60)
    small, great = (
        sum(float(np.square(each).sum()) for each in fit(x, y, weight_decay=decay).weights)
        for decay in (10.0, 0.0)
    )
    assert small < 0.5 * great
