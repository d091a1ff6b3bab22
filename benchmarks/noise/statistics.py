"""How noisy measurements are, from independent repeats of them; pure functions on arrays.

A *pass* measures every model once by one method. What passes say of a method's noise:

- its *repeat spread*: the standard deviation of the logarithm of one model's latency over passes, root mean
  square over models. For small noise that is the relative standard deviation. Few wild values weigh heavily.
- *tau between passes*: Kendall's tau-b between two passes, mean over all pairs of them.
- its *implied noise*: the standard deviation of normal noise under which two passes would agree as these do.
  What moves a whole pass alike, or is wild but rare, weighs little: it is the noise that a ranking sees.
- its *ceiling*: the tau that a perfect predictor would score against one pass under that noise.

With normal noise of standard deviation s on the logarithm, a pass gets a pair of models whose true logarithms
differ by d into the right order with probability Phi(d / (s sqrt 2)). So the tau of a pass with the truth is
the mean over pairs of erf(d / 2s), and that between two passes the mean of its square: both in closed form,
and the second is solved for s.

Passes come in *strata*, one a journal: those of one machine with one version of the code. Passes are compared
within a stratum only, and with the truth of that stratum, so what tells strata apart moves no figure.

Intervals are percentiles over resamples of the models, with weights as in ``hytnas_predictors.intervals``,
the same for every method: differences and ratios of methods are paired. A repeat spread has two parts: by
how much each model is off beyond its pass, which the models tell, and by how much whole passes are off, which
only the passes tell, however many models there are. So each resample also draws anew how far passes shift, as
the generalized pivot of a variance has it: the estimate times its degrees of freedom over a chi-square
[W95]_. Shifts of methods are drawn apart, though one mood of the machine may move all: that makes comparisons
wider than need be. Tau and what follows from it do not feel such shifts; their intervals are of other models
in the same passes. ``benchmarks/noise_intervals.py`` says how often all these hold.

References
----------
.. [W95] Weerahandi, Exact Statistical Methods for Data Analysis, 1995, chapter 6 (generalized intervals).
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

from hytnas_predictors.intervals import bootstrap_tau, percentile_interval, resample_weights
from hytnas_predictors.result import Interval

Floats = NDArray[np.float64]
Weights = NDArray[np.float32]
Strata = Sequence[Floats]
"""Of each stratum the (n, r) logarithms of the latency of n models in r >= 2 passes, or their (n,) true ones;
n is the same in all."""
MIN_NOISE, MAX_NOISE, NOISE_STEPS = 1e-5, 10.0, 181


@dataclass(frozen=True)
class Figure:
    """A figure of the data and of every resample."""

    value: float
    resampled: Floats

    @property
    def interval(self) -> Interval:
        """With its 95 % interval."""
        return percentile_interval(self.value, self.resampled)


@dataclass(frozen=True)
class Noise:
    """What the passes of one method say; spreads are standard deviations of the logarithm."""

    repeat_spread: Figure
    tau: Figure
    implied: Figure
    ceiling: Figure


def weights_of(models: int, resamples: int, rng: np.random.Generator) -> Weights:
    """(b, n) how often each of ``n`` models is in each of ``b`` resamples."""
    return resample_weights(np.arange(models), resamples, rng)


def repeat_spread(strata: Strata, weights: Weights, rng: np.random.Generator) -> Figure:
    """Root mean square over models of their standard deviation over passes, pooled over strata.

    Parameters
    ----------
    strata : sequence of (n, r)
    weights : (b, n)
    rng : numpy.random.Generator
        Of the shifts of whole passes.
    """
    squares = np.zeros(weights.shape[1])
    for logs in strata:
        centred = logs - logs.mean(axis=1, keepdims=True)
        squares += ((centred - centred.mean(axis=0)) ** 2).sum(axis=1)
    degrees = _degrees(strata)
    shift = pass_shift(strata) ** 2
    shifts = shift * degrees / rng.chisquare(degrees, size=len(weights))
    resampled = np.sqrt(shifts + weights @ squares / weights.sum(axis=1) / degrees)
    return Figure(float(np.sqrt(shift + squares.mean() / degrees)), np.asarray(resampled, dtype=np.float64))


def pass_shift(strata: Strata) -> float:
    """Standard deviation over passes of what moved all models of a pass alike, pooled over strata."""
    means = [logs.mean(axis=0) for logs in strata]
    squares = sum(float(((each - each.mean()) ** 2).sum()) for each in means)
    return float(np.sqrt(squares / _degrees(strata)))


def tau_between_passes(strata: Strata, weights: Weights) -> Figure:
    """Kendall's tau-b between two passes, mean over all pairs of passes of one stratum."""
    every = _with_all(weights)
    total, pairs = np.zeros(len(every)), 0
    for logs in strata:
        rows, passes = np.arange(len(logs)), logs.T
        for i in range(len(passes) - 1):
            later = passes[i + 1 :]
            total += len(later) * bootstrap_tau(passes[i], later, rows, every)
            pairs += len(later)
    return _figure(total / pairs)


