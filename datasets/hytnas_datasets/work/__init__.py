"""Work columns: what a network makes a processor do, for each kind of operator."""

from hytnas_datasets.work.columns import (
    KIND_COLUMNS,
    QUANTITIES,
    WORK_COLUMNS,
    WORK_KINDS,
    OperatorWork,
    WorkKind,
    add_up,
)
from hytnas_datasets.work.graph_work import GraphWork, NodeWork, UnknownNode
from hytnas_datasets.work.onnx_graph import work_of_onnx
from hytnas_datasets.work.plan_work import layer_work, work_of
from hytnas_datasets.work.stage_tables import STAGE_COLUMNS, WORK, StageTable, sum_stages, tabulate_stages
from hytnas_datasets.work.tflite_graph import work_of_tflite

__all__ = [
    "KIND_COLUMNS",
    "QUANTITIES",
    "STAGE_COLUMNS",
    "WORK",
    "WORK_COLUMNS",
    "WORK_KINDS",
    "GraphWork",
    "NodeWork",
    "OperatorWork",
    "StageTable",
    "UnknownNode",
    "WorkKind",
    "add_up",
    "layer_work",
    "sum_stages",
    "tabulate_stages",
    "work_of",
    "work_of_onnx",
    "work_of_tflite",
]
