"""The noise ceiling: the tau that a perfect predictor would score against labels as noisy as these.

The repeats behind the labels show the noise of one label. The labels are first shrunk towards their mean, so
that their variance is that of the truth (the variance of the labels less that of their noise [L84]_), then
disturbed again by noise redrawn with the scale of the repeats. tau between the shrunk and the disturbed
values estimates tau between truth and label, tau between two independent disturbances that between two
labels. Latencies are treated on the log scale. The interval is the range in which the tau of a perfect
predictor falls on these networks, with the uncertainty of both variances carried along.

Few repeats tell little about the noise of their own label, much together: each label's variance is moved
towards the common one as far as the variances agree [S04]_. Noise that all repeats of a label share (a drift
of the device between models, say) is not seen, so the true ceiling may be lower. A label of a single repeat
shows no noise at all and is given that of the others. Where no process of a label was undisturbed, it is of
one that was disturbed, which is noisier than that: the true ceiling is lower then, and how many labels are of
a single repeat is said beside it. They are not left out, since the scores that are held against the ceiling
are of these labels, too. ``benchmarks/intervals.py`` measures bias and coverage where the truth is known.

References
----------
.. [L84] Louis, "Estimating a population of parameter values using Bayes and empirical Bayes methods", JASA
   79, 1984 (shrinking to the variance of the truth, not to the posterior mean).
.. [S04] Smyth, "Linear models and empirical Bayes methods for assessing differential expression", Statistical
   Applications in Genetics and Molecular Biology 3, 2004, section 6 (moderated variances).
.. [W47] Welch, "The generalization of Student's problem", Biometrika 34, 1947 (effective degrees of freedom).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import polygamma

from hytnas_datasets.targets import Scale, Target
from hytnas_predictors.intervals import percentile_interval
from hytnas_predictors.metrics import kendall_tau
from hytnas_predictors.recipes import to_scale
from hytnas_predictors.result import NoiseCeiling

Floats = NDArray[np.float64]
DEFAULT_DRAWS = 400
VARIANCE_DRAWS = 200
MINIMUM_DEGREES = 5
MINIMUM_FOR_MODERATION = 4
EXACT = (1.0, 1.0)


@dataclass(frozen=True)
class Noise:
    """What the repeats say about the noise of the labels.

    Attributes
    ----------
    variances : (m,) float64
        Moderated variance of one repeat, for each label that was repeated.
    rows : (m,) int
        Which labels those are.
    counts : (n,) int
        Repeats that each label summarises.
    use_median : bool
        Whether a label is the median of its repeats, or else their mean.
    degrees : float
        Effective degrees of freedom of the mean variance [W47]_.
    """

    variances: Floats
    rows: NDArray[np.int64]
    counts: NDArray[np.int64]
    use_median: bool
    degrees: float

    def draw(self, rng: np.random.Generator) -> Floats:
        """(n,) one noise for each label; one without repeats borrows the variance of any that has some."""
        scales = np.sqrt(rng.choice(self.variances, size=len(self.counts)))
        scales[self.rows] = np.sqrt(self.variances)
        noise = np.empty(len(self.counts))
        for count in np.unique(self.counts).tolist():
            rows = np.flatnonzero(self.counts == count)
            drawn = rng.normal(size=(len(rows), count))
            noise[rows] = np.median(drawn, axis=1) if self.use_median else drawn.mean(axis=1)
        return np.asarray(scales * noise)


def noise_of_repeats(repeats: Sequence[Floats], *, use_median: bool) -> Noise | None:
    """Noise of labels from their independent repeats, on the scale that the repeats are given in.

    Parameters
    ----------
    repeats : n arrays of (r_i,) values

    Returns
    -------
    Noise, or ``None`` below 5 degrees of freedom.
    """
    counts = np.array([max(len(values), 1) for values in repeats], dtype=np.int64)
    rows = np.flatnonzero(counts > 1)
    degrees = counts[rows] - 1
    if degrees.sum() < MINIMUM_DEGREES:
        return None
    own = np.array([repeats[row].var(ddof=1) for row in rows.tolist()])
    variances = moderate(own, degrees)
    disagreement = own.var(ddof=1) if len(own) > 1 else 0.0
    effective = 2 * len(own) * own.mean() ** 2 / disagreement if disagreement > 0 else np.inf
    return Noise(variances, rows, counts, use_median, float(np.clip(effective, 2.0, degrees.sum())))


def moderate(variances: Floats, degrees: NDArray[np.int64]) -> Floats:
    """Sample variances moved towards their mean, the more so the better they agree [S04]_.

    Parameters
    ----------
    variances : (m,) sample variances
    degrees : (m,) int
        Degrees of freedom of each.
    """
    mean = float(np.average(variances, weights=degrees))
    if len(variances) < MINIMUM_FOR_MODERATION or mean == 0:
        return np.full(len(variances), mean)
    logs = np.log(np.maximum(variances, 1e-3 * mean))
    excess = float(logs.var(ddof=1) - polygamma(1, degrees / 2).mean())
    prior = 2 / max(excess, 1e-3)
    return np.asarray((prior * mean + degrees * variances) / (prior + degrees))


def noise_ceiling(
    y: Floats,
    repeats: Sequence[Floats],
    target: Target,
    *,
    rng: np.random.Generator,
    draws: int = DEFAULT_DRAWS,
) -> tuple[NoiseCeiling | None, str]:
    """The ceiling of these labels, or ``None``, and a sentence on what it rests on.

    Parameters
    ----------
    y : (n,) labels, in the unit of the target
    repeats : n arrays of (r_i,) repeats, in the same unit
    target : Target
        With relative noise, labels are medians of their repeats; with absolute noise, their means. Without
        noise there is no ceiling.
    draws : int
        Redrawings of the noise, each with other variances.

    Examples
    --------
    Thirty labels from 1 to 2 ms, each the median of five repeats with 2 % of noise:

    >>> from hytnas_datasets.targets import LATENCY
    >>> rng = np.random.default_rng(0)
    >>> repeats = [level * np.exp(rng.normal(0, 0.02, 5)) for level in np.geomspace(1, 2, 30)]
    >>> labels = np.array([np.median(each) for each in repeats])
    >>> ceiling, _ = noise_ceiling(labels, repeats, LATENCY, rng=rng)
    >>> round(ceiling.label_to_truth.value, 2), round(ceiling.label_noise, 3)
    (0.98, 0.01)
    """
    if target.noise == "none":
        return None, f"Labels of {target.words} are exact, so there is no noise ceiling."
    repeated = sum(len(values) > 1 for values in repeats)
    if not repeated:
        return None, "No label was repeated, so the noise ceiling is unknown."
    relative = target.noise == "relative"
    scale: Scale = "log" if relative else "identity"
    noise = noise_of_repeats([to_scale(each, scale) for each in repeats], use_median=relative)
    if noise is None:
        return None, f"Only {repeated} labels were repeated: too few for a noise ceiling."
    values = to_scale(y, scale)
    variance = float(np.mean([noise.draw(rng).var() for _ in range(VARIANCE_DRAWS)]))
    best = [_taus(values, variance, noise, EXACT, rng) for _ in range(draws)]
    spread = [_taus(values, variance, noise, _uncertain(len(values), noise, rng), rng) for _ in range(draws)]
    (to_truth, to_label), sampled = np.mean(best, axis=0), np.array(spread)
    ceiling = NoiseCeiling(
        label_to_truth=percentile_interval(to_truth, sampled[:, 0]),
        label_to_label=percentile_interval(to_label, sampled[:, 1]),
        repeated_labels=repeated,
        label_noise=float(np.sqrt(variance)),
        noise_unit="relative standard deviation" if relative else "standard deviation",
    )
    return ceiling, _rests_on(repeated, len(repeats) - repeated, target)


def _rests_on(repeated: int, single: int, target: Target) -> str:
    """What the ceiling rests on, and what is not known of the labels of a single repeat."""
    rests = f"The noise ceiling rests on {repeated} labels that were repeated."
    if not single:
        return rests
    others = f"{single} others are" if single > 1 else "1 other is"
    rests += f" {others} of a single {target.repeat}, whose noise is unknown and taken to be that of these"
    if not target.has_flags:
        return f"{rests}."
    return f"{rests}; a disturbed one is noisier, so that the true ceiling may be lower."


def shrink(values: Floats, share: float) -> Floats:
    """Values moved towards their mean, less the ``share`` of their variance that is noise; at most all."""
    centre = values.mean()
    return np.asarray(centre + (values - centre) * np.sqrt(max(0.0, 1.0 - share)))


def _uncertain(labels: int, noise: Noise, rng: np.random.Generator) -> tuple[float, float]:
    """Factors by which the variance of the noise and that of the labels may be off."""
    return noise.degrees / rng.chisquare(noise.degrees), (labels - 1) / rng.chisquare(labels - 1)


def _taus(
    values: Floats, variance: float, noise: Noise, factors: tuple[float, float], rng: np.random.Generator
) -> tuple[float, float]:
    """tau of one redrawn label with the truth, and with another redrawn label."""
    total = values.var(ddof=1) * factors[1]
    truth = shrink(values, variance * factors[0] / total if total > 0 else 1.0)
    first, second = (truth + np.sqrt(factors[0]) * noise.draw(rng) for _ in range(2))
    return kendall_tau(truth, first), kendall_tau(first, second)
