"""At which stage of the pipeline a host is, seen from what it has made durable so far."""

import msgspec

from hytnas_agent.protocol import BusyHolder

from .board import Board
from .collection import Collection

STAGES = ("sampling", "exporting", "pushing", "measuring", "storing", "acknowledging", "labelling")


class _Lease(msgspec.Struct):
    holder: BusyHolder | None = None


def stage_of(collection: Collection, board: Board, *, networks: int) -> str:
    """The stage of a host that stands still.

    Beside those of ``STAGES``: ``starting`` before it has the device, ``preparing`` between them.
    """
    if collection.count("sample") == 0:
        return "sampling"
    exported = collection.count("export")
    if _holder(board) != collection.pid:
        return "starting"
    # Results that a former host has left behind wait too; the last one is this host's.
    last = [(job, known) for job, (finished, known) in board.jobs.items() if finished][-1:]
    stage = "preparing"
    if exported < networks + 1:  # the canary is one too
        stage = "exporting"
    if board.uploading:
        stage = "pushing"
    elif board.measuring:
        stage = "measuring"
    elif last and not last[0][1]:
        stage = "acknowledging" if last[0][0] in collection.stored else "storing"
    elif board.jobs and exported == networks + 1 and collection.count("latency_label") < networks:
        stage = "labelling" if _all_measured(collection, networks) else "preparing"
    return stage


def _holder(board: Board) -> int | None:
    try:
        holder = msgspec.json.decode(board.state.lease.read_bytes(), type=_Lease).holder
    except (OSError, msgspec.DecodeError):
        return None
    return None if holder is None else holder.pid


def _all_measured(collection: Collection, networks: int) -> bool:
    """Whether each network has its memory pass, which comes last."""
    done = collection.rows(
        "SELECT DISTINCT model_sha256 FROM result WHERE purpose = 'latency' AND measure_pass = 'memory'"
    )
    return len(done) == networks
