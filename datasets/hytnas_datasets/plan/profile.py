"""Where a network spends its time: a profile of operators, brought back to the stages of its plan.

The exported graph names each node after the layer it comes from (``/stage3/transformer1/attention/qkv/Gemm``
of the layer ``stage3/transformer1/attention/qkv``). A runtime keeps these names, and lengthens them where it
fuses operators. Those that it inserts, to change the layout of a tensor, have names of its own and go to the
stage whose convolution they serve: the next one for ``ReorderInput``, the last one before for all others.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

import msgspec

from hytnas_agent.pass_records import OperatorProfile, OperatorTime
from hytnas_datasets.plan.layers import Layer
from hytnas_datasets.plan.plan import LayerPlan

DEPTHWISE: Final = "depth-wise convolution"
OTHER: Final = "other"

_GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "convolution": ("Conv", "FusedConv", "NhwcFusedConv", "QLinearConv", "ConvInteger", "NhwcConv"),
    "matrix product": (
        "Gemm", "MatMul", "FusedMatMul", "FusedGemm", "QGemm", "QLinearMatMul", "MatMulInteger",
        "MatMulIntegerToFloat", "DynamicQuantizeMatMul", "Attention", "MultiHeadAttention",
    ),
    "softmax": ("Softmax", "QLinearSoftmax"),
    "normalisation": (
        "LayerNormalization", "SkipLayerNormalization", "SimplifiedLayerNormalization", "BatchNormalization",
    ),
    "activation and sum": (
        "QuickGelu", "Gelu", "BiasGelu", "FastGelu", "Sigmoid", "Mul", "Add", "Relu", "Clip", "HardSwish",
        "HardSigmoid", "QLinearAdd", "QLinearMul", "QLinearSigmoid", "Sum", "Div", "Sub", "Swish",
    ),
    "moving data": (
        "Transpose", "Reshape", "Concat", "Split", "Slice", "Gather", "Cast", "Flatten", "Squeeze",
        "Unsqueeze", "ReorderInput", "ReorderOutput", "SpaceToDepth", "DepthToSpace", "Resize", "Upsample",
        "Pad", "Identity", "Shape", "Expand", "QLinearConcat",
    ),
    "quantising": ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"),
}  # fmt: skip

GROUPS: Final = (DEPTHWISE, *_GROUPS, OTHER)
"""Kinds of operators, as a breakdown tells them apart."""

_GROUP_OF: Final = MappingProxyType({kind: group for group, kinds in _GROUPS.items() for kind in kinds})


class Breakdown(msgspec.Struct, frozen=True):
    """Milliseconds of one inference by stage and group of operators.

    ``stages`` holds every stage of the plan in the order of the network, each with its groups' times;
    ``unmapped_ms`` is the time of operators that belong to no stage; ``outside_ms`` that of the run which no
    operator took. Without a plan there is one stage, named ``whole``.
    """

    stages: dict[str, dict[str, float]]
    unmapped_ms: float
    outside_ms: float
    runs: int

    @property
    def kernel_ms(self) -> float:
        """Time of all operators."""
        return sum(self.stage_ms.values()) + self.unmapped_ms

    @property
    def coverage(self) -> float:
        """Share of the operators' time that belongs to a stage."""
        return 1 - self.unmapped_ms / self.kernel_ms if self.kernel_ms else 0.0

    @property
    def stage_ms(self) -> dict[str, float]:
        """Time of each stage."""
        return {stage: sum(groups.values()) for stage, groups in self.stages.items()}

    @property
    def group_ms(self) -> dict[str, float]:
        """Time of each group over all stages, in the order of ``GROUPS``; only those that took any."""
        total = {group: sum(groups.get(group, 0.0) for groups in self.stages.values()) for group in GROUPS}
        return {group: time_ms for group, time_ms in total.items() if time_ms > 0}


def layer_of(plan: LayerPlan, node_name: str) -> Layer | None:
    """The layer that a node of the exported graph, or an operator made of it, belongs to."""
    layers = {layer.name: layer for layer in plan.layers}
    return _find(layers, node_name)


def layers_of(profile: OperatorProfile, plan: LayerPlan) -> list[Layer | None]:
    """The layer that each operator of a profile belongs to; one that the runtime inserted, by its neighbours.

    ``None`` stands only where no operator has the name of a layer.
    """
    layers = {layer.name: layer for layer in plan.layers}
    named = [_find(layers, operator.name) for operator in profile.operators]
    return [
        layer or _neighbour(named, index, following=operator.op_type == "ReorderInput")
        for index, (operator, layer) in enumerate(zip(profile.operators, named, strict=True))
    ]


def break_down(profile: OperatorProfile, plan: LayerPlan | None) -> Breakdown:
    """Sum a profile by stage of the plan and group of operators; without a plan, by group alone."""
    if plan is None:
        stages: dict[str, dict[str, float]] = {"whole": {}}
        for operator in profile.operators:
            _add(stages["whole"], _GROUP_OF.get(operator.op_type, OTHER), operator)
        return Breakdown(stages, 0.0, profile.outside_ms, profile.runs)
    stages = {layer.stage: {} for layer in plan.layers}
    unmapped_us = 0.0
    for operator, layer in zip(profile.operators, layers_of(profile, plan), strict=True):
        if layer is None:
            unmapped_us += operator.time_us
        else:
            _add(stages[layer.stage], _group(operator, layer), operator)
    return Breakdown(stages, unmapped_us / 1000, profile.outside_ms, profile.runs)


def _find(layers: Mapping[str, Layer], node_name: str) -> Layer | None:
    parts = node_name.strip("/").split("/")
    for length in range(len(parts), 0, -1):
        layer = layers.get("/".join(parts[:length]))
        if layer is not None:
            return layer
    return None


def _neighbour(named: Sequence[Layer | None], index: int, *, following: bool) -> Layer | None:
    """That of the nearest operator that has one, first on the one side, then on the other."""
    before, after = named[:index][::-1], named[index + 1 :]
    sides = (after, before) if following else (before, after)
    return next((layer for side in sides for layer in side if layer is not None), None)


def _group(operator: OperatorTime, layer: Layer) -> str:
    group = _GROUP_OF.get(operator.op_type, OTHER)
    return DEPTHWISE if layer.role == "depthwise" and group == "convolution" else group


def _add(groups: dict[str, float], group: str, operator: OperatorTime) -> None:
    groups[group] = groups.get(group, 0.0) + operator.time_us / 1000
