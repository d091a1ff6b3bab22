"""Which stored results belong together, by the label rule: to one label, and to one of its processes."""

from collections.abc import Iterable

from hytnas_agent.label import alike_but_for_deadline, board_of
from hytnas_agent.records import MeasurePass, MeasureSettings
from hytnas_datasets.store.results import StoredResult

LabelKey = tuple[str, str, str, str, MeasureSettings]
"""Model, purpose, device, context, and settings but for the deadline."""


def label_key(stored: StoredResult) -> LabelKey:
    """What results have in common that may stand in one label."""
    settings = alike_but_for_deadline(stored.result.settings)
    return stored.model_sha256, stored.purpose, *board_of(stored.result), settings


def attempts_of(results: Iterable[StoredResult]) -> list[list[StoredResult]]:
    """Timed results, the attempts at each process together, in the order they were stored."""
    attempts: dict[tuple[LabelKey, int], list[StoredResult]] = {}
    for stored in results:
        if stored.result.measure_pass == MeasurePass.TIMED:
            attempts.setdefault((label_key(stored), stored.replicate), []).append(stored)
    return list(attempts.values())
