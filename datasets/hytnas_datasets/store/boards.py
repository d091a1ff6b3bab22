"""The boards of a study: what was measured on each, and whether those of one context agree on the canary."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

import msgspec

from hytnas_agent.label import alike_but_for_deadline, board_of
from hytnas_agent.records import DeviceContext, MeasureSettings, ProcessResult
from hytnas_datasets.store.agreement import TOLERANCE, Agreement, comparable_ms, compare_boards
from hytnas_datasets.store.attempts import attempts_of
from hytnas_datasets.store.database import Database
from hytnas_datasets.store.devices import Devices
from hytnas_datasets.store.labels import StoredLabel
from hytnas_datasets.store.records import Purpose
from hytnas_datasets.store.results import Results, StoredResult

_Alike = tuple[str, str, MeasureSettings]
"""What canaries have in common that are compared: context, model, settings but for the deadline."""


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
    names = Devices(database).names()
    jobs = Counter(board_of(stored.result) for stored in results)
    canaries = Counter(board_of(stored.result) for stored in results if stored.purpose == Purpose.CANARY)
    distinct = {
        (stored.device_id, stored.context.fingerprint(), stored.purpose, stored.export.sha256): stored
        for stored in labels
        if stored.context is not None
    }
    counts = []
    for device in Devices(database).all():
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


def _agreements(
    results: Sequence[StoredResult],
    tolerances: Mapping[str, float],
    boards: Collection[str] | None,
) -> tuple[BoardAgreement, ...]:
    """Agreement on each canary model in each context where two boards (of ``boards``) measured it alike.

    ``results`` are those that are not discarded, ``tolerances`` those stored, by fingerprint of the context.
    """
    chosen = [each for each in results if boards is None or each.result.identity.device_id in boards]
    compared = [
        (key, compare_boards(medians_ms, tolerance=tolerances.get(key[0], TOLERANCE)))
        for key, medians_ms in _canaries_ms(chosen).items()
    ]
    return tuple(
        BoardAgreement(context, sha256, agreement)
        for (context, sha256, _), agreement in compared
        if agreement is not None
    )


def _canaries_ms(results: Sequence[StoredResult]) -> dict[_Alike, dict[str, list[float]]]:
    """What each board is compared by: the medians of the canary's processes that count, by device id."""
    canaries = [each for each in results if each.purpose == Purpose.CANARY and each.result.context]
    processes: dict[_Alike, dict[str, list[list[ProcessResult]]]] = {}
    for attempts in attempts_of(canaries):
        first = attempts[0]
        device_id, context = board_of(first.result)
        alike = (context, first.model_sha256, alike_but_for_deadline(first.result.settings))
        of_board = processes.setdefault(alike, {}).setdefault(device_id, [])
        of_board.append([attempt.result for attempt in attempts])
    return {
        alike: {device_id: comparable_ms(of_board) for device_id, of_board in boards.items()}
        for alike, boards in processes.items()
    }


class Boards:
    """Whether boards of one context agree, and how far they may differ."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def set_tolerance(self, context: DeviceContext, tolerance: float) -> None:
        """Store how far canaries of boards of this context may differ for their labels to be read together.

        ``tolerance`` is the ratio, less 1; without a stored one it is ``agreement.TOLERANCE``.
        """
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO board_tolerance (context_fingerprint, tolerance) VALUES (?, ?)",
                (context.fingerprint(), tolerance),
            )

    def tolerances(self) -> dict[str, float]:
        """The stored tolerances by fingerprint of the context."""
        rows = self._database.query("SELECT context_fingerprint, tolerance FROM board_tolerance")
        return {row["context_fingerprint"]: row["tolerance"] for row in rows}

    def comparable_canaries_ms(
        self, context: DeviceContext, model_sha256: str, settings: MeasureSettings
    ) -> dict[str, list[float]]:
        """Medians of a canary model that boards of this context are compared by, by device id.

        In milliseconds, of processes with these settings, whatever their deadline; discarded ones left out.
        """
        canaries = _canaries_ms(Results(self._database).standing(Purpose.CANARY))
        return canaries.get((context.fingerprint(), model_sha256, alike_but_for_deadline(settings)), {})

    def agreements(self, boards: Collection[str] | None = None) -> tuple[BoardAgreement, ...]:
        """Agreement of the boards (of ``boards``) on each canary model that two of them measured alike."""
        return _agreements(Results(self._database).standing(Purpose.CANARY), self.tolerances(), boards)
