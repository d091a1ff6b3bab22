"""How often the 95 % interval of a latency holds under the stopping rule, by simulation.

A model's process medians are drawn around a known truth, with so much noise between processes; the rule of
``hytnas_agent.label`` takes 5 of them, then one after the other until the interval is narrow or the budget
is spent. Beside it stands the same rule without its correction for the looks (each at 95 %). ``stable`` is
the share of labels that ended narrow; ``of stable`` the coverage among those alone: where the noise is so
large that few end so, these are the ones whose processes happened to agree, and cover less.

Each of these rows is of undisturbed processes alone. The last ones are normal noise on a machine that
disturbs three processes of four for good: these are dropped, as ``aggregate`` does while one other is
left, so that the budget holds some 5 that count. Labels that are left with fewer than five are UNSTABLE, and
those with fewer than three have too few undisturbed processes: these are in no figure but ``left``, the share
of the other labels. Processes are taken to be disturbed as likely for every undisturbed latency. What drift
discards is in none of the rows.

Noise: normal on the logarithm (what the rule is calibrated for), heavy-tailed (Student's t with 3 degrees of
freedom, same scale), skewed (log-normal delays, never faster), bimodal (a process is slower by 4 sigma with
probability 0.2) and serially correlated (rho = 0.5 between the processes of neighbouring rounds). The truth
is the mean of the logarithm, where that exists.

    python benchmarks/interval_coverage.py [--simulations 100000] [--max-processes 20] [--json FILE]
"""

import argparse
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hytnas_agent.label import MIN_OK_PROCESSES, StoppingRule, t_quantile

LEVELS = (0.005, 0.01, 0.02, 0.04)
AIM = (0.93, 0.97)
DISTURBED = 0.75
Draw = Callable[[np.random.Generator, int, int], NDArray[np.float64]]


def normal(rng: np.random.Generator, runs: int, n: int) -> NDArray[np.float64]:
    """(runs, n) standard normal values."""
    return rng.normal(size=(runs, n))


def heavy(rng: np.random.Generator, runs: int, n: int) -> NDArray[np.float64]:
    """Student's t with 3 degrees of freedom, at the same interquartile range as the normal."""
    return rng.standard_t(3, size=(runs, n)) * (0.6745 / 0.7649)


def skewed(rng: np.random.Generator, runs: int, n: int) -> NDArray[np.float64]:
    """Log-normal delays of standard deviation 1 and mean 0."""
    values = np.exp(0.75 * rng.normal(size=(runs, n)))
    mean = math.exp(0.75**2 / 2)
    return (values - mean) / (mean * math.sqrt(math.exp(0.75**2) - 1))


def bimodal(rng: np.random.Generator, runs: int, n: int) -> NDArray[np.float64]:
    """Slower by 4 in one process of five, mean 0; the standard deviation is 1.9."""
    return rng.normal(size=(runs, n)) + 4.0 * (rng.random((runs, n)) < 0.2) - 0.8


def correlated(rng: np.random.Generator, runs: int, n: int) -> NDArray[np.float64]:
    """First-order autoregressive with correlation 0.5, standard deviation 1."""
    values = rng.normal(size=(runs, n))
    for i in range(1, n):
        values[:, i] = 0.5 * values[:, i - 1] + math.sqrt(0.75) * values[:, i]
    return values


KINDS: dict[str, Draw] = {
    "normal": normal, "heavy tail": heavy, "skewed": skewed, "bimodal": bimodal, "correlated": correlated,
}  # fmt: skip


