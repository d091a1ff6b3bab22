"""Which predictor ranks best, and whether the data can tell: paired, and in plain words.

References
----------
.. [NB03] Nadeau and Bengio, "Inference for the generalization error", Machine Learning 52, 2003.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from hytnas_predictors.intervals import percentile_interval
from hytnas_predictors.result import Interval

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Contender:
    """A predictor's tau, and its (b,) taus in the resamples that all contenders share."""

    name: str
    tau: Interval
    resampled: Floats


def difference(first: Contender, second: Contender, *, comparisons: int = 1) -> Interval:
    """tau of the first less that of the second, with the interval of the paired bootstrap.

    The best predictor is compared with each of the others, so the interval is widened to that number of
    ``comparisons``. One comparison of equally good predictors finds a difference in 5 to 11 % of cases
    (``benchmarks/intervals.py``): the bootstrap does not see that other training rows could turn the order.
    """
    value = first.tau.value - second.tau.value
    return percentile_interval(value, first.resampled - second.resampled, comparisons=comparisons)


def corrected_p_value(first: Floats, second: Floats) -> float:
    """Two-sided p of the corrected resampled t-test [NB03]_, equation 16: no difference on average.

    Folds share their training rows, so their differences are not independent: the variance of their mean is
    larger by the ratio of test to training rows.

    Parameters
    ----------
    first, second : (r, k) scores of two predictors on the same k folds of r repeats

    Returns
    -------
    float
        1 where the predictors score alike on every fold.

    Examples
    --------
    >>> scores = np.array([[0.9, 0.8, 0.85, 0.9, 0.88]])
    >>> corrected_p_value(scores, scores - 0.2 + 0.01 * np.arange(5)) < 0.01
    True
    >>> corrected_p_value(scores, scores)
    1.0
    """
    differences = (first - second).ravel()
    folds, fits = first.shape[1], differences.size
    spread = float(differences.var(ddof=1))
    if spread == 0:
        return 1.0 if differences[0] == 0 else 0.0
    statistic = differences.mean() / math.sqrt((1 / fits + 1 / (folds - 1)) * spread)
    return float(2 * stats.t.sf(abs(statistic), fits - 1))


def describe_p(p: float) -> str:
    """A p as people read it.

    Examples
    --------
    >>> describe_p(0.0123), describe_p(1e-9)
    ('0.012', '< 0.001')
    """
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def tells_apart(gap: Interval) -> bool:
    """Whether the interval of a difference leaves out zero."""
    return gap.low > 0 or gap.high < 0


def make_verdict(contenders: Sequence[Contender], baselines: Sequence[Contender] = ()) -> str:
    """What the comparison says, in one or two sentences.

    Parameters
    ----------
    contenders : Contenders, best first
    baselines : Contenders
        Lines through one figure of the layer plan; the best of them is compared with the best predictor.
    """
    best = contenders[0]
    if all(each.tau.low <= 0 for each in contenders):
        return f"No predictor can be told from chance (best: {best.name}, tau {_shown(best.tau)})."
    rivals = len(contenders) - 1
    equal = [each for each in contenders[1:] if not tells_apart(difference(best, each, comparisons=rivals))]
    if equal:
        names = [best.name, *(each.name for each in equal)]
        gap = difference(best, equal[0], comparisons=rivals)
        sentence = (
            f"{', '.join(names[:-1])} and {names[-1]} cannot be told apart "
            f"({best.name} less {equal[0].name}: {_shown(gap, signed=True)})."
        )
    elif len(contenders) > 1:
        gap = difference(best, contenders[1], comparisons=rivals)
        sentence = f"{best.name} ranks best (less {contenders[1].name}: {_shown(gap, signed=True)})."
    else:
        sentence = f"{best.name} ranks better than chance (tau {_shown(best.tau)})."
    return " ".join([sentence, *_against_baseline(best, baselines)])


def _against_baseline(best: Contender, baselines: Sequence[Contender]) -> list[str]:
    if not baselines:
        return []
    rival = max(baselines, key=lambda each: each.tau.value)
    gap = difference(best, rival)
    if gap.low > 0:
        return []
    if gap.high < 0:
        return [f"{rival.name} alone ranks better ({_shown(gap, signed=True)})."]
    return [f"{rival.name} alone ranks as well ({_shown(gap, signed=True)})."]


def _shown(interval: Interval, *, signed: bool = False) -> str:
    form = "+.3f" if signed else ".3f"
    return f"{interval.value:{form}} [{interval.low:{form}}, {interval.high:{form}}]"
