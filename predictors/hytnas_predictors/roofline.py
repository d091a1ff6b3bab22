"""Latency estimated from the layer plan alone: each layer is bound by arithmetic or by memory.

The roofline model: Williams, Waterman and Patterson, "Roofline: an insightful visual performance model for
multicore architectures", Communications of the ACM 52 (2009). Nothing is fitted, so it is what a predictor
has to beat to be worth its measurements.
"""

from dataclasses import dataclass
from functools import lru_cache

from hytnas_datasets.plan import Layer, Task, build_plan, count_layer
from hytnas_datasets.plan.layers import size
from hytnas_datasets.plan.plan import BYTES_PER_ELEMENT
from hytnas_datasets.spaces import Architecture

FREE_KINDS = ("input", "batch_norm")
"""Layers that cost nothing at inference: runtimes fold a batch norm into the convolution before it."""


@dataclass(frozen=True)
class Processor:
    """One core and the memory behind it.

    Attributes
    ----------
    macs_per_s : float
        Peak multiply-accumulates in float32.
    bytes_per_s : float
        Bytes that one core reads and writes, together.
    layer_overhead_s : float
        Seconds to start a layer, whatever its size.
    """

    macs_per_s: float
    bytes_per_s: float
    layer_overhead_s: float = 0.0


CORTEX_A53 = Processor(macs_per_s=4 * 1.2e9, bytes_per_s=2.3e9)
"""One core of a Raspberry Pi 3 Model B at 1.2 GHz.

Four multiply-accumulates a cycle are one 128-bit ``fmla`` a cycle, its two halves side by side in two 64-bit
units. Two a cycle is too low for a peak: OpenBLAS (pull request 2643) reaches 6.5 GFLOP/s on one Cortex-A53
at 1.4 GHz, 2.3 multiply-accumulates a cycle. Boards with this memory copy 1.0 to 1.3 GB/s (``memcpy`` in
sbc-bench's results for the Pi 3 B+ and the Zero 2), that is 2.1 to 2.6 GB/s read and written.
"""


def bytes_moved(layer: Layer) -> int:
    """Bytes that a layer reads and writes in float32: inputs, weights, output, and an attention's scores."""
    if layer.kind in FREE_KINDS:
        return 0
    counts = count_layer(layer)
    elements = sum(map(size, layer.input_shapes)) + counts.params + size(layer.shape)
    if layer.kind == "attention":
        elements += 2 * (counts.activations - size(layer.shape))
    return BYTES_PER_ELEMENT * elements


def estimate_layer_s(layer: Layer, processor: Processor = CORTEX_A53) -> float:
    """Seconds of one layer: the longer of its arithmetic and its memory traffic, and the overhead."""
    if layer.kind in FREE_KINDS:
        return 0.0
    arithmetic_s = count_layer(layer).macs / processor.macs_per_s
    return max(arithmetic_s, bytes_moved(layer) / processor.bytes_per_s) + processor.layer_overhead_s


@lru_cache(maxsize=32768)
def estimate_latency_ms(architecture: Architecture, task: Task, processor: Processor = CORTEX_A53) -> float:
    """Milliseconds of one inference, the layers one after another.

    A bound from below rather than a prediction: no kernel reaches the peak in every layer. Maps that stay in
    the second-level cache move faster than assumed.

    Raises
    ------
    PlanError
        If the architecture has no layer plan.

    Examples
    --------
    >>> import numpy as np
    >>> from hytnas_datasets.spaces import get_space
    >>> network = get_space("hyt").sample(1, np.random.default_rng(0))[0]
    >>> estimate_latency_ms(network, Task(resolution=112)) < estimate_latency_ms(network, Task())
    True
    """
    return 1e3 * sum(estimate_layer_s(layer, processor) for layer in build_plan(architecture, task).layers)
