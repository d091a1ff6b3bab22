"""What a TFLite file says about itself, read within its bounds before a runtime is trusted with it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hytnas_agent.tflite_model import Graph, open_tflite

_FLOAT32, _FLOAT16, _UINT8, _INT8, _INT4 = 0, 1, 3, 9, 17
_EIGHT_BITS_OR_LESS = (_UINT8, _INT8, _INT4)
_DEQUANTIZE = 6
_STRING, _RESOURCE, _VARIANT = 5, 13, 14
_AS_ARRAYS = frozenset(range(17)) - {_STRING, _RESOURCE, _VARIANT}
"""Types of tensors that numpy has: it lacks int4, bfloat16, and what came later."""


@dataclass(frozen=True)
class TfliteFacts:
    """What matters before a model is loaded.

    Attributes
    ----------
    precision : "fp32", "fp16" or "int8"
        Of the constants: "int8" if some of those that operators read have 8 bits or less.
    dynamic_range : bool
        Whether an operator computes floats from weights of 8 bits, quantising its inputs as it runs.
    gives_arrays : bool
        Whether numpy has the types of all outputs of the main graph, which is the one that is measured.
    remark : str
        Which of several signatures that is; empty where there is nothing to choose.
    """

    precision: str
    dynamic_range: bool
    gives_arrays: bool = True
    remark: str = ""


def read_tflite(path: Path) -> TfliteFacts:
    """Read a file without taking more of it into memory than its tables.

    Raises
    ------
    TfliteFileError
        It is damaged, or no TFLite model.
    OSError
        It cannot be read.
    """
    with open_tflite(path) as graphs:
        found = [_facts(graph) for graph in graphs]
        main = graphs[0]
        gives_arrays = all(main.tensors[index].kind in _AS_ARRAYS for index in main.outputs)
        remark = _remark(main.signatures, [name for graph in graphs[1:] for name in graph.signatures])
    kinds = {kind for kinds, _ in found for kind in kinds}
    precision = "int8" if kinds & set(_EIGHT_BITS_OR_LESS) else "fp16" if _FLOAT16 in kinds else "fp32"
    return TfliteFacts(precision, any(dynamic for _, dynamic in found), gives_arrays, remark)


def _remark(main: Sequence[str], others: Sequence[str]) -> str:
    if not others:
        return ""
    measured = f"the signature {main[0]!r}" if main else "the main graph"
    return f"{measured} is measured, not: {', '.join(map(repr, others))}"


def _facts(graph: Graph) -> tuple[set[int], bool]:
    """The types of the constants that operators read, and whether one computes in dynamic range."""
    constants: set[int] = set()
    dynamic = False
    for operator in graph.operators:
        read = [graph.tensors[index] for index in operator.inputs if index != -1]
        weights = {tensor.kind for tensor in read if tensor.constant}
        floats = any(tensor.kind == _FLOAT32 for tensor in read if not tensor.constant)
        constants |= weights
        dynamic |= operator.code != _DEQUANTIZE and floats and bool(weights & set(_EIGHT_BITS_OR_LESS))
    return constants, dynamic
