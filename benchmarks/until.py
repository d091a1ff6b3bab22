"""How many labels `collect latency --until-tau | --until-mape` takes, and how often its promise holds.

Plays the collection through on a bundled set, whose rows stand for the space: half of the networks are drawn
at random, the others are chosen among the rows as the command chooses them. When it stops, the predictor is
fitted to all labels taken and tested on the rows that are left. The promise holds if it reaches the target
there. Nominally that is so in 95 %.

    python benchmarks/until.py [--tau 0.95] [--mape 0.03] [--predictor layerwise] [--trials 100]
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hytnas_datasets.bundled import set_folder
from hytnas_datasets.labelled import LabelledSet
from hytnas_datasets.portable import read_set
from hytnas_datasets.spaces import Architecture
from hytnas_predictors.design import choose_networks
from hytnas_predictors.metrics import kendall_tau, mape
from hytnas_predictors.predictor import fit_predictor
from hytnas_predictors.stopping import (
    CANDIDATES,
    FIRST_LOOK,
    Goal,
    choose_uncertain,
    confidence_at,
    look,
    look_sizes,
    random_share,
)


@dataclass(frozen=True)
class Trial:
    """Labels at the stop, whether the goal was reached, and the scores on the rows that were left."""

    labels: int
    reached: bool
    tau: float
    mape: float


def play(labelled: LabelledSet, goal: Goal, estimator: str, most: int, rng: np.random.Generator) -> Trial:
    """One collection, from the first network to the stop."""
    rows = {architecture: row for row, architecture in enumerate(labelled.architectures)}
    taken: list[int] = []
    random: list[bool] = []

    def left() -> list[int]:
        return sorted(set(range(len(labelled))) - set(taken))

    def take(chosen: Sequence[int], *, at_random: bool) -> None:
        taken.extend(chosen)
        random.extend([at_random] * len(chosen))

    def architectures(some: Sequence[int]) -> list[Architecture]:
        return [labelled.architectures[row] for row in some]

    for size in look_sizes(most):
        wanted = random_share(size)
        take(rng.choice(left(), wanted - sum(random), replace=False).tolist(), at_random=True)
        n = size - len(taken)
        if size == FIRST_LOOK:
            chosen = choose_networks(
                labelled.space,
                labelled.context.task,
                n,
                rng,
                measured=architectures(taken),
                candidates=architectures(left()),
            )
        else:
            predictor = fit_predictor(estimator, labelled.take(taken), rng=rng)
            pool = rng.permutation(left())[: n * CANDIDATES].tolist()
            chosen = choose_uncertain(predictor, architectures(pool), n)
        take([rows[each] for each in chosen], at_random=False)
        found = look(labelled.take(taken), random, goal, confidence=confidence_at(size), estimator=estimator)
        if found.reached:
            break
    test = labelled.take(left())
    predicted = fit_predictor(estimator, labelled.take(taken), rng=rng).predict(test.architectures).mean
    return Trial(len(taken), found.reached, kendall_tau(test.y, predicted), mape(test.y, predicted))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", default="bundled:hyt-icount-a53")
    parser.add_argument("--tau", type=float)
    parser.add_argument("--mape", type=float)
    parser.add_argument("--predictor", default="layerwise")
    parser.add_argument("--max-n", type=int, default=160)
    parser.add_argument("--trials", type=int, default=100)
    options = parser.parse_args()
    goal = Goal(options.tau, options.mape)
    labelled = read_set(set_folder(options.data))
    trials = [
        play(labelled, goal, options.predictor, options.max_n, np.random.default_rng(seed))
        for seed in range(options.trials)
    ]
    stopped = [trial for trial in trials if trial.reached]
    kept = [
        (goal.tau is None or trial.tau >= goal.tau) and (goal.mape is None or trial.mape <= goal.mape)
        for trial in stopped
    ]
    print(f"{options.predictor} on {options.data}, {goal.describe()}, {len(trials)} collections")
    print(f"reached within {options.max_n} labels: {len(stopped)}")
    if stopped:
        quartiles = np.percentile([trial.labels for trial in stopped], [0, 25, 50, 75, 100])
        print(f"labels (least, quartiles, most): {', '.join(f'{each:.0f}' for each in quartiles)}")
        print(f"promise held: {sum(kept)} of {len(stopped)} ({np.mean(kept):.0%})")
        print(
            f"on the rows left: tau {np.mean([t.tau for t in stopped]):.3f}, "
            f"MAPE {np.mean([t.mape for t in stopped]):.1%} (means)"
        )


if __name__ == "__main__":
    main()
