"""The predictors on the measurements published beside the HyT-NAS paper, honestly and as the paper has it.

In parts, for latency and accuracy:

- ``defaults``: tau and mean error of every estimator with its defaults, by 5-fold cross-validation, beside
  the best figures known for these files;
- ``few-labels``: tau and how often the nominal 90 % interval holds, fitted to 20, 40, 80 and 160 labels;
- ``leaderboard``: the leaderboard of the defaults, with learning curves and edges, and how long it took;
- ``training-rows``: tau and rho on the very rows a predictor was trained on, where any figure up to 1 can be
  had and the paper's 0.93 to 0.95 come from;
- ``choices``: tau of every feature set and, for latency, both scales, on samples of 80 labels, the size of a
  first study, and without ``--quick`` on all rows.

The default parameters were chosen on these files and on simulated latencies, so the figures of the defaults
are a little too good.

    python benchmarks/predictors_released.py [--part P ...] [--target T] [--predictor NAME ...] [--repeats N]
        [--quick] [--json FILE]

The leaderboard of the paper's four on the 1,769 latencies, all of it, takes two minutes of one quiet core:

    python benchmarks/predictors_released.py --part leaderboard --target latency_ms --predictor paper

The data are read from ``HYTNAS_REFERENCE_DATA`` or ``../shared/reference``.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
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
from hytnas_host.cli.console import BarProgress
from hytnas_host.workflow.leaderboards import CURVE_SAMPLES
from hytnas_predictors.estimators import list_estimators, make_estimator
from hytnas_predictors.features import make_features
from hytnas_predictors.intervals import group_codes
from hytnas_predictors.leaderboard import build_leaderboard
from hytnas_predictors.leaderboard.validation import (
    HALF_WIDTH,
    CrossValidation,
    cross_validate,
    grouped_folds,
)
from hytnas_predictors.metrics import kendall_tau, mape, spearman
from hytnas_predictors.predictor import fit_predictor
from hytnas_predictors.recipes import LAYERWISE, Recipe, default_estimator, default_recipe, suits, to_scale

FEATURES = (
    ("ordinal",),
    ("one-hot",),
    ("physical",),
    ("ordinal", "physical"),
    ("work",),
    ("physical", "work"),
    ("widths", "ordinal"),
)
PAPER = ("xgboost", "lightgbm", "mlp2", "mlp3")
PARTS = ("defaults", "few-labels", "leaderboard", "training-rows", "choices")
# Out of 5 times 5-fold cross-validation, by studies of these files; what the noise allows is estimated.
KNOWN = {
    "latency_ms": {"best single model": 0.774, "best ensemble": 0.776, "ceiling, about": 0.78},
    "accuracy": {
        "xgboost, tuned": 0.798,
        "support vectors": 0.810,
        "best ensemble": 0.816,
        "ceiling, to": 0.86,
    },
}
SMALL = 80
SMALL_SAMPLES = 5
FEW = (20, 40, 80, 160)


def reference_folder() -> Path:
    """Where the published files are; ends the program where they are not."""
    folder = Path(os.environ.get("HYTNAS_REFERENCE_DATA", "../shared/reference")) / "hytnas_released"
    if not folder.is_dir():
        sys.exit(f"There is no {folder}. Set HYTNAS_REFERENCE_DATA to the folder of the reference data.")
    return folder


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


def validate(labelled: LabelledSet, recipe: Recipe, repeats: int) -> CrossValidation:
    """5-fold cross-validation."""
    x = make_features(labelled.space, labelled.architectures, labelled.context.task, recipe.features).x
    folds = grouped_folds(group_codes(labelled.plan_hashes), 5, repeats, 0)
    return cross_validate(recipe.make, x, labelled.y, folds, scale=recipe.scale)


def mean_tau(labelled: LabelledSet, result: CrossValidation) -> float:
    """Mean tau over the repeats of the cross-validation."""
    return float(np.mean([kendall_tau(labelled.y, row) for row in result.predicted]))


def score_defaults(labelled: LabelledSet, names: Sequence[str], repeats: int) -> list[dict[str, Any]]:
    """Each estimator with its defaults, the shipped default first, then what is known."""
    shipped, rows = default_estimator(labelled.target, labelled.space), []
    for name in sorted(names, key=lambda name: name != shipped):
        recipe = default_recipe(name, labelled.target, labelled.space)
        result = validate(labelled, recipe, repeats)
        row = {
            "predictor": f"{name} (default)" if name == shipped else name,
            "features": "+".join(recipe.features),
            "tau": mean_tau(labelled, result),
            "mape": float(np.mean([mape(labelled.y, each) for each in result.predicted])),
            "fit_s": result.fit_s,
        }
        show(row)
        rows.append(row)
    for name, tau in KNOWN[labelled.target.name].items():
        show({"known": name, "tau": tau})
    return rows


def score_few_labels(labelled: LabelledSet, names: Sequence[str]) -> list[dict[str, Any]]:
    """Each estimator with its defaults, fitted to random samples and tested on the rest."""
    orders, rows = (
        [np.random.default_rng(seed).permutation(len(labelled)) for seed in range(SMALL_SAMPLES)],
        [],
    )
    for name in names:
        recipe = default_recipe(name, labelled.target, labelled.space)
        x = make_features(labelled.space, labelled.architectures, labelled.context.task, recipe.features).x
        y = to_scale(labelled.y, recipe.scale)
        for count in FEW:
            taus, held = [], []
            for order in orders:
                some, others = order[:count], order[count:]
                fitted = recipe.make().fit(x[some], y[some], rng=np.random.default_rng(count))
                mean, std = fitted.predict_with_std(x[others])
                taus.append(kendall_tau(y[others], mean))
                held.append(np.mean(np.abs(y[others] - mean) <= HALF_WIDTH * std))
            row = {"predictor": name, "labels": count, "tau": np.mean(taus), "interval_holds": np.mean(held)}
            show(row)
            rows.append(row)
    return rows


def compare_choices(labelled: LabelledSet, names: Sequence[str], quick: bool) -> list[dict[str, Any]]:
    """tau of each estimator, feature set and scale, on all rows and on samples of 80."""
    rng = np.random.default_rng(0)
    samples = [cut(labelled, rng.permutation(len(labelled))[:SMALL]) for _ in range(SMALL_SAMPLES)]
    rows = []
    for name in names:
        few = {"members": 2} if "members" in make_estimator(name).get_params() else {}
        for features in FEATURES if name != LAYERWISE else (("work",),):
            scales = ("identity", "log") if labelled.target.scale == "log" else ("identity",)
            for scale in scales if name != LAYERWISE else ("log",):
                recipe = Recipe(name, features, scale, few)
                small = np.mean([mean_tau(each, validate(each, recipe, 1)) for each in samples])
                row = {"predictor": name, "features": "+".join(features), "scale": scale, "tau_80": small}
                if not quick:
                    row["tau_all"] = mean_tau(labelled, validate(labelled, recipe, 1))
                show(row)
                rows.append(row)
    return rows


def score_on_training_rows(labelled: LabelledSet, names: Sequence[str]) -> list[dict[str, Any]]:
    """What the predictors score on the rows they were fitted to, and what large trees do."""
    large = {"n_estimators": 1000, "max_depth": 6, "learning_rate": 0.1, "members": 1, "subsample": 1.0}
    recipes: list[tuple[str, Recipe | None]] = [(name, None) for name in names]
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


def score_leaderboard(labelled: LabelledSet, names: Sequence[str], repeats: int) -> list[dict[str, Any]]:
    """The leaderboard of the defaults, all of it."""
    started = time.perf_counter()
    board = build_leaderboard(
        labelled,
        estimators=names,
        repeats=repeats,
        edges=True,
        curve_samples=CURVE_SAMPLES,
        progress=BarProgress,
    )
    print(f"   {time.perf_counter() - started:.0f} s in all", flush=True)
    rows = []
    for score in (*board.scores, *board.baselines):
        tau = score.kendall_tau
        row = {
            "predictor": score.predictor, "features": score.features, "tau": tau.value, "low": tau.low,
            "high": tau.high, "rho": score.spearman, "mape": score.mape,
            "within_10_percent": score.within_10_percent, "fit_s": score.fit_s,
        }  # fmt: skip
        show(row)
        rows.append(row)
    print("  ", board.verdict, *board.notes)
    return rows


def run_part(
    part: str, labelled: LabelledSet, names: Sequence[str], repeats: int, quick: bool
) -> list[dict[str, Any]]:
    """The rows of one part, of the estimators of these names."""
    if part == "defaults":
        return score_defaults(labelled, names, repeats)
    if part == "few-labels":
        return score_few_labels(labelled, names)
    if part == "leaderboard":
        return score_leaderboard(labelled, names, repeats)
    if part == "training-rows":
        return score_on_training_rows(labelled, names)
    return compare_choices(labelled, names, quick)


def show(row: dict[str, Any]) -> None:
    print("  ", *(f"{k}={v:.3f}" if isinstance(v, float) else f"{k}={v}" for k, v in row.items()), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--part", action="append", choices=PARTS, help="repeat it for several; all without")
    parser.add_argument("--target", choices=tuple(KNOWN))
    parser.add_argument(
        "--predictor",
        action="append",
        choices=("paper", *list_estimators()),
        help="repeat it for several; paper: the four of the paper; all that suit the target without",
    )
    parser.add_argument("--repeats", type=int)
    parser.add_argument("--quick", action="store_true", help="samples of 80 only, and one repeat")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    folder = reference_folder()
    repeats = options.repeats or (1 if options.quick else 3)
    asked = {each for name in options.predictor or () for each in (PAPER if name == "paper" else (name,))}
    results: dict[str, Any] = {}
    for target, labelled in read_labels(folder).items():
        if options.target in (None, target):
            print(f"{target}: {len(labelled)} labels, {repeats} times 5 folds")
            names = [
                name
                for name in list_estimators()
                if suits(name, labelled.target, labelled.space)
                if not options.predictor or name in asked
            ]
            found = results[target] = {"labels": len(labelled)}
            for part in options.part or PARTS:
                print(f" {part}")
                found[part] = run_part(part, labelled, names, repeats, options.quick)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
