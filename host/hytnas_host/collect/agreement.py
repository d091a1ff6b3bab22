"""Whether boards may put their labels into one set: equal contexts, and canaries that agree."""

import threading
from collections.abc import Sequence
from typing import Final

from hytnas_agent.records import Outcome
from hytnas_datasets.store import Agreement, Study, compare_boards
from hytnas_host.collect.board import Board, Group
from hytnas_host.collect.canary import CANARY_PURPOSE
from hytnas_host.collect.crew import work_together
from hytnas_host.collect.errors import BoardsDifferError, CollectError
from hytnas_host.collect.jobs import Journal
from hytnas_host.collect.measuring import differing_fields
from hytnas_host.collect.options import MeasureOptions
from hytnas_host.progress import Progress

LEAST_PROCESSES: Final = 3
KEEP_APART: Final = "give each board a data set of its own with --keep-apart"


def check_boards(boards: Sequence[Board], *, keep_apart: bool) -> None:
    """Check that all are different boards and, unless they are kept apart, that their contexts are equal.

    Raises
    ------
    CollectError
        Two devices are one board.
    BoardsDifferError
        Their contexts differ; the fields are named.
    """
    by_id: dict[str, Board] = {}
    for board in boards:
        other = by_id.setdefault(board.device_id, board)
        if other is not board:
            raise CollectError(
                f"{other.name!r} and {board.name!r} are one and the same board ({board.device_id})",
                "name each board once",
            )
    if keep_apart:
        return
    first = boards[0]
    for board in boards[1:]:
        if board.context != first.context:
            raise BoardsDifferError(
                f"{first.name!r} and {board.name!r} cannot share a data set, their contexts differ "
                f"({differing_fields(first.context, board.context)})",
                f"make them alike, or {KEEP_APART}",
            )


def compare_canaries(
    study: Study, group: Group, options: MeasureOptions, bar: Progress, stop: threading.Event
) -> None:
    """Measure the canary on each board in fresh processes and check that all agree, before labels are mixed.

    Boards of earlier calls whose labels stand in the set are compared by their stored canaries. A board alone
    is not asked to measure anything for this.

    Raises
    ------
    BoardsDifferError
        Two of them disagree.
    CollectError
        There is no canary, or it does not run on a board.
    """
    if len(group.ledger.journals) < 2:
        return
    if group.canary is None:
        raise CollectError(
            "several boards cannot share a data set without a canary that shows that they agree",
            f"see why its export failed (hytnas-profile dataset describe --json: failures), or {KEEP_APART}",
        )

    processes = max(options.processes, LEAST_PROCESSES)
    names = names_of(study, group.boards)

    def measure(board: Board) -> None:
        for _ in range(processes):
            result = board.measurer.measure_canary()
            if result is not None and result.outcome is not Outcome.OK:
                raise CollectError(
                    f"the canary does not run on {board.name!r}: {result.outcome} {result.message}".rstrip(),
                    f"check it with: hytnas-profile device doctor {board.name}",
                )

    bar.event(f"comparing the boards: {processes} processes of the canary on each")
    work_together(measure, group.boards, stop)
    agreement = agreement_of(study, group, options)
    if agreement is None:
        return
    if not agreement.agree:
        raise BoardsDifferError(
            agreement.describe(names),
            "look at the cooling and the power supply of the slower one "
            f"(hytnas-profile device doctor NAME), or {KEEP_APART}",
        )
    bar.event(agreement.describe(names))


def agreement_of(study: Study, group: Group, options: MeasureOptions) -> Agreement | None:
    """How well the canaries of this call, and those of the set's boards of earlier calls, agree."""
    if group.canary is None or len(group.ledger.journals) < 2:
        return None
    medians_ms = {board.device_id: board.measurer.canary_ms for board in group.boards}
    for device_id, journal in group.ledger.journals.items():
        if device_id not in medians_ms:
            stored = Journal(study, CANARY_PURPOSE, device_id, journal.context, options.settings)
            medians_ms[device_id] = stored.medians_ms(group.canary)
    return compare_boards(medians_ms, tolerance=options.board_tolerance)


def names_of(study: Study, boards: Sequence[Board]) -> dict[str, str]:
    """What the person calls each board, by device id; those of earlier calls included."""
    return study.device_names() | {board.device_id: board.name for board in boards}
