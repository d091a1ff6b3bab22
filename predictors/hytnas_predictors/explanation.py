"""What a layer-wise predictor learned, in words a person can check: costs of work, and a network's stages."""

from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from hytnas_agent.records import Execution
from hytnas_datasets.families import get_family
from hytnas_datasets.spaces import Architecture
from hytnas_datasets.targets import get_target
from hytnas_datasets.work import KIND_COLUMNS, WORK, WORK_COLUMNS, WORK_KINDS, sum_stages, tabulate_stages
from hytnas_predictors.errors import PredictorError
from hytnas_predictors.estimators.layerwise import LayerwiseEstimator
from hytnas_predictors.predictor import Predictor, layerwise_of

Floats = NDArray[np.float64]

UNIT_WORDS: Final = {
    "macs": "multiply-accumulate",
    "read": "element read",
    "written": "element written",
    "weights": "weight",
    "rows": "row",
    "window": "element in a window",
    "count": "operator",
}


class UnitCost(msgspec.Struct, frozen=True):
    """What one unit of a kind of work costs, in the unit of the target, with its 95 % interval."""

    kind: str
    quantity: str
    cost: float
    low: float
    high: float


class StageCost(msgspec.Struct, frozen=True):
    """What a stage of a network costs, in the unit of the target: in all, and by kind of operator."""

    stage: str
    cost: float
    by_kind: dict[str, float]


class Explanation(msgspec.Struct, frozen=True):
    """A prediction taken apart.

    ``predicted`` is ``summed`` (the costs of the stages) times ``factor`` (what the Gaussian process found
    the sum to leave over for networks like this one); ``std`` and ``extrapolated`` are the prediction's,
    ``execution`` is how the labels came about.
    """

    architecture: str
    target: str
    unit: str
    execution: Execution
    predicted: float
    std: float
    extrapolated: bool
    summed: float
    factor: float
    stages: tuple[StageCost, ...]


def explain(predictor: Predictor, architecture: Architecture) -> Explanation:
    """The prediction for one architecture, stage by stage.

    Raises
    ------
    PredictorError
        If the predictor is no layer-wise one, or the architecture is of another space.

    Examples
    --------
    >>> from hytnas_datasets.bundled import load
    >>> from hytnas_predictors.predictor import fit_predictor
    >>> labels = load("hyt-icount-a53")
    >>> predictor = fit_predictor("layerwise", labels, rng=np.random.default_rng(0))
    >>> found = explain(predictor, labels.architectures[0])
    >>> [stage.stage for stage in found.stages]
    ['stem', 'stage1', 'stage2', 'stage3', 'stage4', 'stage5', 'head']
    >>> bool(np.isclose(sum(stage.cost for stage in found.stages), found.summed))
    True
    """
    costs, _ = layerwise_estimator(predictor).unit_costs()
    prediction = predictor.predict([architecture])
    tables = tabulate_stages(predictor.space, [architecture], predictor.info.context.task)
    stages = []
    for name, table in zip(get_family(predictor.space.family).stages, tables, strict=True):
        spent = sum_stages([table], WORK)[0] * costs
        by_kind = {kind: float(spent[KIND_COLUMNS[kind]].sum()) for kind in WORK_KINDS}
        stages.append(StageCost(name, float(spent.sum()), {k: v for k, v in by_kind.items() if v > 0}))
    summed = sum(stage.cost for stage in stages)
    predicted = float(prediction.mean[0])
    return Explanation(
        architecture=predictor.space.format(architecture),
        target=predictor.info.target,
        unit=get_target(predictor.info.target).unit,
        execution=predictor.info.context.execution,
        predicted=predicted,
        std=float(prediction.std[0]),
        extrapolated=bool(prediction.extrapolated[0]),
        summed=summed,
        factor=predicted / summed if summed > 0 else float("nan"),
        stages=tuple(stages),
    )


def unit_costs(predictor: Predictor) -> tuple[UnitCost, ...]:
    """What each kind of work costs by a layer-wise predictor; what it found to be free is left out.

    Raises
    ------
    PredictorError
        If the predictor is no layer-wise one.

    Examples
    --------
    >>> from hytnas_datasets.bundled import load
    >>> from hytnas_predictors.predictor import fit_predictor
    >>> predictor = fit_predictor("layerwise", load("hyt-icount-a53"), rng=np.random.default_rng(0))
    >>> found = {(each.kind, each.quantity): each for each in unit_costs(predictor)}
    >>> product = found["pointwise", "macs"]
    >>> product.low < product.cost < product.high
    True
    """
    costs, (low, high) = layerwise_estimator(predictor).unit_costs()
    names = (name.split(" ") for name in WORK_COLUMNS)
    return tuple(
        UnitCost(kind, quantity, float(cost), float(least), float(most))
        for (kind, quantity), cost, least, most in zip(names, costs, low, high, strict=True)
        if most > 0
    )


def layerwise_estimator(predictor: Predictor) -> LayerwiseEstimator:
    """The estimator of a layer-wise predictor; raises PredictorError for another one."""
    estimator = layerwise_of(predictor)
    if estimator is None:
        raise PredictorError(
            f"{predictor.info.name} does not say what a layer costs",
            "Fit one that does: hytnas-profile train --predictor layerwise.",
        )
    return estimator
