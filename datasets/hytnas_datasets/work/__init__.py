"""Work columns: what a network makes a processor do, for each kind of operator."""

from hytnas_datasets.work.columns import QUANTITIES, WORK_COLUMNS, WORK_KINDS, OperatorWork, WorkKind, add_up
from hytnas_datasets.work.plan_work import layer_work, work_of

__all__ = [
    "QUANTITIES",
    "WORK_COLUMNS",
    "WORK_KINDS",
    "OperatorWork",
    "WorkKind",
    "add_up",
    "layer_work",
    "work_of",
]
