"""The bundled spaces: the paper's, the one of its published data, and one that mixes stage kinds freely.

Variables of the family ``hyt`` are named ``stage<i>.<what>``, stages 1 to 5 in the order of the network:

=================== =================================================================================
``kind``            "convolution" or "attention"; without it stages 1 and 2 are convolution stages and
                    3 to 5 attention stages
``blocks``          inverted residual blocks of a convolution stage (1 where absent); transformer
                    layers of an attention stage (2 where absent)
``expand``          expand ratio of the inverted residuals
``channels``        output channels of the stage
``ratio``           output channels relative to the stage before (to the stem for stage 1)
``heads``           attention heads
``ff_ratio``        feed-forward width relative to the stage's channels
``patch``           side of the attention patches in pixels (2 where absent)
=================== =================================================================================

References
----------
.. [1] Mecharbat et al., HyT-NAS: Hybrid Transformers Neural Architecture Search for Edge Devices, 2023,
   Table I.
"""

from typing import Final

from hytnas_datasets.spaces.space import Space
from hytnas_datasets.spaces.variables import Choice, Variable, When

CONVOLUTION: Final = "convolution"
ATTENTION: Final = "attention"

_BLOCKS: Final = (1, 2, 3, 4)
_EXPAND: Final = (1, 2, 4)
_CHANNELS: Final = (8, 16, 24, 32)
_RATIO: Final = (1.0, 1.5, 2.0)
_HEADS: Final = (1, 2, 4)
_FF_RATIO: Final = (1.0, 1.5, 2.0)
_PATCH: Final = (2, 4, 8)

RELEASED_CAPS: Final = (("stage3", 96), ("stage4", 128), ("stage5", 256))
"""Largest channels of the published networks; the paper's Table I has none."""


def _each(what: str, stages: range, choices: tuple[Choice, ...]) -> list[Variable]:
    return [Variable(f"stage{stage}.{what}", choices) for stage in stages]


def _hyt() -> Space:
    """Table I of the paper: two convolution stages, then three attention stages."""
    convolution = {"blocks": _BLOCKS, "expand": _EXPAND, "channels": _CHANNELS}
    attention = {"expand": _EXPAND, "ratio": _RATIO, "heads": _HEADS, "ff_ratio": _FF_RATIO}
    variables = []
    for stage in range(1, 6):
        for what, choices in (convolution if stage <= 2 else attention).items():
            variables.append(Variable(f"stage{stage}.{what}", choices))
    return Space("hyt", tuple(variables))


def _hyt_released() -> Space:
    """The 23 feature columns of the authors' published data, in their order."""
    every, deep, attention = range(1, 6), range(2, 6), range(3, 6)
    variables = [
        *_each("blocks", deep, _BLOCKS),
        *_each("expand", every, _EXPAND),
        *_each("channels", range(1, 2), _CHANNELS),
        *_each("ratio", deep, _RATIO),
        *_each("heads", attention, _HEADS),
        *_each("ff_ratio", attention, _FF_RATIO),
        *_each("patch", attention, _PATCH),
    ]
    return Space("hyt-released", tuple(variables), channel_caps=RELEASED_CAPS)


def _hyt_mixed() -> Space:
    """Every stage chooses convolution (its own channels) or attention (a ratio to the stage before)."""
    variables = []
    for stage in range(1, 6):
        kind = f"stage{stage}.kind"
        variables += [Variable(kind, (CONVOLUTION, ATTENTION)), Variable(f"stage{stage}.expand", _EXPAND)]
        for what, choices in (("blocks", _BLOCKS), ("channels", _CHANNELS)):
            variables.append(Variable(f"stage{stage}.{what}", choices, When(kind, (CONVOLUTION,))))
        for what, ratios in (("ratio", _RATIO), ("heads", _HEADS), ("ff_ratio", _FF_RATIO)):
            variables.append(Variable(f"stage{stage}.{what}", ratios, When(kind, (ATTENTION,))))
    return Space("hyt-mixed", tuple(variables))


HYT: Final = _hyt()
HYT_RELEASED: Final = _hyt_released()
HYT_MIXED: Final = _hyt_mixed()
