"""Which predictor ranks best, and whether the data can tell: paired, and in plain words."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
