import numpy as np
import pytest
from scipy import stats

from hytnas_predictors.leaderboard.comparison import (
    Contender,
    corrected_p_value,
    difference,
    make_verdict,
    tells_apart,
)
from hytnas_predictors.result import Interval

NOISE = np.random.default_rng(0).normal(size=1000)


def contender(name: str, tau: float, spread: float = 0.02, own: float = 0.0, seed: int = 1) -> Contender:
    """tau with the spread that all share, and a spread of its own."""
    resampled = tau + spread * NOISE + own * np.random.default_rng(seed).normal(size=1000)
    low, high = np.quantile(resampled, [0.025, 0.975])
    return Contender(name, Interval(tau, float(low), float(high)), resampled)


def test_what_all_share_does_not_hide_a_difference() -> None:
    gap = difference(contender("a", 0.8, spread=0.1), contender("b", 0.77, spread=0.1, own=0.005))
    assert gap.value == pytest.approx(0.03)
    assert tells_apart(gap)


def test_equal_ones_are_named_together() -> None:
    verdict = make_verdict([contender("a", 0.8), contender("b", 0.79, own=0.02), contender("c", 0.5)])
    assert verdict.startswith("a and b cannot be told apart (a less b: +0.010 [")


def test_a_clear_best_is_named_with_its_lead() -> None:
    verdict = make_verdict([contender("a", 0.8), contender("b", 0.6, own=0.02)])
    assert verdict.startswith("a ranks best (less b: +0.200 [")


def test_chance_is_called_chance() -> None:
    verdict = make_verdict([contender("a", 0.05, spread=0.1), contender("b", 0.01, spread=0.1)])
    assert verdict.startswith("No predictor can be told from chance (best: a, tau 0.050 [")


def test_one_predictor_is_compared_with_chance() -> None:
    assert make_verdict([contender("a", 0.5)]).startswith("a ranks better than chance")


@pytest.mark.parametrize(("tau", "said"), [(0.79, "ranks as well"), (0.95, "ranks better"), (0.3, None)])
def test_a_baseline_that_is_as_good_is_said_so(tau: float, said: str | None) -> None:
    verdict = make_verdict(
        [contender("a", 0.8)], [contender("macs", tau, own=0.02), contender("params", 0.1)]
    )
    assert ("macs alone" in verdict) == (said is not None)
    assert said is None or said in verdict


def test_the_corrected_test_is_more_careful_than_the_plain_one() -> None:
    rng = np.random.default_rng(0)
    first = 0.8 + 0.02 * rng.normal(size=(3, 5))
    second = first - 0.01 + 0.02 * rng.normal(size=(3, 5))
    differences = (first - second).ravel()
    plain = float(stats.ttest_1samp(differences, 0.0).pvalue)
    corrected = corrected_p_value(first, second)
    statistic = differences.mean() / np.sqrt((1 / 15 + 1 / 4) * differences.var(ddof=1))
    assert corrected == pytest.approx(2 * stats.t.sf(abs(statistic), 14))
    assert corrected > plain
    assert corrected_p_value(second, first) == pytest.approx(corrected)


def test_equal_predictors_are_rarely_told_apart() -> None:
    rng = np.random.default_rng(1)
    found = [corrected_p_value(rng.normal(size=(3, 5)), rng.normal(size=(3, 5))) < 0.05 for _ in range(200)]
    assert np.mean(found) <= 0.05
