"""Which results are attempts at one process: what was disturbed or failed is measured again."""

from collections.abc import Iterable

import msgspec

from hytnas_agent.records import MeasurePass, MeasureSettings
from hytnas_datasets.store.results import StoredResult


def board_of(stored: StoredResult) -> tuple[str, str]:
    """The device id, and the fingerprint of the context, empty where the process did not get to tell."""
    context = stored.result.context
    return stored.result.identity.device_id, context.fingerprint() if context else ""


def alike_but_for_deadline(settings: MeasureSettings) -> MeasureSettings:
    """The settings without the deadline, which changes nothing about a process that kept it."""
    return msgspec.structs.replace(settings, deadline_s=0.0)


def attempts_of(results: Iterable[StoredResult]) -> list[list[StoredResult]]:
    """Timed results, the attempts of each process together, in the order they were stored."""
    attempts: dict[tuple[object, ...], list[StoredResult]] = {}
    for stored in results:
        result = stored.result
        if result.measure_pass == MeasurePass.TIMED:
            where = (*board_of(stored), alike_but_for_deadline(result.settings))
            key = (stored.model_sha256, stored.purpose, stored.replicate, *where)
            attempts.setdefault(key, []).append(stored)
    return list(attempts.values())
