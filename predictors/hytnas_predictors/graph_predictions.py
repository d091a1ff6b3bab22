"""Predictions for networks of any origin: the work of a graph, and what a layer-wise predictor knows of it.

A kind of operator that no training row had gets no cost from the labels. It is charged like the most similar
kind that was seen and costs something (`STAND_INS`). That may be wrong by a factor of two either way, so the
standard deviation grows by log 2 times its share of the whole. Clipping and ReLU, which runtimes fuse into
the operator before, are charged nothing and may cost as much as their stand-in.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np

from hytnas_datasets.work import (
    KIND_COLUMNS,
    QUANTITIES,
    WORK_COLUMNS,
    WORK_KINDS,
    GraphWork,
    OperatorWork,
    UnknownNode,
    WorkKind,
    add_up,
)
from hytnas_predictors.estimators.layerwise import LayerwiseEstimator

STAND_INS: Final[Mapping[WorkKind, tuple[WorkKind, ...]]] = {
    "spatial": ("grouped", "pointwise", "linear", "depthwise"),
    "pointwise": ("linear", "spatial", "matmul"),
    "depthwise": ("grouped", "spatial", "pointwise"),
    "grouped": ("spatial", "depthwise", "pointwise"),
    "linear": ("pointwise", "matmul", "spatial"),
    "matmul": ("linear", "pointwise", "spatial"),
    "softmax": ("layer_norm", "activation", "silu", "elementwise"),
    "layer_norm": ("softmax", "batch_norm", "silu", "elementwise"),
    "batch_norm": ("elementwise", "silu", "activation"),
    "silu": ("activation", "elementwise", "relu"),
    "relu": ("elementwise", "concat", "rearrange", "silu", "activation"),
    "activation": ("silu", "elementwise", "relu"),
    "elementwise": ("concat", "silu", "activation", "relu"),
    "concat": ("rearrange", "elementwise", "silu"),
    "rearrange": ("concat", "elementwise", "silu"),
    "resize": ("rearrange", "elementwise", "silu"),
    "global_pool": ("elementwise", "silu", "activation"),
    "window_pool": ("depthwise", "grouped", "elementwise", "silu"),
}
"""For each kind of operator those that are most like it, the most similar first."""

FUSED: Final = ("relu",)
DOUBT: Final = math.log(2)
_SIZES: Final = {
    kind: [WORK_COLUMNS.index(f"{kind} {quantity}") for quantity in QUANTITIES[kind] if quantity != "count"]
    for kind in WORK_KINDS
}
"""Columns that grow with the operator."""


class GraphPrediction(msgspec.Struct, frozen=True):
    """What a layer-wise predictor says of one network.

    Attributes
    ----------
    mean, std : float
        In the unit of the labels; the standard deviation is that of a new label.
    extrapolated : bool
        Whether an operator was not seen in training or is not known, or the network is far from those of the
        training.
    unseen : dict
        Kinds that no training row had, and the kind that each is charged like; ``None`` where it is charged
        nothing.
    unknown : tuple of UnknownNode
        Operators that no kind stands for; they are charged nothing.
    """

    mean: float
    std: float
    extrapolated: bool
    unseen: dict[WorkKind, WorkKind | None]
    unknown: tuple[UnknownNode, ...]


def predict_graphs(estimator: LayerwiseEstimator, works: Sequence[GraphWork]) -> list[GraphPrediction]:
    """Predictions for the work of some graphs, by an estimator that was fitted to the feature set "work".

    Examples
    --------
    >>> from hytnas_datasets.bundled import load
    >>> from hytnas_datasets.work import NodeWork
    >>> from hytnas_predictors.predictor import fit_predictor
    >>> fitted = fit_predictor("layerwise", load("hyt-icount-a53"), rng=np.random.default_rng(0))
    >>> pooling = NodeWork("pool", "MaxPool", OperatorWork("window_pool", window=9000, written=1000))
    >>> predict_graphs(fitted.estimator, [GraphWork((pooling,))])[0].unseen
    {'window_pool': 'depthwise'}
    """
    costs, _ = estimator.unit_costs()
    charges = [_Charges.of(work, estimator) for work in works]
    rows = np.array([add_up(charge.charged) for charge in charges]).reshape(len(works), len(WORK_COLUMNS))
    means, stds, far = estimator.predict_with_range(rows)
    found = []
    for work, charge, row, mean, std, is_far in zip(works, charges, rows, means, stds, far, strict=True):
        doubt = DOUBT * _doubtful_share(work, float(row @ costs), float(add_up(charge.doubtful) @ costs))
        value = float(np.exp(mean))
        found.append(
            GraphPrediction(
                mean=value,
                std=value * math.hypot(float(std), doubt),
                extrapolated=bool(is_far or charge.unseen or work.unknown),
                unseen=charge.unseen,
                unknown=work.unknown,
            )
        )
    return found


class NodeCost(msgspec.Struct, frozen=True):
    """What one operator is charged, in the unit of the labels.

    ``kind`` is what it does, ``like`` the kind that it is charged like: the same where that was seen in
    training, ``None`` where it is charged nothing.
    """

    name: str
    operator: str
    kind: WorkKind
    like: WorkKind | None
    cost: float


class GraphExplanation(msgspec.Struct, frozen=True):
    """A prediction taken apart: operators that sum up to ``summed``; the whole is ``factor`` times that."""

    prediction: GraphPrediction
    summed: float
    factor: float
    nodes: tuple[NodeCost, ...]


def explain_graph(estimator: LayerwiseEstimator, work: GraphWork) -> GraphExplanation:
    """The prediction for a graph, operator by operator in the order of the file.

    Examples
    --------
    >>> from hytnas_datasets.bundled import load
    >>> from hytnas_datasets.work import NodeWork
    >>> from hytnas_predictors.predictor import fit_predictor
    >>> fitted = fit_predictor("layerwise", load("hyt-icount-a53"), rng=np.random.default_rng(0))
    >>> product = NodeWork("fc", "Gemm", OperatorWork("linear", macs=10**6, read=10**3, written=10**3))
    >>> found = explain_graph(fitted.estimator, GraphWork((product,)))
    >>> found.nodes[0].name, found.nodes[0].cost == found.summed
    ('fc', True)
    """
    costs, _ = estimator.unit_costs()
    charges = _Charges.of(work, estimator)
    nodes = tuple(
        NodeCost(
            node.name,
            node.operator,
            node.work.kind,
            None if charged is None else charged.kind,
            0.0 if charged is None else float(add_up([charged]) @ costs),
        )
        for node, charged in zip(work.nodes, charges.by_node, strict=True)
    )
    (prediction,) = predict_graphs(estimator, [work])
    summed = sum(node.cost for node in nodes)
    factor = prediction.mean / summed if summed > 0 else math.nan
    return GraphExplanation(prediction, summed, factor, nodes)


@dataclass(frozen=True)
class _Charges:
    """What each node of a graph is charged as, and what of it is in doubt."""

    by_node: list[OperatorWork | None]
    doubtful: list[OperatorWork]
    unseen: dict[WorkKind, WorkKind | None]

    @property
    def charged(self) -> list[OperatorWork]:
        """The operators of kinds that were seen."""
        return [operator for operator in self.by_node if operator is not None]

    @classmethod
    def of(cls, work: GraphWork, estimator: LayerwiseEstimator) -> "_Charges":
        """What an estimator that has seen some kinds makes of a graph."""
        costs, _ = estimator.unit_costs()
        seen = {kind for kind in WORK_KINDS if estimator.model_.seen[KIND_COLUMNS[kind]].any()}
        priced = {kind for kind in seen if costs[_SIZES[kind]].any()}
        found = cls([], [], {})
        for operator in (node.work for node in work.nodes):
            if operator.kind in seen:
                found.by_node.append(operator)
                continue
            stand_in = next((kind for kind in STAND_INS[operator.kind] if kind in priced), None)
            replaced = None if stand_in is None else _as(operator, stand_in)
            if replaced is not None:
                found.doubtful.append(replaced)
            fused = operator.kind in FUSED
            found.unseen[operator.kind] = None if fused else stand_in
            found.by_node.append(None if fused else replaced)
        return found


def _as(operator: OperatorWork, kind: WorkKind) -> OperatorWork:
    """An operator of another kind that handles as many elements; a pooling's time goes into what it reads."""
    handled = operator.window or (operator.read if operator.kind == "global_pool" else operator.written)
    written = operator.written if "macs" in QUANTITIES[kind] else handled
    return msgspec.structs.replace(
        operator,
        kind=kind,
        macs=operator.macs or operator.window,
        written=written,
        rows=max(operator.rows, 1),
    )


def _doubtful_share(work: GraphWork, total: float, doubtful: float) -> float:
    """How much of a prediction rests on kinds that were not seen; an unknown operator like an average one."""
    nodes = len(work.nodes) + len(work.unknown)
    unknown = len(work.unknown) / nodes if nodes else 0.0
    return (doubtful / total if total > 0 else float(doubtful > 0)) + unknown
