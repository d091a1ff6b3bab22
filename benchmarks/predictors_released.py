"""The predictors on the measurements published beside the HyT-NAS paper, honestly and as the paper has it.

For latency and accuracy, prints the leaderboard of the defaults; tau and rho on the very rows a predictor
was trained on, where any figure up to 1 can be had and the paper's 0.93 to 0.95 come from; and tau out of
cross-validation of every feature set and, for latency, both scales, also on samples of 80 labels, the size of
a first study.

The default parameters were chosen on these files and on simulated latencies, so the figures of the defaults
are a little too good.

    python benchmarks/predictors_released.py [--quick] [--json FILE]

The data are read from ``HYTNAS_REFERENCE_DATA`` or ``../shared/reference``.
"""

import argparse
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hytnas_datasets.label_context import LabelContext
from hytnas_datasets.labelled import LabelledSet
from hytnas_datasets.plan import Task, network_hash
from hytnas_datasets.spaces import get_space
from hytnas_datasets.spaces.released import read_released
from hytnas_datasets.targets import get_target
from hytnas_predictors.estimators import list_estimators
from hytnas_predictors.features import make_features
from hytnas_predictors.intervals import group_codes
from hytnas_predictors.leaderboard import build_leaderboard
from hytnas_predictors.metrics import kendall_tau, spearman
from hytnas_predictors.predictor import fit_predictor
from hytnas_predictors.recipes import Recipe
from hytnas_predictors.validation import cross_validate, grouped_folds

FEATURES = (("ordinal",), ("one-hot",), ("physical",), ("work",), ("ordinal", "physical"))
SMALL = 80
SMALL_SAMPLES = 5


def read_labels(folder: Path) -> dict[str, LabelledSet]:
    """The published files as labelled sets, by target."""
    task, space, found = Task(), get_space("hyt-released"), {}
    for target, released in read_released(folder).items():
        found[target] = LabelledSet(
            space=space,
            architectures=released.architectures,
            plan_hashes=tuple(network_hash(each, task) for each in released.architectures),
            y=released.y,
            repeats=tuple(released.y[i : i + 1] for i in range(len(released))),
            target=get_target(target),
            context=LabelContext(task),
            provenance=f"published beside the HyT-NAS paper, {released.source}",
        )
    return found


def cut(labelled: LabelledSet, rows: Any) -> LabelledSet:
    """Some rows of a labelled set."""
    return replace(
        labelled,
        architectures=tuple(labelled.architectures[i] for i in rows),
        plan_hashes=tuple(labelled.plan_hashes[i] for i in rows),
        y=labelled.y[rows],
        repeats=tuple(labelled.repeats[i] for i in rows),
    )


def validated_tau(labelled: LabelledSet, recipe: Recipe, repeats: int) -> float:
    """Mean tau over the repeats of 5-fold cross-validation."""
    x = make_features(labelled.space, labelled.architectures, labelled.context.task, recipe.features).x
    folds = grouped_folds(group_codes(labelled.plan_hashes), 5, repeats, 0)
    result = cross_validate(recipe.make, x, labelled.y, folds, scale=recipe.scale)
    return float(np.mean([kendall_tau(labelled.y, row) for row in result.predicted]))


def compare_choices(labelled: LabelledSet, quick: bool) -> list[dict[str, Any]]:
    """tau of each estimator, feature set and scale, on all rows and on samples of 80."""
    rng = np.random.default_rng(0)
    samples = [cut(labelled, rng.permutation(len(labelled))[:SMALL]) for _ in range(SMALL_SAMPLES)]
    rows = []
    for name in list_estimators():
        for features in FEATURES:
            for scale in ("identity", "log") if labelled.target.scale == "log" else ("identity",):
                recipe = Recipe(name, features, scale, {"members": 2})
                small = np.mean([validated_tau(sample, recipe, 1) for sample in samples])
                row = {"predictor": name, "features": "+".join(features), "scale": scale, "tau_80": small}
                if not quick:
                    row["tau_all"] = validated_tau(labelled, recipe, 1)
                show(row)
                rows.append(row)
    return rows


def score_on_training_rows(labelled: LabelledSet) -> list[dict[str, Any]]:
    """What the predictors score on the rows they were fitted to, and what large trees do."""
    large = {"n_estimators": 1000, "max_depth": 6, "learning_rate": 0.1, "members": 1, "subsample": 1.0}
    recipes: list[tuple[str, Recipe | None]] = [(name, None) for name in list_estimators()]
    recipes.append(("xgboost", Recipe("xgboost", ("ordinal",), "identity", large)))
    rows = []
    for name, recipe in recipes:
        predictor = fit_predictor(name, labelled, rng=np.random.default_rng(0), recipe=recipe)
        mean = predictor.predict(labelled.architectures).mean
        row = {
            "predictor": f"{name}, 1000 trees of depth 6" if recipe else name,
            "tau_on_training_rows": kendall_tau(labelled.y, mean),
            "rho_on_training_rows": spearman(labelled.y, mean),
        }
        show(row)
        rows.append(row)
    return rows


def show(row: dict[str, Any]) -> None:
    print("  ", *(f"{k}={v:.3f}" if isinstance(v, float) else f"{k}={v}" for k, v in row.items()), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="samples of 80 only, and one repeat")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    folder = Path(os.environ.get("HYTNAS_REFERENCE_DATA", "../shared/reference")) / "hytnas_released"
    if not folder.is_dir():
        sys.exit(f"There is no {folder}. Set HYTNAS_REFERENCE_DATA to the folder of the reference data.")
    results: dict[str, Any] = {}
    for target, labelled in read_labels(folder).items():
        print(f"{target}: {len(labelled)} labels")
        board = build_leaderboard(labelled, repeats=1 if options.quick else 3)
        for score in (*board.scores, *board.baselines):
            tau = score.kendall_tau
            show(
                {"predictor": score.predictor, "features": score.features, "tau": tau.value, "low": tau.low,
                 "high": tau.high, "rho": score.spearman, "mape": score.mape,
                 "within_10_percent": score.within_10_percent, "fit_s": score.fit_s}
            )  # fmt: skip
        print("  ", board.verdict, *board.notes)
        results[target] = {
            "labels": len(labelled),
            "leaderboard": [[score.predictor, score.kendall_tau.value] for score in board.scores],
            "verdict": board.verdict,
            "on_training_rows": score_on_training_rows(labelled),
            "choices": compare_choices(labelled, options.quick),
        }
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
