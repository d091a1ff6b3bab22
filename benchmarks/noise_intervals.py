"""How often the intervals of the noise study hold, by simulation.

Two methods measure the same models in a few passes, each with normal noise whose scale differs by a factor
between models (its standard deviation on the logarithm is ``factor``, as that of ``exp``), and each with a
shift of every whole pass that makes up so much of its variance. The true spreads, their difference and their
ratio are known; tau's true value is its mean over the simulations, since it is an average over pairs of
models and passes. Nominal are 95 %.

    python benchmarks/noise_intervals.py [--simulations 1000] [--json FILE]
"""

import argparse
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from noise.statistics import difference, ratio, repeat_spread, tau_between_passes, weights_of

from hytnas_predictors.result import Interval

MODELS, RESAMPLES, TRUTH = 60, 400, 0.5
MINE, THEIRS = 0.02, 0.10
PASSES, FACTORS = (2, 3, 4, 20), (0.2, 0.4, 0.6)
CASES = [(passes, factor, share) for passes in PASSES for factor in FACTORS for share in (0.0, 0.4)]
CASES += [(passes, factor, 0.7) for passes in PASSES for factor in FACTORS]
FIGURES = ("repeat spread", "difference", "ratio", "tau")


def coverage(
    passes: int, factor: float, share: float, simulations: int, rng: np.random.Generator
) -> dict[str, float]:
    """Share of simulations in which each interval holds the truth.

    Parameters
    ----------
    passes : int
        Of each method over the same 60 models.
    factor : float
        Standard deviation of the logarithm of the models' scales of noise.
    share : float
        Of a method's variance, that is of whole passes.
    simulations : int
    rng : numpy.random.Generator
    """
    found: dict[str, list[Interval]] = {name: [] for name in FIGURES}
    taus: list[float] = []
    for _ in range(simulations):
        truth = TRUTH * rng.normal(size=(MODELS, 1))
        scales = np.exp(factor * rng.normal(size=(MODELS, 1)) - factor**2)
        weights = weights_of(MODELS, RESAMPLES, rng)
        mine, theirs = (
            truth
            + noise * math.sqrt(1 - share) * scales * rng.normal(size=(MODELS, passes))
            + noise * math.sqrt(share) * rng.normal(size=passes)
            for noise in (MINE, THEIRS)
        )
        spreads = [repeat_spread([logs], weights, rng) for logs in (mine, theirs)]
        tau = tau_between_passes([mine], weights)
        taus.append(tau.value)
        for name, interval in zip(
            FIGURES,
            (spreads[0].interval, difference(*spreads), ratio(*spreads), tau.interval),
            strict=True,
        ):
            found[name].append(interval)
    truths = dict(zip(FIGURES, (MINE, MINE - THEIRS, MINE / THEIRS, float(np.mean(taus))), strict=True))
    return {
        name: float(np.mean([each.low <= truths[name] <= each.high for each in intervals]))
        for name, intervals in found.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--simulations", type=int, default=1000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    print(f"{MODELS} models, {options.simulations} simulations a row; share of intervals that hold")
    print("passes  factor  of whole passes  repeat spread  difference   ratio     tau")
    rows: list[dict[str, Any]] = []
    for number, (passes, factor, share) in enumerate(CASES):
        found = coverage(passes, factor, share, options.simulations, np.random.default_rng(number))
        rows.append({"passes": passes, "factor": math.exp(factor), "share": share} | found)
        print(
            f"{passes:6d}  {math.exp(factor):6.2f}  {share:15.0%}  {found['repeat spread']:13.1%}  "
            f"{found['difference']:10.1%}  {found['ratio']:6.1%}  {found['tau']:6.1%}",
            flush=True,
        )
    if options.json:
        options.json.write_text(json.dumps({"simulations": options.simulations, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
