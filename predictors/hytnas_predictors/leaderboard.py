"""Predictors compared by cross-validation on one set of labels, with intervals, ceiling and verdict."""

from collections.abc import Sequence
from pathlib import Path

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
from hytnas_predictors.baselines import (
    baseline_columns,
    cross_validate_baseline,
    describe_table,
    fit_line,
    fit_mean,
    fixed_column,
)
from hytnas_predictors.candidates import cross_validate_all, describe_failures, suitable_estimators
from hytnas_predictors.ceiling import noise_ceiling
from hytnas_predictors.comparison import Contender, make_verdict
from hytnas_predictors.entries import add_edges, compare_with_best, draw_curves, enter, make_score
from hytnas_predictors.errors import PredictorError
from hytnas_predictors.estimators import ESTIMATORS, estimator_class
from hytnas_predictors.estimators.base import check_labels
from hytnas_predictors.intervals import (
    DEFAULT_RESAMPLES,
    TauBootstrap,
    group_codes,
    resample_weights,
)
from hytnas_predictors.progress import ProgressFactory, SilentProgress
from hytnas_predictors.recipes import Recipe, default_recipe
from hytnas_predictors.result import Interval, Leaderboard, OutOfFold, Score
from hytnas_predictors.trial import Trial, feature_tables
from hytnas_predictors.validation import CrossValidation, grouped_folds

Floats = NDArray[np.float64]
MINIMUM_NETWORKS = 20
CHANCE = "mean"


def build_leaderboard(
    labelled: LabelledSet,
    *,
    estimators: Sequence[str] | None = None,
    recipes: Sequence[Recipe] = (),
    folds: int = 5,
    repeats: int = 3,
    seed: int = 0,
    resamples: int = DEFAULT_RESAMPLES,
    edges: bool = False,
    curve_samples: int = 0,
    progress: ProgressFactory | None = None,
) -> Leaderboard:
    """Cross-validate predictors on the same folds and rank them by Kendall's tau-b.

    Parameters
    ----------
    labelled : LabelledSet of n labels
    estimators : names, optional
        Registered estimators, each with its `default_recipe`; all that suit the labels without. Of these,
        one of an installed package that fails is left out, and named in the notes.
    recipes : Recipes
        In place of ``estimators``, to choose features, scale and parameters; no two of one estimator.
    folds, repeats : int
        K-fold cross-validation, repeated with other folds. Rows of one network share a fold.
    seed : int
        Of the folds, the fits and the bootstrap; equal seeds give equal leaderboards apart from times.
    resamples : int
        Of the bootstrap over networks.
    edges : bool
        Whether to test each predictor on the lowest and the highest tenth of the labels, fitted to all
        others.
    curve_samples : int
        Random samples for each point of the learning curves; none are drawn up for 0.
    progress : callable, optional
        Makes a bar for a number of fits.

    Raises
    ------
    NotEnoughDataError
        Below 20 different networks.
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
    _check(labelled, chosen)
    y, groups, bars = labelled.y, _network_groups(labelled), progress or SilentProgress
    trial = Trial(
        y, groups, feature_tables(labelled, chosen), grouped_folds(groups, folds, repeats, seed), seed
    )
    may_fail = set(names) - set(ESTIMATORS.bundled) if unasked else set()
    results = cross_validate_all(trial, chosen, bars, may_fail=may_fail, failures=failures)
    weights = resample_weights(groups, resamples, np.random.default_rng([seed, repeats, folds]))
    bootstrap = TauBootstrap(y, groups, weights)
    ceiling, ceiling_note = noise_ceiling(
        y, labelled.repeats, labelled.target, rng=np.random.default_rng([seed, 1])
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
    baselines, rivals = _baselines(labelled, trial, bootstrap, entries[0].recipe)
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
        architectures=tuple(labelled.space.format(each) for each in labelled.architectures),
        measured=tuple(y.tolist()),
        out_of_fold=tuple(
            OutOfFold(entry.recipe.estimator, tuple(entry.result.predicted.mean(axis=0).tolist()))
            for entry in entries
        ),
        verdict=make_verdict([entry.contender for entry in entries], rivals),
        notes=(
            *_notes(labelled, scores, ceiling_note, [entry.recipe for entry in entries]),
            *describe_table(labelled, [score.predictor for score in baselines]),
            *describe_failures(failures),
        ),
        quality_flags=labelled.flag_count,
        curves=draw_curves(trial, entries, curve_samples, bars),
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


def _check(labelled: LabelledSet, recipes: Sequence[Recipe]) -> None:
    names = [recipe.estimator for recipe in recipes]
    if not names or len(set(names)) < len(names):
        raise PredictorError(
            f"the leaderboard was given {', '.join(names) or 'no estimator'}", "Name each once."
        )
    for name in names:
        estimator_class(name)
    networks = len(set(_network_names(labelled)))
    if networks < MINIMUM_NETWORKS:
        target = labelled.target
        raise NotEnoughDataError(
            f"{networks} labelled networks are too few for a leaderboard of {target.words}, "
            f"which takes at least {MINIMUM_NETWORKS}{labelled.describe_left_out()}",
            f"Collect more: {target.collect} --n {4 * MINIMUM_NETWORKS}.",
        )
    check_labels(labelled.y)


def _network_names(labelled: LabelledSet) -> list[str]:
    """The identity of each row's network; the architecture stands in where no plan is known."""
    pairs = zip(labelled.plan_hashes, labelled.architectures, strict=True)
    return [plan_hash or labelled.space.format(architecture) for plan_hash, architecture in pairs]


def _network_groups(labelled: LabelledSet) -> NDArray[np.int64]:
    return group_codes(_network_names(labelled))


def _baselines(
    labelled: LabelledSet, trial: Trial, bootstrap: TauBootstrap, recipe: Recipe
) -> tuple[tuple[Score, ...], list[Contender]]:
    """Scores of the baselines, best first and chance last, and those that rank as contenders."""
    y, folds, scores, contenders = trial.y, trial.folds, [], []
    for name, column in baseline_columns(labelled, folds).items():
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
    notes = [describe_flags(labelled.flag_count)] if labelled.target.has_flags else []
    notes.append(ceiling_note)
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
    if np.ptp(labelled.y) == 0:
        notes.append("All labels are equal: there is nothing to rank.")
    return tuple(notes)
