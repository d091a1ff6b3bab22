"""Layer plans: the one torch-free description of a network, from which everything else is built."""

from hytnas_datasets.plan.build import (
    build_plan,
    count_network,
    count_params,
    identity,
    network_hash,
    plan_from_values,
)
from hytnas_datasets.plan.layers import Counts, Layer, Shape, count_layer
from hytnas_datasets.plan.plan import LayerPlan
from hytnas_datasets.plan.summaries import NetworkSummary, PlanSummaries
from hytnas_datasets.plan.task import Task

StageCounts = Counts

__all__ = [
    "Counts",
    "Layer",
    "LayerPlan",
    "NetworkSummary",
    "PlanSummaries",
    "Shape",
    "StageCounts",
    "Task",
    "build_plan",
    "count_layer",
    "count_network",
    "count_params",
    "identity",
    "network_hash",
    "plan_from_values",
]
