"""A network as a TFLite model, by litert-torch. It keeps torch's layout: images are (1, channels, ...)."""

import importlib.metadata
import warnings

import torch

from hytnas_datasets.plan import LayerPlan
from hytnas_host.export.errors import ExportError
from hytnas_host.export.exported import Conversion
from hytnas_host.export.hushed import hushed
from hytnas_host.export.target import LITERT_TORCH
from hytnas_host.models import PlanNetwork

INSTALL = "Install it with: pip install 'hytnas[host,litert-export]'"


def convert_litert(network: PlanNetwork, plan: LayerPlan) -> Conversion:
    """The TFLite model of a network in evaluation mode.

    Raises
    ------
    ExportError
        If litert-torch is not installed, or fails.
    """
    task = plan.task
    image = torch.zeros(1, task.in_channels, task.resolution, task.resolution)
    with hushed(), warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of dozens of packages, about their own insides
        try:
            import litert_torch  # noqa: PLC0415 (a gigabyte that only this way of exporting needs)
        except ImportError as error:
            raise ExportError(f"{LITERT_TORCH} cannot be imported ({error})", INSTALL) from error
        try:
            model = litert_torch.convert(network, (image,))
            content = bytes(model.model_content())
        except Exception as error:
            reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
            raise ExportError(f"Network {plan.hash[:12]} cannot be converted: {reason.strip()}") from error
    return Conversion(content, importlib.metadata.version("litert-torch"))
