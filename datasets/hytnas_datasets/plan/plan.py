"""The layer plan: the one description of a network that everything else is built from."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from hytnas_datasets.plan.layers import Counts, Layer, count_layer, size
from hytnas_datasets.plan.task import Task

BYTES_PER_ELEMENT = 4


@dataclass(frozen=True)
class LayerPlan:
    """Layers in an order in which each comes after its inputs; the last one gives the logits.

    Attributes
    ----------
    task : Task
    layers : tuple of Layer
    hash : str
        SHA-256 (64 hexadecimal digits) of what the network computes; the identity of the network. Different
        choices that give the same network give the same hash.
    counts : Counts
        Sums over the layers.
    """

    task: Task
    layers: tuple[Layer, ...]
    hash: str
    counts: Counts

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.layers)

    @property
    def params(self) -> int:
        """Learnable parameters."""
        return self.counts.params

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one image."""
        return self.counts.macs

    @property
    def activations(self) -> int:
        """Elements written by convolutions, linear layers and attention products for one image."""
        return self.counts.activations

    def per_stage(self) -> dict[str, Counts]:
        """Counts by stage, in the order of the network."""
        stages: dict[str, Counts] = {}
        for layer in self.layers:
            stages[layer.stage] = stages.get(layer.stage, Counts()) + count_layer(layer)
        return stages

    @cached_property
    def features(self) -> dict[int, Layer]:
        """By stride, the output of the deepest stage that has it, for detection and segmentation heads."""
        outputs: dict[str, tuple[int, Layer]] = {}
        strides: list[int] = []
        for layer in self.layers:
            stride = max((strides[i] for i in layer.inputs), default=1)
            if layer.kind == "conv":
                stride *= layer.integer("stride")
            strides.append(stride)
            outputs[layer.stage] = (stride, layer)
        return dict(output for stage, output in outputs.items() if stage not in ("stem", "head"))

    def estimate_peak_activation_bytes(self) -> int:
        """Most bytes of activations alive at once, run in order in float32 without in-place operations."""
        last_use = {i: layer.index for layer in self.layers for i in layer.inputs}
        alive, peak = 0, 0
        for layer in self.layers:
            alive += size(layer.shape)
            scores = count_layer(layer).activations - size(layer.shape) if layer.kind == "attention" else 0
            peak = max(peak, alive + scores)
            alive -= sum(size(self.layers[i].shape) for i in set(layer.inputs) if last_use[i] == layer.index)
        return BYTES_PER_ELEMENT * peak

    def estimate_memory_bytes(self) -> int:
        """Weights and peak activations in float32; a runtime's own code and buffers come on top."""
        return BYTES_PER_ELEMENT * self.params + self.estimate_peak_activation_bytes()
