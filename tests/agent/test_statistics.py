import statistics as standard

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from hytnas_agent.statistics import mad, mean, median, quantile

DURATIONS = st.lists(st.floats(1e-3, 1e6), min_size=1, max_size=40)


@given(DURATIONS, st.floats(0, 1))
def test_quantiles_are_numpys(values: list[float], probability: float) -> None:
    assert quantile(values, probability) == pytest.approx(np.quantile(values, probability), rel=1e-12)


@given(DURATIONS)
def test_the_centre_and_spread_are_scipys(values: list[float]) -> None:
    assert median(values) == pytest.approx(standard.median(values))
    assert mean(values) == pytest.approx(np.mean(values))
    assert mad(values) == pytest.approx(stats.median_abs_deviation(values), abs=1e-9)
