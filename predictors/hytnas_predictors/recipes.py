"""What a predictor is made of: an estimator and its parameters, its features, the scale of its target."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hytnas_datasets.families import get_family, has_networks
from hytnas_datasets.spaces import Space
from hytnas_datasets.targets import Scale, Target
from hytnas_predictors.errors import PredictorError
from hytnas_predictors.estimators import Estimator, make_estimator
from hytnas_predictors.features import FeatureSet, make_features, usable_sets

Floats = NDArray[np.float64]
SMOOTH = ("gp", "ridge", "mlp2", "mlp3", "ensemble")
LAYERWISE = "layerwise"
TRANSFER = "transfer"


@dataclass(frozen=True)
class Recipe:
    """How to make a predictor.

    Attributes
    ----------
    estimator : str
        A registered name.
    features : tuple of feature sets
    scale : "identity" or "log"
        What the squared error is taken of: the label, or its logarithm (for labels that are positive and
        whose error is relative).
    params : dict
        Parameters of the estimator that differ from its defaults.
    """

    estimator: str
    features: tuple[FeatureSet, ...]
    scale: Scale = "identity"
    params: dict[str, Any] = field(default_factory=dict)

    def make(self) -> Estimator:
        """The unfitted estimator."""
        return make_estimator(self.estimator, **self.params)


def default_recipe(estimator: str, target: Target, space: Space) -> Recipe:
    """The features and scale that this estimator gets where nobody chooses others.

    Trees take the ordinal codes beside the physical quantities. For what is smooth in its columns the codes
    are ballast (tau of ``gp`` on the published accuracies 0.807 with them, 0.810 without), and it takes the
    physical quantities alone, or in a space without layer plans the indicators and numbers: on 60 training
    times of translation networks [ZD20]_ ``ridge`` has a tau of 0.62 with both, 0.61 and 0.60 with one of
    them, ``lightgbm`` 0.59. The scale is the target's:
    latencies are fitted on the log scale, which ranks as well or a little better and makes errors relative.
    ``benchmarks/predictors_released.py`` prints the comparison.

    References
    ----------
    .. [ZD20] Zhang and Duh, "Reproducible and efficient benchmarks for hyperparameter optimization of neural
       machine translation systems", TACL 8, 2020: the tabular benchmark, pair sw-en.

    Examples
    --------
    >>> from hytnas_datasets.spaces import get_space
    >>> from hytnas_datasets.targets import get_target
    >>> default_recipe("xgboost", get_target("latency_ms"), get_space("hyt")).scale
    'log'
    """
    if estimator in (LAYERWISE, TRANSFER):
        return Recipe(estimator, ("work",), "log")
    if estimator == "ensemble" and has_networks(space):
        return _default_ensemble(target, space)
    sets: Sequence[FeatureSet] = ("ordinal", "physical")
    if estimator in SMOOTH:
        sets = ("physical",) if has_networks(space) else ("one-hot", "numeric")
    return Recipe(
        estimator=estimator,
        features=usable_sets(space, sets),
        scale=target.scale,
    )


def _default_ensemble(target: Target, space: Space) -> Recipe:
    """Smooth members see the physical quantities, trees these or the widths, each with the ordinal codes."""
    sets: tuple[FeatureSet, ...] = ("widths", "ordinal", "physical")
    task = get_family(space.family).default_task  # the names of columns are the same for any
    width, ordinal, physical = np.cumsum([len(make_features(space, (), task, [name]).names) for name in sets])
    columns = (ordinal, physical, ordinal, physical, width, physical, 0, ordinal)
    return Recipe(
        "ensemble",
        sets,
        target.scale,
        {
            "estimators": ("gp", "ridge", "lightgbm", "lightgbm"),
            "columns": tuple(int(column) for column in columns),
        },
    )


def suits(estimator: str, target: Target, space: Space) -> bool:
    """Whether a leaderboard tries this estimator where nobody names any.

    Layer by layer costs are summed: that takes layer plans, and a target that a sum can be of. A transfer
    takes a prior, which a leaderboard does not have.
    """
    if estimator == TRANSFER:
        return False
    return estimator != LAYERWISE or (has_networks(space) and target.adds_up)


def default_estimator(target: Target, space: Space) -> str:
    """The estimator that is fitted where nobody names one, and no leaderboard has found a better one.

    Where costs add up it is ``layerwise``, and ``gp`` for the rest: on the published accuracies no other
    single one ranks better, and ``ensemble`` by 0.005 at most (``benchmarks/predictors_released.py``).

    Examples
    --------
    >>> from hytnas_datasets.spaces import get_space
    >>> from hytnas_datasets.targets import get_target
    >>> default_estimator(get_target("latency_ms"), get_space("hyt"))
    'layerwise'
    >>> default_estimator(get_target("accuracy"), get_space("hyt"))
    'gp'
    """
    return LAYERWISE if suits(LAYERWISE, target, space) else "gp"


def to_scale(y: Floats, scale: Scale) -> Floats:
    """Labels on the fitted scale; raises PredictorError for a label that has no logarithm."""
    if scale == "identity":
        return y
    bad = np.flatnonzero(~(y > 0))
    if len(bad):
        raise PredictorError(
            f"{len(bad)} of {len(y)} labels are not positive (first: row {bad[0]} is {y[bad[0]]:g})",
            "Remove these rows or measure them again.",
        )
    return np.asarray(np.log(y))


def from_scale(mean: Floats, std: Floats, scale: Scale) -> tuple[Floats, Floats]:
    """Mean and standard deviation back in the unit of the label; one of logarithms is a relative one."""
    if scale == "identity":
        return mean, std
    value = np.exp(mean)
    return value, value * std
