"""Weights of 8 bits for a TFLite model, by ai-edge-quantizer: dynamic range, which needs no calibration."""

import importlib.metadata

from hytnas_datasets.plan import LayerPlan
from hytnas_host.export.errors import ExportError
from hytnas_host.export.exported import Conversion
from hytnas_host.export.hushed import hushed
from hytnas_host.export.litert import INSTALL


def quantise(conversion: Conversion, plan: LayerPlan) -> Conversion:
    """The model with 8-bit weights, one scale a channel; activations are quantised as it runs.

    Raises
    ------
    ExportError
        If ai-edge-quantizer is not installed, or fails.
    """
    with hushed():
        try:
            from ai_edge_quantizer import quantizer, recipe  # noqa: PLC0415 (only int8 needs it)
        except ImportError as error:
            raise ExportError(f"ai-edge-quantizer cannot be imported ({error})", INSTALL) from error
        try:
            job = quantizer.Quantizer(bytearray(conversion.content), recipe.dynamic_wi8_afp32())
            content = bytes(job.quantize().quantized_model)
        except Exception as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ExportError(f"Network {plan.hash[:12]} cannot be quantised: {reason}") from error
    version = f"{conversion.version}, ai-edge-quantizer {importlib.metadata.version('ai-edge-quantizer')}"
    return Conversion(content, version, channels_last=conversion.channels_last)
