"""Families of networks: how the choices of an architecture become a network, if they become one.

A space names its family. Family "none" has no networks: its spaces serve tables, predictors and searches.
"""

from hytnas_datasets.families.family import Family
from hytnas_datasets.families.registry import (
    check_family,
    get_family,
    has_networks,
    list_families,
    task_for,
)

__all__ = ["Family", "check_family", "get_family", "has_networks", "list_families", "task_for"]
