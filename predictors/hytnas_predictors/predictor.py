"""A fitted predictor: features, estimator, and everything that says what it may be used for."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import msgspec
import numpy as np
from numpy.typing import NDArray

from hytnas_datasets.errors import NotEnoughDataError
from hytnas_datasets.label_context import LabelContext
from hytnas_datasets.labelled import LabelledSet
from hytnas_datasets.quality_flags import FlagCount, QualityFlags
from hytnas_datasets.spaces import Architecture, Space
from hytnas_datasets.targets import Scale
from hytnas_datasets.work import WORK_COLUMNS
from hytnas_predictors.errors import PredictorError
from hytnas_predictors.estimators import Estimator
from hytnas_predictors.estimators.base import MINIMUM_ROWS, KnowsItsRange, check_labels
from hytnas_predictors.estimators.layerwise import LayerwiseEstimator
from hytnas_predictors.features import FeatureSet, make_features
from hytnas_predictors.recipes import Recipe, default_recipe, from_scale, to_scale

Floats = NDArray[np.float64]
LIBRARIES = ("hytnas", "numpy", "scikit-learn", "xgboost-cpu", "xgboost", "lightgbm", "safetensors")


class PriorInfo(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the prior of a transfer was fitted to: labels of another device."""

    provenance: str
    labels: int
    space: str
    context: LabelContext


