"""The study store: one SQLite file with all that was sampled, measured and trained, and how.

It is the resume journal as well: whatever was stored is durable, and storing it again changes nothing.
"""

from hytnas_datasets.store.agreement import Agreement, compare_boards
from hytnas_datasets.store.labels import StoredLabel
from hytnas_datasets.store.passes import StoredPass
from hytnas_datasets.store.quality import LabelQuality
from hytnas_datasets.store.records import (
    AccuracyRecord,
    CurvePoint,
    DiscardRecord,
    ExportRecord,
    FailureRecord,
    Purpose,
    RunRecord,
    recipe_fingerprint,
    verification_purpose,
)
from hytnas_datasets.store.study import STUDY_FILE, Study
from hytnas_datasets.store.summary import StudySummary

__all__ = [
    "STUDY_FILE",
    "AccuracyRecord",
    "Agreement",
    "CurvePoint",
    "DiscardRecord",
    "ExportRecord",
    "FailureRecord",
    "LabelQuality",
    "Purpose",
    "RunRecord",
    "StoredLabel",
    "StoredPass",
    "Study",
    "StudySummary",
    "compare_boards",
    "recipe_fingerprint",
    "verification_purpose",
]
