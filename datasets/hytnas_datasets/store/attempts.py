"""The stored attempts at each process, by the label rule."""

from collections.abc import Iterable

from hytnas_agent.label import alike_but_for_deadline, board_of
from hytnas_agent.records import MeasurePass
from hytnas_datasets.store.results import StoredResult


def attempts_of(results: Iterable[StoredResult]) -> list[list[StoredResult]]:
    """Timed results, the attempts at each process together, in the order they were stored."""
    attempts: dict[tuple[object, ...], list[StoredResult]] = {}
    for stored in results:
        result = stored.result
        if result.measure_pass == MeasurePass.TIMED:
            where = (*board_of(result), alike_but_for_deadline(result.settings))
            key = (stored.model_sha256, stored.purpose, stored.replicate, *where)
            attempts.setdefault(key, []).append(stored)
    return list(attempts.values())