def expected_taus(truth: Floats, noise: float) -> tuple[float, float]:
    """(tau of a pass with the truth, tau between two passes) under normal noise.

    Parameters
    ----------
    truth : (n,) true logarithms
    noise : float
        Standard deviation of the logarithm.
    """
    gaps = np.abs(truth[:, None] - truth[None, :])[np.triu_indices(len(truth), 1)]
    right = erf(gaps / (2 * noise))
    return float(right.mean()), float((right**2).mean())


def implied_noise(
    tau: Figure, truths: Strata, pairs: Sequence[int], weights: Weights
) -> tuple[Figure, Figure]:
    """The normal noise under which two passes would have this tau, and the ceiling that follows.

    Parameters
    ----------
    tau : Figure
        Between two passes, resampled with ``weights``.
    truths : (n,) logarithms of each stratum
        As near to the true ones as they are known: it is their differences that count.
    pairs : sequence of int
        Pairs of passes of each stratum, by which it counts in tau.
    weights : (b, n)

    Returns
    -------
    (noise, ceiling); the noise stays between 0.001 % and e^10, where tau says no more.
    """
    grid = np.geomspace(MIN_NOISE, MAX_NOISE, NOISE_STEPS)
    every = _with_all(weights)
    apart = np.maximum(_over_pairs(np.ones((weights.shape[1],) * 2), every), 1.0)
    gaps = [np.abs(np.subtract.outer(truth, truth)) for truth in truths]
    shares = [count / sum(pairs) for count in pairs]

    def right(step: int, power: int) -> Floats:
        """(1 + b,) tau at a step of the grid: with the truth for a power of 1, between passes for 2."""
        total = np.zeros(len(every))
        for gap, share in zip(gaps, shares, strict=True):
            total += share * _over_pairs(erf(gap / (2 * grid[step])) ** power, every) / apart
        return total

    found = np.concatenate([[tau.value], tau.resampled])
    steps = _steps_around(found, lambda step: right(step, 2))
    logs = np.log(grid[steps])
    between, to_truth = (np.array([right(step, power) for step in steps]) for power in (2, 1))
    noises = [np.interp(each, between[::-1, k], logs[::-1]) for k, each in enumerate(found)]
    ceilings = [np.interp(each, logs, to_truth[:, k]) for k, each in enumerate(noises)]
    return _figure(np.exp(noises)), _figure(np.array(ceilings))


def _steps_around(found: Floats, between: Callable[[int], Floats]) -> range:
    """The steps of the grid that every resample's tau lies between, or at the end of the grid.

    ``between`` falls from step to step: two bisections find the first and the last.
    """
    every = range(NOISE_STEPS)
    first = bisect_left(every, True, key=lambda step: bool((between(step) <= found).any()))
    last = bisect_left(every, True, lo=first, key=lambda step: bool((between(step) < found).all()))
    return every[max(first - 1, 0) : last + 1]


def noise_of(strata: Strata, truths: Strata, weights: Weights, rng: np.random.Generator) -> Noise:
    """All figures of one method; ``truths`` are the (n,) true logarithms of each stratum."""
    tau = tau_between_passes(strata, weights)
    pairs = [logs.shape[1] * (logs.shape[1] - 1) // 2 for logs in strata]
    implied, ceiling = implied_noise(tau, truths, pairs, weights)
    return Noise(repeat_spread(strata, weights, rng), tau, implied, ceiling)


def difference(one: Figure, other: Figure) -> Interval:
    """``one - other`` on the same resamples of the models."""
    return percentile_interval(one.value - other.value, np.asarray(one.resampled - other.resampled))


def ratio(one: Figure, other: Figure) -> Interval:
    """``one / other`` on the same resamples of the models; an ``other`` of 0 counts as the least number."""
    tiny = np.finfo(np.float64).tiny
    return percentile_interval(
        one.value / max(other.value, tiny), one.resampled / np.maximum(other.resampled, tiny)
    )


def at_most(figure: Interval, limit: float) -> str:
    """Whether a figure is at most ``limit``: ``yes`` or ``no`` by its interval, else ``undecided``."""
    if figure.high <= limit:
        return "yes"
    return "no" if figure.low > limit else "undecided"


def _degrees(strata: Strata) -> int:
    """Passes less strata."""
    return sum(logs.shape[1] - 1 for logs in strata)


def _over_pairs(matrix: Floats, weights: Weights) -> Floats:
    """(b,) weighted sum over pairs of different models."""
    off_diagonal = matrix - np.diag(np.diag(matrix))
    return np.asarray(((weights @ off_diagonal) * weights).sum(axis=1))


def _with_all(weights: Weights) -> Weights:
    """(1 + b, n) weights: every model once, then the resamples."""
    return np.concatenate([np.ones_like(weights[:1]), weights])


def _figure(values: Floats) -> Figure:
    """The first of (1 + b,) values is that of the data."""
    return Figure(float(values[0]), np.asarray(values[1:], dtype=np.float64))