def simulate(
    rule: StoppingRule,
    look_confidence: float,
    logs: NDArray[np.float64],
    undisturbed: NDArray[np.int64] | None = None,
) -> dict[str, float]:
    """What the rule makes of ``(runs, n)`` log process medians of true mean 0, all runs at once.

    The same as ``rule.decide`` after each process (``tests/agent/test_stopping.py`` holds that to scipy),
    with the confidence of a look to choose. Of each run the first ``undisturbed``, ``(runs,)``, processes
    count, by default all; runs with fewer than three make no label here.
    """
    n = logs.shape[1]
    budget = np.full(len(logs), n) if undisturbed is None else undisturbed
    makes_label = budget >= MIN_OK_PROCESSES
    logs, budget = logs[makes_label], budget[makes_label]
    runs = len(logs)
    counts = np.arange(1, n + 1)
    means = np.cumsum(logs, axis=1) / counts
    squares = np.cumsum(logs**2, axis=1) - counts * means**2
    sd = np.sqrt(np.maximum(squares, 0.0) / np.maximum(counts - 1, 1))
    t = np.array([0.0, *(t_quantile(look_confidence, degrees) for degrees in range(1, n))])
    half = t * sd / np.sqrt(counts)
    narrow = (half <= math.log1p(rule.target_half_width)) & (counts >= rule.min_processes)
    narrow &= counts <= budget[:, None]
    stable = narrow.any(axis=1)
    last = np.where(stable, narrow.argmax(axis=1), budget - 1)
    rows = np.arange(runs)
    covered = np.abs(means[rows, last]) <= half[rows, last]
    return {
        "coverage": float(covered.mean()),
        "monte_carlo_error": float(math.sqrt(covered.mean() * (1 - covered.mean()) / runs)),
        "stable": float(stable.mean()),
        "coverage_of_stable": float(covered[stable].mean()) if stable.any() else math.nan,
        "processes": float(last.mean() + 1),
        "half_width": float(np.expm1(np.median(half[rows, last]))),
        "left": float(makes_label.mean()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--simulations", type=int, default=100_000)
    parser.add_argument("--min-processes", type=int, default=5)
    parser.add_argument("--max-processes", type=int, default=20)
    parser.add_argument("--target", type=float, default=0.015, help="half width at which to stop")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rule = StoppingRule(options.target, options.min_processes, options.max_processes)
    print(
        f"at least {rule.min_processes}, at most {rule.max_processes} processes, "
        f"target +-{rule.target_half_width:.1%}, each look at {rule.look_confidence:.1%}, "
        f"{options.simulations} simulations a row"
    )
    print(
        "noise        level   95 % interval covers   without correction   stable  of stable  processes  left"
    )
    rows: list[dict[str, Any]] = []
    kinds = [(name, draw, 0.0) for name, draw in KINDS.items()] + [("disturbed", normal, DISTURBED)]
    for number, (name, draw, disturbed) in enumerate(kinds):
        for level in LEVELS:
            rng = np.random.default_rng([number, int(1000 * level)])
            logs = level * draw(rng, options.simulations, rule.max_processes)
            undisturbed = rng.binomial(rule.max_processes, 1 - disturbed, options.simulations)
            found = simulate(rule, rule.look_confidence, logs, undisturbed)
            plain = simulate(rule, rule.confidence, logs, undisturbed)
            rows.append({"noise": name, "level": level, **found, "uncorrected": plain["coverage"]})
            print(
                f"{name:11} {level:6.1%}    {found['coverage']:6.1%} +- {2 * found['monte_carlo_error']:4.2%}"
                f"           {plain['coverage']:6.1%}          {found['stable']:6.1%}   "
                f"{found['coverage_of_stable']:6.1%}     {found['processes']:5.1f}    {found['left']:6.1%}",
                flush=True,
            )
    low, high = AIM
    calibrated = [row for row in rows if row["noise"] == "normal"]
    held = all(low <= row["coverage"] <= high for row in calibrated)
    print(f"normal noise, every level within {low:.0%} to {high:.0%}: {'yes' if held else 'no'}")
    if options.json:
        settings = {name: value for name, value in vars(options).items() if name != "json"}
        options.json.write_text(json.dumps(settings | {"rows": rows}, indent=1))


if __name__ == "__main__":
    main()
