"""The interval of process medians, against closed forms, scipy and simulation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from hytnas_agent.label.intervals import geometric_t_interval, t_quantile, t_two_sided


def test_t_quantiles_are_those_of_the_closed_forms() -> None:
    confidence = 0.95
    one = math.tan(math.pi * confidence / 2)
    two = math.sqrt(2 / (1 - confidence**2)) * confidence
    assert t_quantile(confidence, 1) == pytest.approx(one, rel=1e-10)
    assert t_quantile(confidence, 2) == pytest.approx(two, rel=1e-10)


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 5, 9, 10, 29, 30, 101])
@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.99, 0.999])
def test_t_quantiles_are_scipys(degrees: int, confidence: float) -> None:
    found = t_quantile(confidence, degrees)
    assert found == pytest.approx(stats.t.ppf((1 + confidence) / 2, degrees), rel=1e-9)
    assert t_two_sided(found, degrees) == pytest.approx(confidence, rel=1e-9)


@pytest.mark.parametrize(("confidence", "degrees"), [(1.0, 3), (-0.1, 3), (0.95, 0)])
def test_there_is_no_t_quantile_outside_its_range(confidence: float, degrees: int) -> None:
    with pytest.raises(ValueError, match="no t quantile"):
        t_quantile(confidence, degrees)


@given(st.lists(st.floats(0.1, 100), min_size=2, max_size=10), st.floats(0.01, 100))
def test_the_interval_scales_with_the_unit(values: list[float], factor: float) -> None:
    low, high = geometric_t_interval(values)
    scaled = geometric_t_interval([value * factor for value in values])
    assert scaled == pytest.approx((low * factor, high * factor), rel=1e-6)
    assert low <= stats.gmean(values) * (1 + 1e-9)
    assert high >= stats.gmean(values) * (1 - 1e-9)


def test_the_interval_covers_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    draws = np.exp(rng.normal(math.log(7), 0.03, (2000, 5)))
    intervals = [geometric_t_interval(list(draw)) for draw in draws]
    covered = np.mean([low <= 7 <= high for low, high in intervals])
    assert covered == pytest.approx(0.95, abs=0.02)


def test_one_value_has_no_interval() -> None:
    assert geometric_t_interval([3.0]) is None
