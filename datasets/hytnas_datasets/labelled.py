"""Labelled architectures, the one form in which predictors, search and reports take data."""

from dataclasses import dataclass, field
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from hytnas_agent.records import DeviceContext, Execution
from hytnas_datasets.spaces import Architecture, Space

Target = Literal["latency_ms", "accuracy"]


class ModelFiles(msgspec.Struct, frozen=True):
    """How the measured model files were made: latencies of two ways are never mixed, nor predicted alike."""

    format: str
    precision: str
    converter: str
    converter_version: str = ""


@dataclass(frozen=True)
class LabelledSet:
    """Architectures of one space with one label each, for one target in one context.

    Attributes
    ----------
    space : Space
    architectures : tuple of n Architecture
    plan_hashes : tuple of n str
        Identity of the network each architecture gives; the group of a grouped fold.
    y : (n,) float64
        The labels: milliseconds for ``latency_ms``, a fraction in [0, 1] for ``accuracy``.
    repeats : tuple of n (r_i,) float64 arrays
        Independent repeats behind each label, same unit: medians of fresh processes, or accuracies of
        training seeds. ``r_i`` may be 1 where nothing was repeated.
    resolution, classes : the task
    context : DeviceContext or None
        What the labels depend on; ``None`` where they do not come from a device (accuracy).
    model_files : ModelFiles or None
        What was measured; ``None`` for accuracies.
    execution : Execution
        Shown wherever a latency is shown, in the words of ``EXECUTION_WORDS``.
    provenance : str
        One line: where the labels come from.
    devices : tuple of n tuples of str
        Ids of the boards each label was measured on; empty where they do not come from a device.
    """

    space: Space
    architectures: tuple[Architecture, ...]
    plan_hashes: tuple[str, ...]
    y: NDArray[np.float64]
    repeats: tuple[NDArray[np.float64], ...]
    target: Target
    resolution: int
    classes: int
    context: DeviceContext | None = None
    execution: Execution = "native"
    provenance: str = ""
    model_files: ModelFiles | None = None
    extra: dict[str, str] = field(default_factory=dict)
    devices: tuple[tuple[str, ...], ...] = ()

    def __len__(self) -> int:
        return len(self.architectures)
