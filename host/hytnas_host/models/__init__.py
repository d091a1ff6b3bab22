"""Torch networks, interpreted from layer plans."""

from hytnas_host.models.calibrate import calibrate_batch_norm, random_images
from hytnas_host.models.network import PlanNetwork, build_network

__all__ = ["PlanNetwork", "build_network", "calibrate_batch_norm", "random_images"]