class PredictorInfo(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a predictor was fitted to.

    ``feature_low`` and ``feature_high`` bound the training rows; ``context`` is what the labels depend on;
    ``quality_flags`` counts the labels that are doubtful, ``None`` where that is not known; ``prior`` is what
    a transfer started from.
    """

    name: str
    target: str
    unit: str
    scale: Scale
    features: tuple[FeatureSet, ...]
    feature_names: tuple[str, ...]
    feature_low: tuple[float, ...]
    feature_high: tuple[float, ...]
    label_low: float
    label_high: float
    labels: int
    networks: int
    space: str
    space_hash: str
    context: LabelContext
    provenance: str
    libraries: dict[str, str]
    quality_flags: FlagCount | None = None
    prior: PriorInfo | None = None


@dataclass(frozen=True)
class Prediction:
    """What a predictor says of n architectures.

    Attributes
    ----------
    mean, std : (n,) float64
        In the unit of the target; the standard deviation is the estimator's: over an ensemble without the
        labels' noise, of a Gaussian process with it.
    extrapolated : (n,) bool
        Whether a feature lies outside the range of the training rows, or the mean outside that of the labels;
        by an estimator that knows its range (`KnowsItsRange`), what it says.
    """

    mean: Floats
    std: Floats
    extrapolated: NDArray[np.bool_]


@dataclass(frozen=True)
class WorkRows:
    """Labelled networks of no space.

    Attributes
    ----------
    x : (n, c) float64
        Work columns.
    y : (n,) float64
        In the unit of the target.
    names : tuple of n str
        What a person calls them.
    repeats, quality_flags, left_out : tuples
        As of a `LabelledSet`.
    """

    x: Floats
    y: Floats
    names: tuple[str, ...]
    repeats: tuple[Floats, ...]
    quality_flags: tuple[QualityFlags, ...] = ()
    left_out: tuple[QualityFlags, ...] = ()

    def count_flags(self, labelled: LabelledSet) -> FlagCount | None:
        """How many of these labels and of the set's have which flag; ``None`` where that is not known."""
        if labelled.flag_count is None or len(self.quality_flags) < len(self.y):
            return None
        kept = (*labelled.quality_flags, *self.quality_flags)
        return FlagCount.of(kept, (*labelled.left_out, *self.left_out))


@dataclass(frozen=True)
class Predictor:
    """A fitted estimator with its features. ``warnings`` says what a forced loading overruled."""

    info: PredictorInfo
    space: Space
    estimator: Estimator
    warnings: tuple[str, ...] = ()

    def predict(self, architectures: Sequence[Architecture]) -> Prediction:
        """Mean, standard deviation and range flags, a row for each architecture.

        Raises
        ------
        PredictorError
            If an architecture is of another space.
        """
        for architecture in architectures:
            if architecture.space != self.space.name:
                raise PredictorError(
                    f"an architecture of {architecture.space} was given to a predictor for {self.space.name}",
                    f"Use architectures of {self.space.name}.",
                )
        x = make_features(self.space, architectures, self.info.context.task, self.info.features).x
        if isinstance(self.estimator, KnowsItsRange):
            on_scale, spread, extrapolated = self.estimator.predict_with_range(x)
            return Prediction(*from_scale(on_scale, spread, self.info.scale), extrapolated)
        mean, std = from_scale(*self.estimator.predict_with_std(x), self.info.scale)
        outside = ((x < np.array(self.info.feature_low)) | (x > np.array(self.info.feature_high))).any(axis=1)
        beyond = (mean < self.info.label_low) | (mean > self.info.label_high)
        return Prediction(mean, std, outside | beyond)


def layerwise_of(predictor: Predictor) -> LayerwiseEstimator | None:
    """The estimator of a layer-wise predictor; None of another one."""
    estimator = predictor.estimator
    if isinstance(estimator, LayerwiseEstimator) and predictor.info.features == ("work",):
        return estimator
    return None


def fit_predictor(
    name: str,
    labelled: LabelledSet,
    *,
    rng: np.random.Generator,
    recipe: Recipe | None = None,
    more: WorkRows | None = None,
) -> Predictor:
    """Fit the predictor ``name`` to all labels.

    Parameters
    ----------
    name : str
        A registered estimator.
    labelled : LabelledSet of n labels
    rng : numpy.random.Generator
    recipe : Recipe, optional
        Other features, scale or parameters than `default_recipe` gives.
    more : WorkRows, optional
        Labels beside those of the space, for an estimator of the feature set "work" alone.

    Raises
    ------
    PredictorError
        For an unknown estimator, labels that are NaN, and ``more`` where other features are fitted.
    NotEnoughDataError
        Below 4 labels.

    Examples
    --------
    >>> from hytnas_datasets.bundled import load
    >>> labels = load("hyt-icount-a53")
    >>> predictor = fit_predictor("lightgbm", labels, rng=np.random.default_rng(0))
    >>> prediction = predictor.predict(labels.architectures[:3])
    >>> prediction.mean.shape, prediction.std.shape, prediction.extrapolated.tolist()
    ((3,), (3,), [False, False, False])
    """
    recipe = recipe or default_recipe(name, labelled.target, labelled.space)
    table = make_features(labelled.space, labelled.architectures, labelled.context.task, recipe.features)
    x, y = table.x, check_labels(labelled.y)
    if more is not None:
        if table.names != WORK_COLUMNS:
            raise PredictorError(
                f"{name} is not fitted to work columns, so that labels of model files tell it nothing",
                "Fit layerwise.",
            )
        x, y = np.vstack([x, more.x]), np.concatenate([y, check_labels(more.y)])
    if len(y) < MINIMUM_ROWS:
        raise NotEnoughDataError(
            f"{len(y)} labels are too few to fit to{labelled.describe_left_out()}",
            f"Collect at least {MINIMUM_ROWS}",
        )
    estimator = recipe.make().fit(x, to_scale(y, recipe.scale), rng=rng)
    info = PredictorInfo(
        name=name,
        target=labelled.target.name,
        unit=labelled.target.unit,
        scale=recipe.scale,
        features=recipe.features,
        feature_names=table.names,
        feature_low=tuple(x.min(axis=0).tolist()),
        feature_high=tuple(x.max(axis=0).tolist()),
        label_low=float(y.min()),
        label_high=float(y.max()),
        labels=len(y),
        networks=len(set(labelled.plan_hashes)) + (0 if more is None else len(more.y)),
        space=labelled.space.name,
        space_hash=labelled.space.hash(),
        context=labelled.context,
        provenance=labelled.provenance,
        libraries=_library_versions(),
        quality_flags=labelled.flag_count if more is None else more.count_flags(labelled),
    )
    return Predictor(info, labelled.space, estimator)


def _library_versions() -> dict[str, str]:
    found = {}
    for library in LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            continue
    return found
