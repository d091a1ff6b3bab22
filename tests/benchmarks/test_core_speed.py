"""The figures of the benchmark of the core's speed recover what was put in."""

import math

import numpy as np
import pytest
from core_speed import RATIO, READINGS, figures, said_of_gap, said_of_worth, shares_of_bands

from hytnas_agent.core_speed import CoreSpeed


def draw(rng: np.random.Generator, models: int = 200) -> np.ndarray:
    latencies = rng.normal(size=(models, 1))  # of the networks, no part of the spread
    logs = np.stack([latencies + spread * rng.normal(size=(models, 10)) for spread in (0.1, 0.05, 0.02)])
    logs[2][rng.random((models, 10)) < 0.3] = math.nan
    return logs


def test_spreads_are_those_within_networks() -> None:
    found = figures(draw(np.random.default_rng(0)), np.random.default_rng(1))
    for name, expected in zip((*READINGS, RATIO), (0.1, 0.05, 0.02, 0.2), strict=True):
        value, low, high = found[name]
        assert value == pytest.approx(expected, rel=0.1)
        assert low < value < high
    assert said_of_worth(found[RATIO]).startswith("yes")


def test_equal_readings_show_nothing() -> None:
    alike = np.repeat(draw(np.random.default_rng(2))[:1], 3, axis=0)
    found = figures(alike, np.random.default_rng(3))
    assert found[RATIO] == pytest.approx((1, 1, 1))
    assert said_of_worth((1.0, 1.0, 1.0)).startswith("not shown")


def test_without_undisturbed_processes_nothing_is_said() -> None:
    logs = draw(np.random.default_rng(4), models=3)
    logs[2] = math.nan
    found = figures(logs, np.random.default_rng(5))
    assert all(math.isnan(each) for each in found[RATIO])
    assert math.isfinite(found[READINGS[0]][0])
    assert said_of_worth(found[RATIO]).startswith("cannot be told")


def test_probes_by_how_much_longer_they_took() -> None:
    speeds = [CoreSpeed(100.0, (98.0, 101.0, 105.0, 112.0), (0,)), CoreSpeed(50.0, (51.0, 65.0), (0,))]
    assert shares_of_bands(speeds) == pytest.approx([4 / 6, 1 / 6, 1 / 6])


@pytest.mark.parametrize(
    ("shares", "said"),
    [([0.8, 0.01, 0.19], "yes"), ([0.8, 0.1, 0.1], "not shown"), ([0.999, 0.0, 0.001], "cannot be told")],
)
def test_whether_the_limit_lies_in_a_gap(shares: list[float], said: str) -> None:
    assert said_of_gap(shares).startswith(said)
