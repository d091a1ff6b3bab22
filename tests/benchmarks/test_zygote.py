"""The figures of the zygote's benchmark recover the variances that were put in."""

import numpy as np
import pytest
from zygote import figures, with_intervals


def draw(rng: np.random.Generator, forked: float, between: float, blocks: int = 400) -> np.ndarray:
    mood = 0.05 * rng.normal(size=(blocks, 1))  # of the machine, alike for both
    executed = mood + 0.02 * rng.normal(size=(blocks, 8))
    fork = mood + between * rng.normal(size=(blocks, 1)) + forked * rng.normal(size=(blocks, 8))
    return np.array([executed, fork])


def test_spreads_within_and_between_zygotes() -> None:
    found = figures(draw(np.random.default_rng(0), 0.01, 0.03))
    assert found["executed"] == pytest.approx(0.02, rel=0.05)
    assert found["forked"] == pytest.approx(0.01, rel=0.05)
    assert found["variance ratio"] == pytest.approx(0.25, rel=0.1)
    assert found["between zygotes"] == pytest.approx(0.03, rel=0.1)


def test_no_difference_is_none() -> None:
    found = with_intervals(draw(np.random.default_rng(1), 0.02, 0.0, blocks=60), np.random.default_rng(2))
    value, low, high = found["variance ratio"]
    assert low < 1.0 < high
    assert low < value < high
    assert found["between zygotes"][0] < 0.005
