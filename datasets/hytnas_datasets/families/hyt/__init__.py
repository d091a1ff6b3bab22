"""The networks of the HyT-NAS paper: five stages of convolution or attention, described by choices."""

from hytnas_datasets.families.hyt.family import HYT_FAMILY, HytFamily

__all__ = ["HYT_FAMILY", "HytFamily"]
