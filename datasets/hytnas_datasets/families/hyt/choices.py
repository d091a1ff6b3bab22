"""From the choices of an architecture to the stages of its network.

Variables are read by name (``stage1.blocks``, ``stage3.heads`` ...), so that spaces written in TOML share the
macro-architecture. A stage has either absolute ``channels`` or a ``ratio`` to the stage before. What a space
does not vary has the value the paper fixes: one block in a convolution stage, two encoder layers and patches
of 2 in an attention stage.
"""

from collections.abc import Mapping
from types import MappingProxyType

from hytnas_datasets.errors import PlanError
from hytnas_datasets.families.hyt.variables import CHANNEL_MULTIPLE, STAGE_NAMES
from hytnas_datasets.plan.stages import (
    SMALLEST_PATCH,
    STEM_CHANNELS,
    AttentionStage,
    ConvolutionStage,
    Head,
    Stage,
    Stem,
)
from hytnas_datasets.plan.task import Task
from hytnas_datasets.spaces.space import Choice

ATTENTION_BY_DEFAULT = ("stage3", "stage4", "stage5")
STRIDES = {"stage1": 1, "stage2": 2, "stage3": 2, "stage4": 2, "stage5": 2}
SMALL_RESOLUTION = 96
DEFAULT_ENCODER_LAYERS = 2


def round_channels(channels: float) -> int:
    """The nearest multiple of 4, at least 4; halves round up."""
    return max(CHANNEL_MULTIPLE, int(channels / CHANNEL_MULTIPLE + 0.5) * CHANNEL_MULTIPLE)


def stages_from_values(
    values: Mapping[str, Choice], task: Task, channel_caps: Mapping[str, int] = MappingProxyType({})
) -> tuple[Stage, ...]:
    """The stages, stem and head included, of the network these choices describe.

    Parameters
    ----------
    values : mapping of variable name to choice
    task : Task
    channel_caps : mapping of stage name to int
        The largest channels of some stages.

    Raises
    ------
    PlanError
        If a choice is missing or is not of the type the stage needs.
    """
    small = task.resolution < SMALL_RESOLUTION
    stages: list[Stage] = [Stem(task.in_channels, 1 if small else 2)]
    previous = STEM_CHANNELS
    for name in STAGE_NAMES:
        stride = 1 if small and name == "stage2" else STRIDES[name]
        wanted = _channels(values, name, previous)
        channels = min(wanted, channel_caps.get(name, wanted))
        expand = _integer(values, f"{name}.expand")
        if _attends(values, name):
            stages.append(
                AttentionStage(
                    name,
                    stride,
                    channels,
                    expand,
                    heads=_integer(values, f"{name}.heads"),
                    feed_forward=round(_number(values, f"{name}.ff_ratio") * channels),
                    patch=_integer(values, f"{name}.patch", SMALLEST_PATCH),
                    blocks=_integer(values, f"{name}.blocks", DEFAULT_ENCODER_LAYERS),
                )
            )
        else:
            blocks = _integer(values, f"{name}.blocks", 1)
            stages.append(ConvolutionStage(name, stride, channels, expand, blocks))
        previous = wanted  # the published widths follow from the width before its cap
    stages.append(Head(task.classes))
    return tuple(stages)


def _attends(values: Mapping[str, Choice], name: str) -> bool:
    kind = values.get(f"{name}.kind")
    if kind is None:
        return name in ATTENTION_BY_DEFAULT
    if kind not in ("convolution", "attention"):
        raise PlanError(f"{name}.kind is {kind!r}", "It is 'convolution' or 'attention'")
    return kind == "attention"


def _channels(values: Mapping[str, Choice], name: str, previous: int) -> int:
    if f"{name}.channels" in values:
        return round_channels(_number(values, f"{name}.channels"))
    return round_channels(_number(values, f"{name}.ratio") * previous)


def _number(values: Mapping[str, Choice], name: str) -> float:
    value = values.get(name)
    if value is None:
        raise PlanError(f"The architecture has no choice for {name}", "Its space must define this variable")
    if isinstance(value, str) or value <= 0:
        raise PlanError(f"{name} is {value!r}", "Give a positive number")
    return value


def _integer(values: Mapping[str, Choice], name: str, default: int | None = None) -> int:
    if default is not None and name not in values:
        return default
    number = _number(values, name)
    if number != int(number):
        raise PlanError(f"{name} is {number!r}", "Give a whole number")
    return int(number)
