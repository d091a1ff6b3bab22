"""The boards of a study: what was measured on each, and whether those of one context agree on the canary."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

import msgspec

from hytnas_agent.records import DeviceContext, MeasureSettings, Outcome
from hytnas_datasets.store import measured
from hytnas_datasets.store.agreement import TOLERANCE, Agreement, compare_boards
from hytnas_datasets.store.database import Database
from hytnas_datasets.store.measured import StoredLabel, StoredResult

CANARY_PURPOSE = "canary"


class BoardCounts(msgspec.Struct, frozen=True):
    """What one board in one context did: labels by outcome over all purposes, processes, those of the canary.

    ``name`` is what the person calls it (empty if it was never said), ``context`` the context's fingerprint.
    """

    device_id: str
    name: str
    board: str
    context: str
    labels: dict[str, int]
    jobs: int
    canaries: int


class BoardAgreement(msgspec.Struct, frozen=True):
    """How well the boards of one context agree on one canary model, over all of its processes."""

    context: str
    canary_sha256: str
    agreement: Agreement


def count_boards(
    database: Database, results: Sequence[StoredResult], labels: Sequence[StoredLabel]
) -> tuple[BoardCounts, ...]:
    """One entry for each board and context that the study knows, oldest first."""
    names = measured.device_names(database)
    jobs = Counter(_board_of(stored) for stored in results)
    canaries = Counter(_board_of(stored) for stored in results if stored.purpose == CANARY_PURPOSE)
    distinct = {
        (stored.device_id, stored.context.fingerprint(), stored.purpose, stored.export.sha256): stored
        for stored in labels
        if stored.context is not None
    }
    counts = []
    for device in measured.devices(database):
        key = (device.identity.device_id, device.context.fingerprint())
        outcomes = Counter(
            s.label.outcome.value for (*board, _, _), s in distinct.items() if (*board,) == key
        )
        counts.append(
            BoardCounts(
                device_id=key[0],
                name=names.get(key[0], ""),
                board=device.context.board,
                context=key[1],
                labels=dict(outcomes),
                jobs=jobs[key],
                canaries=canaries[key],
            )
        )
    return tuple(counts)


def set_tolerance(database: Database, context: DeviceContext, tolerance: float) -> None:
    """Store up to which ratio of their canaries, less 1, boards of this context were let share a set."""
    with database.transaction() as connection:
        connection.execute(
            "INSERT OR REPLACE INTO board_tolerance (context_fingerprint, tolerance) VALUES (?, ?)",
            (context.fingerprint(), tolerance),
        )


def tolerances(database: Database) -> dict[str, float]:
    """The stored tolerances by fingerprint of the context."""
    rows = database.query("SELECT context_fingerprint, tolerance FROM board_tolerance")
    return {row["context_fingerprint"]: row["tolerance"] for row in rows}


def alike_but_for_deadline(settings: MeasureSettings) -> MeasureSettings:
    """The settings without the deadline, which changes nothing about a process that kept it."""
    return msgspec.structs.replace(settings, deadline_s=0.0)


def agreements(
    results: Sequence[StoredResult],
    tolerances: Mapping[str, float],
    boards: Collection[str] | None = None,
) -> tuple[BoardAgreement, ...]:
    """Agreement on each canary model in each context where two boards (of ``boards``) measured it alike.

    ``tolerances`` are those stored, by fingerprint of the context.
    """
    series: dict[tuple[str, str, MeasureSettings], dict[str, list[float]]] = {}
    for stored in results:
        result = stored.result
        if stored.purpose != CANARY_PURPOSE or result.context is None or result.outcome is not Outcome.OK:
            continue
        device_id = result.identity.device_id
        if result.median_ms and (boards is None or device_id in boards):
            settings = alike_but_for_deadline(result.settings)
            key = (result.context.fingerprint(), stored.model_sha256, settings)
            series.setdefault(key, {}).setdefault(device_id, []).append(result.median_ms)
    compared = [
        (key, compare_boards(medians_ms, tolerance=tolerances.get(key[0], TOLERANCE)))
        for key, medians_ms in series.items()
    ]
    return tuple(
        BoardAgreement(context, sha256, agreement)
        for (context, sha256, _), agreement in compared
        if agreement is not None
    )


def _board_of(stored: StoredResult) -> tuple[str, str]:
    context = stored.result.context
    return stored.result.identity.device_id, context.fingerprint() if context else ""
