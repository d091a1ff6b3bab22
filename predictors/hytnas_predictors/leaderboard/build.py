"""Predictors compared by cross-validation on one set of labels, with intervals, ceiling and verdict."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from msgspec.structs import replace
from numpy.typing import NDArray

from hytnas_agent.records import EXECUTION_WORDS
from hytnas_datasets.errors import NotEnoughDataError
from hytnas_datasets.families import has_networks
from hytnas_datasets.labelled import LabelledSet
from hytnas_datasets.quality_flags import describe_flags
from hytnas_datasets.targets import get_target
from hytnas_predictors.errors import PredictorError
from hytnas_predictors.estimators import ESTIMATORS, estimator_class
from hytnas_predictors.estimators.base import check_labels
from hytnas_predictors.intervals import (
    DEFAULT_RESAMPLES,
    TauBootstrap,
    resample_weights,
)
from hytnas_predictors.leaderboard.baselines import (
    Column,
    baseline_columns,
    cross_validate_baseline,
    describe_table,
    fit_line,
    fit_mean,
    fixed_column,
)
from hytnas_predictors.leaderboard.candidates import (
    cross_validate_all,
    describe_failures,
    suitable_estimators,
)
from hytnas_predictors.leaderboard.ceiling import noise_ceiling
from hytnas_predictors.leaderboard.comparison import Contender, make_verdict
from hytnas_predictors.leaderboard.entries import add_edges, compare_with_best, draw_curves, enter, make_score
from hytnas_predictors.leaderboard.feature_comparison import compare_features
from hytnas_predictors.leaderboard.rows import WORK, Rows, gather_rows
from hytnas_predictors.leaderboard.trial import Trial
from hytnas_predictors.leaderboard.validation import MIN_SCORED, CrossValidation, grouped_folds
from hytnas_predictors.predictor import WorkRows
from hytnas_predictors.progress import ProgressFactory, SilentProgress
from hytnas_predictors.recipes import Recipe, default_recipe
from hytnas_predictors.result import Interval, Leaderboard, OutOfFold, Score

Floats = NDArray[np.float64]
FOLDED_FROM: Final = 20
"""From so many networks on folds are drawn; of fewer each network is a fold."""
CHANCE: Final = "mean"


def build_leaderboard(
    labelled: LabelledSet,
    *,
    more: WorkRows | None = None,
    estimators: Sequence[str] | None = None,
    recipes: Sequence[Recipe] = (),
    folds: int = 5,
    repeats: int = 3,
    seed: int = 0,
    resamples: int = DEFAULT_RESAMPLES,
    edges: bool = False,
    curve_samples: int = 0,
    feature_sets: bool = False,
    progress: ProgressFactory | None = None,
) -> Leaderboard:
    """Cross-validate predictors on the same folds and rank them by Kendall's tau-b.

    Parameters
    ----------
    labelled : LabelledSet of n labels
    more : WorkRows, optional
        Labels of model files beside them. Every predictor is fitted to work columns alone then.
    estimators : names, optional
        Registered estimators, each with its `default_recipe`; all that suit the labels without. Of these,
        one of an installed package that fails is left out, and named in the notes.
    recipes : Recipes
        In place of ``estimators``, to choose features, scale and parameters; no two of one estimator.
    folds, repeats : int
        K-fold cross-validation, repeated with other folds. Rows of one network share a fold. Below 20
        networks each is a fold by itself, and nothing is repeated.
    seed : int
        Of the folds, the fits and the bootstrap; equal seeds give equal leaderboards apart from times.
    resamples : int
        Of the bootstrap over networks.
    edges : bool
        Whether to test each predictor on the lowest and the highest tenth of the labels, fitted to all
        others.
    curve_samples : int
        Random samples for each point of the learning curves; none are drawn up for 0.
    feature_sets : bool
        Whether to try a straight line and boosted trees on each feature set alone.
    progress : callable, optional
        Makes a bar for a number of fits.

    Raises
    ------
    NotEnoughDataError
        Below 8 different networks.
    PredictorError
        For unknown estimators and labels that are NaN or, on the log scale, not positive.

    Examples
    --------
    >>> from hytnas_datasets.bundled import load
    >>> board = build_leaderboard(
    ...     load("hyt-icount-a53"), estimators=["lightgbm"], folds=2, repeats=1, resamples=50
    ... )
    >>> board.scores[0].predictor, board.scores[0].kendall_tau.value > 0.9
    ('lightgbm', True)
    """
    failures: dict[str, Exception] = {}
    unasked = estimators is None and not recipes
    names = suitable_estimators(labelled, failures) if unasked else estimators or ()
    chosen = list(recipes) or [default_recipe(name, labelled.target, labelled.space) for name in names]
    if more is not None:
        chosen = [dataclasses.replace(recipe, features=WORK) for recipe in chosen]
    _check_names(chosen)
    rows = gather_rows(labelled, chosen, more)
    _check_rows(rows, labelled)
    y, groups, bars = rows.y, rows.groups, progress or SilentProgress
    if rows.networks < FOLDED_FROM:
        folds, repeats = rows.networks, 1
    trial = Trial(y, groups, rows.tables, grouped_folds(groups, folds, repeats, seed), seed)
    may_fail = set(names) - set(ESTIMATORS.bundled) if unasked else set()
    results = cross_validate_all(trial, chosen, bars, may_fail=may_fail, failures=failures)
    weights = resample_weights(groups, resamples, np.random.default_rng([seed, repeats, folds]))
    bootstrap = TauBootstrap(y, groups, weights)
    ceiling, ceiling_note = noise_ceiling(
        y, rows.repeats, labelled.target, rng=np.random.default_rng([seed, 1])
    )
    entries = [
        enter(trial, recipe, results[recipe.estimator], bootstrap, ceiling)
        for recipe in chosen
        if recipe.estimator in results
    ]
    entries.sort(key=lambda entry: -entry.score.kendall_tau.value)
    compare_with_best(trial, entries)
    if edges:
        add_edges(trial, entries)
    scores = tuple(entry.score for entry in entries)
    columns = (
        baseline_columns(labelled, trial.folds) if more is None else {"macs": fixed_column(rows.log_macs)}
    )
    baselines, rivals = _baselines(columns, trial, bootstrap, entries[0].recipe)
    flag_count = labelled.flag_count if more is None else more.count_flags(labelled)
    return Leaderboard(
        target=labelled.target.name,
        unit=labelled.target.unit,
        space=labelled.space.name,
        labels=len(y),
        networks=trial.networks,
        folds=folds,
        repeats=repeats,
        seed=seed,
        context=labelled.context,
        provenance=labelled.provenance,
        scores=scores,
        baselines=baselines,
        ceiling=ceiling,
        architectures=rows.titles,
        measured=tuple(y.tolist()),
        out_of_fold=tuple(
            OutOfFold(entry.recipe.estimator, tuple(entry.result.predicted.mean(axis=0).tolist()))
            for entry in entries
        ),
        verdict=make_verdict([entry.contender for entry in entries], rivals),
        notes=(
            *([describe_flags(flag_count)] if labelled.target.has_flags else []),
            *_notes(labelled, scores, ceiling_note, [entry.recipe for entry in entries]),
            *_notes_on_rows(rows, 0 if more is None else len(more.y)),
            *(describe_table(labelled, [score.predictor for score in baselines]) if more is None else ()),
            *describe_failures(failures),
        ),
        quality_flags=flag_count,
        curves=draw_curves(trial, entries, curve_samples, bars),
        feature_scores=(  # of files there is nothing to encode
            compare_features(labelled, trial.folds, seed=seed, bars=bars)
            if feature_sets and more is None
            else ()
        ),
    )


def to_rows(leaderboard: Leaderboard) -> list[dict[str, str | float | bool | None]]:
    """One flat row for each predictor, best first, then the baselines."""
    of_device = get_target(leaderboard.target).of_device
    return [
        {
            "predictor": score.predictor,
            "features": score.features,
            "kendall_tau": score.kendall_tau.value,
            "kendall_tau_low": score.kendall_tau.low,
            "kendall_tau_high": score.kendall_tau.high,
            "spearman": score.spearman,
            f"rmse_{leaderboard.unit}": score.rmse,
            "mape": score.mape,
            "within_5_percent": score.within_5_percent,
            "within_10_percent": score.within_10_percent,
            "inside_90_percent": score.inside_90_percent,
            **{
                f"{edge}_tenth_{figure}": getattr(found, figure) if found else None
                for edge, found in (("lowest", score.lowest), ("highest", score.highest))
                for figure in ("kendall_tau", "mape")
            },
            "p_against_best": score.p_against_best,
            "fit_s": score.fit_s,
            "predict_us_per_row": score.predict_us_per_row,
            "leak_suspected": score.leak_suspected,
            "better_than_chance": score.better_than_chance,
            "baseline": score in leaderboard.baselines,
            "execution": leaderboard.context.execution if of_device else "",
        }
        for score in (*leaderboard.scores, *leaderboard.baselines)
    ]


def write_csv(leaderboard: Leaderboard, path: Path) -> None:
    """Write `to_rows` as a CSV file with a header.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from hytnas_datasets.bundled import load
    >>> board = build_leaderboard(
    ...     load("hyt-icount-a53"), estimators=["lightgbm"], folds=2, repeats=1, resamples=50
    ... )
    >>> with TemporaryDirectory() as folder:
    ...     write_csv(board, Path(folder, "board.csv"))
    ...     Path(folder, "board.csv").read_text().split(",")[:3]
    ['predictor', 'features', 'kendall_tau']
    """
    pd.DataFrame(to_rows(leaderboard)).to_csv(path, index=False)


def _check_names(recipes: Sequence[Recipe]) -> None:
    names = [recipe.estimator for recipe in recipes]
    if not names or len(set(names)) < len(names):
        raise PredictorError(
            f"the leaderboard was given {', '.join(names) or 'no estimator'}", "Name each once."
        )
    for name in names:
        estimator_class(name)


def _check_rows(rows: Rows, labelled: LabelledSet) -> None:
    if rows.networks < MIN_SCORED:
        target = labelled.target
        raise NotEnoughDataError(
            f"{rows.networks} labelled networks are too few for a leaderboard of {target.words}, "
            f"which takes at least {MIN_SCORED}{labelled.describe_left_out()}",
            f"Collect more: {target.collect} --n {4 * FOLDED_FROM}.",
        )
    check_labels(rows.y)


def _baselines(
    columns: Mapping[str, Column], trial: Trial, bootstrap: TauBootstrap, recipe: Recipe
) -> tuple[tuple[Score, ...], list[Contender]]:
    """Scores of the baselines, best first and chance last, and those that rank as contenders."""
    y, folds, scores, contenders = trial.y, trial.folds, [], []
    for name, column in columns.items():
        predicted = cross_validate_baseline(fit_line, column, y, folds, recipe.scale)
        taus = bootstrap.taus(predicted)
        score = make_score((name, f"log {name}"), y, CrossValidation(predicted, 0.0, 0.0), taus)
        scores.append(score)
        contenders.append(Contender(name, score.kendall_tau, taus))
    scores.sort(key=lambda score: -score.kendall_tau.value)
    predicted = cross_validate_baseline(fit_mean, fixed_column(y), y, folds, "identity")
    return (*scores, _score_of_chance(y, predicted)), contenders


def _score_of_chance(y: Floats, predicted: Floats) -> Score:
    """The mean orders nothing: its tau is 0, whatever the differences between the folds' means say."""
    score = make_score((CHANCE, "none"), y, CrossValidation(predicted, 0.0, 0.0), np.zeros(1))
    return replace(score, kendall_tau=Interval(0.0, 0.0, 0.0), spearman=0.0, better_than_chance=False)


