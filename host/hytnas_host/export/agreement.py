"""Whether a quantised model still computes what the network computes.

Its outputs cannot be equal to torch's; what must hold is that they follow the input as torch's do. Three
measures over random images, on the deviations of the outputs from their mean over the images:

- the correlation with torch's deviations, at least 0.9. Dynamic-range models of networks of ``hyt`` reach
  0.96 to 0.99 where a runtime is right; tflite-runtime 2.14, which is wrong about them, reaches 0.4 at most,
  and static quantisation, which loses a tenth of what the network knows, 0.89;
- the root-mean-square error, at most half the spread of torch's outputs: a right order with a wrong scale
  would pass the first;
- the order of the images by each output (Kendall's tau), at least 0.6, which is what two normal variables of
  correlation 0.8 have: this is what a classifier uses.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hytnas_datasets.plan import LayerPlan
from hytnas_host.export.errors import ExportError
from hytnas_host.export.parity import (
    REFERENCE_CASES,
    Parity,
    RunModel,
    output_spread,
    reference_inputs,
    torch_outputs,
)
from hytnas_host.models import PlanNetwork

CASES = 32
MIN_CORRELATION = 0.9
MAX_RELATIVE_ERROR = 0.5
MIN_KENDALL_TAU = 0.6
TOLERANCE = 1.0
"""Largest absolute error allowed on the device, in units of the spread: a constant output exceeds it."""


@dataclass(frozen=True)
class Agreement:
    """How closely a quantised model's outputs follow torch's; see the module for the measures."""

    correlation: float
    relative_error: float
    kendall_tau: float

    @property
    def good(self) -> bool:
        """Whether all three are within their limits."""
        return (
            self.correlation >= MIN_CORRELATION
            and self.relative_error <= MAX_RELATIVE_ERROR
            and self.kendall_tau >= MIN_KENDALL_TAU
        )

    def __str__(self) -> str:
        return (
            f"correlation {self.correlation:.3f} (at least {MIN_CORRELATION}), error "
            f"{self.relative_error:.2f} of the spread (at most {MAX_RELATIVE_ERROR}), "
            f"Kendall's tau {self.kendall_tau:.2f} (at least {MIN_KENDALL_TAU})"
        )


def agreement(outputs: NDArray[np.float32], expected: NDArray[np.float32]) -> Agreement:
    """Measure ``(k, ...)`` outputs against the expected ones."""
    from scipy.stats import kendalltau  # noqa: PLC0415 (slow to import, and only for quantised models)

    cases = len(expected)
    given, wanted = (array.reshape(cases, -1).astype(np.float64) for array in (outputs, expected))
    deviations = [(array - array.mean(axis=0)).ravel() for array in (given, wanted)]
    size = float(np.linalg.norm(deviations[0]) * np.linalg.norm(deviations[1]))
    correlation = float(deviations[0] @ deviations[1]) / size if size > 0 else 0.0
    taus = [kendalltau(given[:, i], wanted[:, i]).statistic for i in range(wanted.shape[1])]
    return Agreement(
        correlation=correlation,
        relative_error=float(np.sqrt(np.mean((given - wanted) ** 2))) / output_spread(expected),
        kendall_tau=float(np.mean(np.nan_to_num(taus))),
    )


def check_agreement(network: PlanNetwork, plan: LayerPlan, run: RunModel) -> Parity:
    """Compare a quantised model with its network; the first images are the reference of the device.

    Raises
    ------
    ExportError
        If the outputs hardly depend on the inputs, or the quantised model does not follow them.
    """
    inputs = reference_inputs(plan.task, CASES)
    expected = torch_outputs(network, plan, inputs)
    outputs = run(inputs)
    found = agreement(outputs, expected)
    if not found.good:
        raise ExportError(
            f"The int8 model of network {plan.hash[:12]} does not compute what the network computes: {found}",
            "Measure this network in fp32",
        )
    reference, given = expected[:REFERENCE_CASES], outputs[:REFERENCE_CASES]
    error = float(np.max(np.abs(given.astype(np.float64) - reference)))
    return Parity(
        inputs[:REFERENCE_CASES], reference, output_spread(expected), error, TOLERANCE, found.correlation
    )
