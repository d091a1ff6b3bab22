import numpy as np
import pytest

from hytnas_datasets.targets import ACCURACY, LATENCY, MODEL_SIZE
from hytnas_predictors.leaderboard.ceiling import moderate, noise_ceiling, noise_of_repeats, shrink
from hytnas_predictors.metrics import kendall_tau


def noisy_labels(
    n: int, noise: float, seed: int, repeats: int = 5
) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    rng = np.random.default_rng(seed)
    truth = 0.5 * rng.normal(size=n)
    values = np.exp(truth[:, None] + noise * rng.normal(size=(n, repeats)))
    return truth, np.median(values, axis=1), list(values)


@pytest.mark.parametrize("noise", [0.02, 0.15])
def test_the_ceiling_is_near_the_tau_that_the_truth_scores(noise: float) -> None:
    truth, y, repeats = noisy_labels(150, noise, 0)
    ceiling, note = noise_ceiling(y, repeats, LATENCY, rng=np.random.default_rng(1), draws=100)
    assert ceiling is not None
    assert ceiling.label_to_truth.value == pytest.approx(kendall_tau(y, truth), abs=0.02)
    assert ceiling.label_to_truth.low <= kendall_tau(y, truth) <= ceiling.label_to_truth.high
    assert ceiling.label_to_label.value < ceiling.label_to_truth.value
    assert ceiling.repeated_labels == 150
    assert note == "The noise ceiling rests on 150 labels that were repeated."


def test_noise_is_that_of_the_label_not_of_one_repeat() -> None:
    _, y, repeats = noisy_labels(200, 0.1, 2)
    ceiling, _ = noise_ceiling(y, repeats, LATENCY, rng=np.random.default_rng(0), draws=20)
    assert ceiling is not None
    assert ceiling.label_noise == pytest.approx(0.1 * np.sqrt(0.287), rel=0.1)
    assert ceiling.noise_unit == "relative standard deviation"


def test_accuracies_with_few_repeats_have_a_wide_ceiling() -> None:
    rng = np.random.default_rng(3)
    repeats = [0.8 + 0.05 * rng.normal() + 0.02 * rng.normal(size=3 if i < 5 else 1) for i in range(40)]
    y = np.array([each.mean() for each in repeats])
    ceiling, note = noise_ceiling(y, repeats, ACCURACY, rng=rng, draws=100)
    assert ceiling is not None
    assert "35 others are of a single training" in note
    assert ceiling.repeated_labels == 5
    assert ceiling.label_to_truth.high - ceiling.label_to_truth.low > 0.05


@pytest.mark.parametrize(("single", "said"), [(30, "30 others are"), (1, "1 other is")])
def test_the_ceiling_may_be_lower_for_latencies_of_a_disturbed_process_and_says_so(
    single: int, said: str
) -> None:
    truth, y, repeats = noisy_labels(100, 0.02, 7)
    y[:single] = np.exp(truth[:single] + np.abs(np.random.default_rng(8).normal(0, 0.6, size=single)))
    repeats[:single] = [y[i : i + 1] for i in range(single)]
    ceiling, note = noise_ceiling(y, repeats, LATENCY, rng=np.random.default_rng(1), draws=50)
    assert ceiling is not None
    assert ceiling.label_to_truth.value > kendall_tau(y, truth)
    assert f"rests on {100 - single} labels that were repeated. {said} of a single process" in note
    assert "the true ceiling may be lower" in note


def test_without_repeats_there_is_none() -> None:
    y = np.arange(1.0, 30.0)
    ceiling, note = noise_ceiling(
        y, [y[i : i + 1] for i in range(29)], ACCURACY, rng=np.random.default_rng(0)
    )
    assert ceiling is None
    assert "No label was repeated" in note


def test_too_few_repeats_are_said_to_be() -> None:
    y = np.arange(1.0, 30.0)
    repeats = [np.array([value, value + 0.1]) if value < 3 else np.array([value]) for value in y]
    ceiling, note = noise_ceiling(y, repeats, ACCURACY, rng=np.random.default_rng(0))
    assert ceiling is None
    assert "Only 2 labels" in note


def test_labels_without_noise_have_a_ceiling_of_one() -> None:
    y = np.arange(1.0, 30.0)
    ceiling, _ = noise_ceiling(
        y, [np.full(3, v) for v in y], ACCURACY, rng=np.random.default_rng(0), draws=20
    )
    assert ceiling is not None
    assert ceiling.label_to_truth.value == pytest.approx(1.0)
    assert ceiling.label_noise == 0.0


def test_labels_of_nothing_but_noise_have_a_ceiling_near_zero() -> None:
    repeats = list(np.random.default_rng(4).normal(10, 1, size=(60, 5)))
    y = np.array([each.mean() for each in repeats])
    ceiling, _ = noise_ceiling(y, repeats, ACCURACY, rng=np.random.default_rng(0), draws=100)
    assert ceiling is not None
    assert ceiling.label_to_truth.low < 0.15


def test_variances_that_agree_move_to_their_mean_and_others_stay() -> None:
    rng = np.random.default_rng(5)
    degrees = np.full(200, 4)
    alike = rng.chisquare(4, size=200) / 4
    apart = alike * np.exp(3 * rng.normal(size=200))
    assert moderate(alike, degrees).std() < 0.3 * alike.std()
    assert np.corrcoef(np.log(moderate(apart, degrees)), np.log(apart))[0, 1] > 0.6
    assert moderate(alike[:2], degrees[:2]).tolist() == [alike[:2].mean()] * 2


def test_shrinking_takes_away_the_share_of_the_variance() -> None:
    values = np.random.default_rng(6).normal(5, 2, size=50)
    assert shrink(values, 0.36).var() == pytest.approx(0.64 * values.var())
    np.testing.assert_allclose(shrink(values, 1.7), values.mean())


def test_noise_of_too_few_degrees_is_none() -> None:
    assert noise_of_repeats([np.arange(4.0), np.arange(1.0)], use_median=True) is None


def test_exact_labels_have_no_ceiling() -> None:
    y = np.arange(1.0, 9.0)
    ceiling, note = noise_ceiling(
        y, [y[i : i + 1] for i in range(8)], MODEL_SIZE, rng=np.random.default_rng(0)
    )
    assert ceiling is None
    assert "model size are exact" in note