def _notes(
    labelled: LabelledSet, scores: Sequence[Score], ceiling_note: str, recipes: Sequence[Recipe]
) -> tuple[str, ...]:
    notes = [ceiling_note]
    if labelled.context.execution != "native":
        notes.append(f"No device was measured: {EXECUTION_WORDS[labelled.context.execution]}.")
    if any(recipe.scale == "log" for recipe in recipes):
        notes.append("Predictors are fitted to the logarithm of the labels.")
    suspects = [score.predictor for score in scores if score.leak_suspected]
    if suspects:
        notes.append(f"Above the noise ceiling, investigate for a leak: {', '.join(suspects)}.")
    if not has_networks(labelled.space):
        notes.append(
            "The space has no layer plans, so there are no baselines macs, params, roofline and table."
        )
    return tuple(notes)


def _notes_on_rows(rows: Rows, files: int) -> list[str]:
    notes = []
    if files:
        notes.append(
            f"{files} of {len(rows.y)} labels are of model files: every predictor is fitted to work columns "
            "alone, and files of equal work are one network. Of these predictors only layerwise can be kept."
        )
    if rows.networks < FOLDED_FROM:
        notes.append(
            f"{rows.networks} networks are few: each is predicted by what was fitted to all others, and the "
            "intervals are wide. What has learned nothing then ranks backwards, with a tau down to -1."
        )
    if np.ptp(rows.y) == 0:
        notes.append("All labels are equal: there is nothing to rank.")
    return notes
