"""Architectures as rows of numbers: ordinal codes, indicators, and physical quantities of the layer plan."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from hytnas_datasets.families import get_family, has_networks
from hytnas_datasets.plan import Layer, Task, build_plan, count_layer
from hytnas_datasets.spaces import Architecture, Space, get_space
from hytnas_predictors.errors import PredictorError

FeatureSet = Literal["ordinal", "one-hot", "physical"]
FEATURE_SETS: tuple[FeatureSet, ...] = get_args(FeatureSet)
TOTALS = ("params", "macs", "activations")
MAC_CLASSES = ("depthwise", "pointwise", "spatial", "linear", "attention")
ELEMENT_CLASSES = ("silu", "batch_norm", "layer_norm", "rearrange", "resize", "join", "scores")
ELEMENT_CLASS_OF = {
    "silu": "silu", "batch_norm": "batch_norm", "layer_norm": "layer_norm", "unfold": "rearrange",
    "fold": "rearrange", "resize": "resize", "add": "join", "concat": "join",
}  # fmt: skip


@dataclass(frozen=True)
class FeatureTable:
    """Features of some architectures.

    Attributes
    ----------
    x : (n, d) float64
    names : tuple of d str
    """

    x: NDArray[np.float64]
    names: tuple[str, ...]


def make_features(
    space: Space, architectures: Sequence[Architecture], task: Task, sets: Sequence[FeatureSet]
) -> FeatureTable:
    """The columns of the given feature sets, side by side; each row depends on its architecture alone.

    Raises
    ------
    PredictorError
        For unknown sets, and for "physical" in a space that has no layer plan.
    """
    if not sets:
        raise PredictorError("no feature set was chosen", f"Choose among {', '.join(FEATURE_SETS)}.")
    tables = [_builder(name, space)(space, architectures, task) for name in sets]
    return FeatureTable(
        np.hstack([table.x for table in tables]), tuple(name for table in tables for name in table.names)
    )


def usable_sets(space: Space, sets: Sequence[FeatureSet]) -> tuple[FeatureSet, ...]:
    """Those of ``sets`` that the space offers ("physical" needs layer plans); "ordinal" if none is left."""
    if not has_networks(space):
        sets = [name for name in sets if name != "physical"]
    return tuple(sets) or ("ordinal",)


def physical_names(stage_names: Sequence[str]) -> tuple[str, ...]:
    """Names of the columns of the "physical" set, in order, for networks with these stages."""
    return (
        *(f"log {what}" for what in TOTALS),
        *(f"{stage} log {what}" for stage in stage_names for what in TOTALS),
        *(f"log {kind} macs" for kind in MAC_CLASSES),
        *(f"log {kind} elements" for kind in ELEMENT_CLASSES),
        "layers",
    )


@lru_cache(maxsize=32768)
def physical_quantities(architecture: Architecture, task: Task) -> tuple[float, ...]:
    """The row of the "physical" set: counts on the scale ``log(1 + count)``, and the number of layers.

    Multiply-accumulates are told apart by operator class, because a small processor spends several times
    longer on one of a depth-wise convolution than on one of a matrix product; operators without any count by
    the elements that they write.
    """
    plan = build_plan(architecture, task)
    stage_names = get_family(get_space(architecture.space).family).stages
    stages = plan.per_stage()
    per_class = dict.fromkeys((*MAC_CLASSES, *ELEMENT_CLASSES), 0)
    for layer in plan.layers:
        elements = int(np.prod(layer.shape))
        if layer.kind in ELEMENT_CLASS_OF:
            per_class[ELEMENT_CLASS_OF[layer.kind]] += elements
        elif (mac_class := _mac_class(layer)) is not None:
            counts = count_layer(layer)
            per_class[mac_class] += counts.macs
            if mac_class == "attention":
                per_class["scores"] += counts.activations - elements
    counted = [getattr(plan, what) for what in TOTALS]
    counted += [
        getattr(stages[stage], what) if stage in stages else 0 for stage in stage_names for what in TOTALS
    ]
    counted += [per_class[name] for name in (*MAC_CLASSES, *ELEMENT_CLASSES)]
    return (*np.log1p(counted).tolist(), float(len(plan.layers)))


def _mac_class(layer: Layer) -> str | None:
    if layer.kind == "conv":
        if layer.integer("groups") > 1:
            return "depthwise"
        return "pointwise" if layer.integer("kernel") == 1 else "spatial"
    return layer.kind if layer.kind in ("linear", "attention") else None


def _builder(name: FeatureSet, space: Space) -> Callable[[Space, Sequence[Architecture], Task], FeatureTable]:
    if name == "physical" and not has_networks(space):
        raise PredictorError(
            f"the space {space.name} has no layer plans, so no physical features",
            "Use the feature sets ordinal or one-hot.",
        )
    builders = {"ordinal": _ordinal, "one-hot": _one_hot, "physical": _physical}
    if name not in builders:
        raise PredictorError(f"unknown feature set {name!r}", f"Choose among {', '.join(FEATURE_SETS)}.")
    return builders[name]


def _ordinal(space: Space, architectures: Sequence[Architecture], task: Task) -> FeatureTable:
    del task
    return FeatureTable(space.encode(architectures).astype(np.float64), space.feature_names())


def _one_hot(space: Space, architectures: Sequence[Architecture], task: Task) -> FeatureTable:
    del task
    names = tuple(f"{variable.name}={choice}" for variable in space.variables for choice in variable.choices)
    return FeatureTable(np.asarray(space.one_hot(architectures), dtype=np.float64), names)


def _physical(space: Space, architectures: Sequence[Architecture], task: Task) -> FeatureTable:
    names = physical_names(get_family(space.family).stages)
    rows = [physical_quantities(architecture, task) for architecture in architectures]
    return FeatureTable(np.array(rows, dtype=np.float64).reshape(len(rows), len(names)), names)
