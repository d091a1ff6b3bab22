"""The noise ceiling: the tau that a perfect predictor would score against labels as noisy as these.

The repeats behind the labels show the noise of one label. The labels are first shrunk towards their mean, so
that their variance is that of the truth (the variance of the labels less that of their noise), and then
disturbed again by noise redrawn from the repeats; tau between the shrunk and the disturbed values estimates
tau between truth and label, tau between two independent disturbances that between two labels. Resampling the
networks, with noise drawn once for each resample, gives the range in which a perfect predictor's score would
fall on a sample like this one. Latencies are treated on the log scale.

Noise that all repeats of a label share (a drift of the device between models, say) is not seen, so the true
ceiling may be lower. ``benchmarks/intervals.py`` measures bias and coverage where the truth is known.

References
----------
.. [L84] Louis, "Estimating a population of parameter values using Bayes and empirical Bayes methods", JASA
   79, 1984 (shrinking to the variance of the truth, not to the posterior mean).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from hytnas_datasets.labelled import Target
from numpy.typing import NDArray

from hytnas_predictors.intervals import percentile_interval
from hytnas_predictors.metrics import kendall_tau
from hytnas_predictors.recipes import to_scale
from hytnas_predictors.result import NoiseCeiling

Floats = NDArray[np.float64]
DRAWS = 100
DEFAULT_RESAMPLES = 400
MINIMUM_DEGREES = 5


@dataclass(frozen=True)
class Noise:
    """What the repeats say about the noise of one label.

    Attributes
    ----------
    residuals : tuple of n (r_i,) arrays
        What the noise of each label is redrawn from: its own repeats, or all of them where it has none.
    counts : (n,) int
        Repeats that each label summarises.
    use_median : bool
        Whether a label is the median of its repeats, or else their mean.
    degrees : int
        Degrees of freedom behind the noise.
    """

    residuals: tuple[Floats, ...]
    counts: NDArray[np.int64]
    use_median: bool
    degrees: int

    def draw(self, rng: np.random.Generator) -> Floats:
        """(n,) one noise for each label."""
        noise = np.empty(len(self.counts))
        for count in np.unique(self.counts).tolist():
            rows = np.flatnonzero(self.counts == count)
            drawn = np.stack([rng.choice(self.residuals[row], size=count) for row in rows])
            noise[rows] = np.median(drawn, axis=1) if self.use_median else drawn.mean(axis=1)
        return noise


def noise_of_repeats(repeats: Sequence[Floats], *, use_median: bool) -> Noise:
    """Noise of labels from their independent repeats, on the scale that the repeats are given in.

    Parameters
    ----------
    repeats : n arrays of (r_i,) values

    Notes
    -----
    Deviations from the mean of r repeats are too small by ``sqrt(1 - 1/r)``, and are widened by that.
    """
    own = [
        (values - values.mean()) * np.sqrt(len(values) / (len(values) - 1)) if len(values) > 1 else values[:0]
        for values in repeats
    ]
    everything = np.concatenate(own) if own else np.empty(0)
    return Noise(
        residuals=tuple(values if len(values) else everything for values in own),
        counts=np.array([max(len(values), 1) for values in repeats], dtype=np.int64),
        use_median=use_median,
        degrees=sum(max(len(values) - 1, 0) for values in repeats),
    )


def noise_ceiling(
    y: Floats,
    repeats: Sequence[Floats],
    target: Target,
    *,
    rng: np.random.Generator,
    resamples: int = DEFAULT_RESAMPLES,
) -> tuple[NoiseCeiling | None, str]:
    """The ceiling of these labels, or ``None``, and a sentence on what it rests on.

    Parameters
    ----------
    y : (n,) labels, in the unit of the target
    repeats : n arrays of (r_i,) repeats, in the same unit
    target : latencies are medians of their repeats with relative noise, accuracies means with absolute noise
    """
    repeated = sum(len(values) > 1 for values in repeats)
    if not repeated:
        return None, "No label was repeated, so the noise ceiling is unknown."
    scale, use_median = ("log", True) if target == "latency_ms" else ("identity", False)
    values = to_scale(y, "log") if scale == "log" else y
    noise = noise_of_repeats(
        [to_scale(each, "log") if scale == "log" else each for each in repeats], use_median=use_median
    )
    if noise.degrees < MINIMUM_DEGREES:
        return None, f"Only {repeated} labels were repeated: too few for a noise ceiling."
    draws = np.stack([noise.draw(rng) for _ in range(DRAWS)])
    per_label = draws.var(axis=0)
    truth = shrink(values, per_label)
    to_truth = np.array([kendall_tau(truth, truth + draw) for draw in draws])
    to_label = np.array([kendall_tau(truth + a, truth + b) for a, b in zip(draws, draws[::-1], strict=True)])
    sampled = np.array([_resampled(values, per_label, noise, rng) for _ in range(resamples)])
    ceiling = NoiseCeiling(
        label_to_truth=percentile_interval(float(to_truth.mean()), sampled[:, 0]),
        label_to_label=percentile_interval(float(to_label.mean()), sampled[:, 1]),
        repeated_labels=repeated,
        label_noise=float(np.sqrt(per_label.mean())),
        noise_unit="relative standard deviation" if scale == "log" else "standard deviation",
    )
    return (
        ceiling,
        f"The noise ceiling rests on {repeated} repeated labels ({noise.degrees} degrees of freedom).",
    )


def shrink(values: Floats, noise_variance: Floats) -> Floats:
    """Values moved towards their mean until their variance is that of the truth; never below zero."""
    centre, variance = values.mean(), values.var(ddof=1)
    if variance <= 0:
        return values
    return np.asarray(centre + (values - centre) * np.sqrt(max(0.0, 1 - noise_variance.mean() / variance)))


def _resampled(
    values: Floats, noise_variance: Floats, noise: Noise, rng: np.random.Generator
) -> tuple[float, float]:
    """Both taus in one resample. Copies share their noise, so tau-b omits pairs of them as tied."""
    rows = rng.integers(len(values), size=len(values))
    truth = shrink(values[rows], noise_variance[rows])
    first, second = noise.draw(rng)[rows], noise.draw(rng)[rows]
    return kendall_tau(truth, truth + first), kendall_tau(truth + first, truth + second)
