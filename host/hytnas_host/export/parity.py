"""Whether an exported model computes what the network computes, and whether such a check means anything."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import nn

from hytnas_datasets.plan import LayerPlan, Task
from hytnas_host.export.errors import ExportError
from hytnas_host.models import random_images

REFERENCE_CASES = 3
REFERENCE_SEED = 20_230_306
TOLERANCE = 1e-3
"""Largest absolute error allowed, in units of the spread of the outputs over the inputs."""

MIN_RELATIVE_SPREAD = 1e-3
"""Outputs that move by less than this share of their size show nothing: any conversion would pass."""

RunModel = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""Outputs ``(k, ...)`` of the exported model for inputs ``(k, 1, channels, resolution, resolution)``."""


@dataclass(frozen=True)
class Parity:
    """Inputs, the outputs of torch for them, and how close the export comes.

    Attributes
    ----------
    inputs : (k, 1, channels, resolution, resolution) float32
    outputs : (k, 1, classes) float32
    spread : float
        Standard deviation of the outputs over the k inputs (root mean square over the classes).
    error : float
        Largest absolute difference between the export and torch.
    tolerance : float
        Largest error allowed on the device, in units of the spread.
    correlation : float or None
        Of a quantised model's outputs with torch's.
    """

    inputs: NDArray[np.float32]
    outputs: NDArray[np.float32]
    spread: float
    error: float
    tolerance: float = TOLERANCE
    correlation: float | None = None


def reference_inputs(task: Task, cases: int = REFERENCE_CASES) -> NDArray[np.float32]:
    """``(cases, 1, channels, resolution, resolution)`` seeded normal images, the same for every network."""
    return random_images(task, cases, np.random.default_rng(REFERENCE_SEED))[:, None]


def check_parity(network: nn.Module, plan: LayerPlan, run: RunModel) -> Parity:
    """Compare an exported model with its network on seeded inputs.

    Raises
    ------
    ExportError
        If the outputs hardly depend on the inputs, or the export's outputs differ from the network's.
    """
    inputs = reference_inputs(plan.task)
    outputs = torch_outputs(network, plan, inputs)
    spread = output_spread(outputs)
    error = float(np.max(np.abs(run(inputs).astype(np.float64) - outputs)))
    if not error <= TOLERANCE * spread:
        raise ExportError(
            f"The export of network {plan.hash[:12]} differs from torch by {error:.1e}; "
            f"allowed is {TOLERANCE * spread:.1e}",
            "Report it with the architecture: the converter is wrong about one of its layers",
        )
    return Parity(inputs, outputs, spread, error)


def torch_outputs(network: nn.Module, plan: LayerPlan, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """``(k, 1, classes)`` outputs of the network.

    Raises
    ------
    ExportError
        If they hardly depend on the inputs.
    """
    with torch.no_grad():
        outputs: NDArray[np.float32] = network(torch.from_numpy(inputs[:, 0])).numpy()[:, None]
    spread = output_spread(outputs)
    size = float(np.sqrt(np.mean(outputs.astype(np.float64) ** 2)))
    if not np.isfinite(spread) or spread <= MIN_RELATIVE_SPREAD * size:
        raise ExportError(
            f"The outputs of network {plan.hash[:12]} do not depend on its input (spread {spread:.1e})",
            "Calibrate its batch norms on varied images before exporting",
        )
    return outputs


def output_spread(outputs: NDArray[np.float32]) -> float:
    """Standard deviation over the first axis, as root mean square over the rest."""
    return float(np.sqrt(np.mean(np.var(outputs.astype(np.float64), axis=0))))


def run_onnx(model: bytes, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Outputs ``(k, ...)`` of a model for inputs ``(k, ...)``, on one thread of ONNX Runtime."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return np.stack([session.run(None, {name: case})[0] for case in inputs])
