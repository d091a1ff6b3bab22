"""What a client and a job must satisfy before they are let in."""

import math

from msgspec import UNSET
from msgspec.structs import replace

from hytnas_agent.protocol import PROTOCOL_MAJOR, PROTOCOL_MINOR, ErrorCode, RequestId, RpcError, Version
from hytnas_agent.records import MeasureJob

MAX_ID_CHARACTERS = 200
MAX_NAME_CHARACTERS = 200
MAX_REASON_CHARACTERS = 500
MAX_RUNS = 20_000
MAX_SECONDS = 24 * 3600.0


def same_job(one: MeasureJob, other: MeasureJob) -> bool:
    """Whether two jobs of one id ask for the same, be it that only one of them may end early.

    What a host says of that follows from the attempts that it has stored, and may change while it is away.
    """
    return replace(one, may_end_early=UNSET) == replace(other, may_end_early=UNSET)


def negotiated_minor(hello: Version) -> int:
    """The minor version that both ends speak from here on.

    Raises
    ------
    RpcError
        PROTOCOL_MISMATCH for another major, with the command that brings both together.
    """
    if hello.protocol_major != PROTOCOL_MAJOR:
        raise RpcError(
            ErrorCode.PROTOCOL_MISMATCH,
            f"the agent speaks protocol {PROTOCOL_MAJOR}, the host {hello.protocol_major}",
            "Bring the agent to the host's version with: hytnas-profile device provision NAME",
        )
    return max(0, min(hello.protocol_minor, PROTOCOL_MINOR))


def check_request_id(request_id: RequestId) -> None:
    """Refuse an id that would have to be kept, and sent back, at any length.

    Raises
    ------
    RpcError
        INVALID_REQUEST.
    """
    if isinstance(request_id, str) and len(request_id) > MAX_ID_CHARACTERS:
        raise RpcError(
            ErrorCode.INVALID_REQUEST, f"a request's id is limited to {MAX_ID_CHARACTERS} characters"
        )


def plain_text(text: str, limit: int) -> str:
    """Text of a client that is shown to others: one line, at most ``limit`` printable characters."""
    return "".join(c if c.isprintable() else " " for c in text[:limit])


def check_job(job: MeasureJob) -> None:
    """Refuse settings that no worker could follow.

    Raises
    ------
    RpcError
        INVALID_PARAMS, naming the setting.
    """
    settings = job.settings
    limits = {
        "job_id": 1 <= len(job.job_id) <= MAX_ID_CHARACTERS,
        "runtime": job.runtime is None or len(job.runtime) <= MAX_NAME_CHARACTERS,
        "core": settings.core is None or 0 <= settings.core < 2**16,
        "threads": 1 <= settings.threads <= 1024,
        "warmup_window": 1 <= settings.warmup_window <= MAX_RUNS,
        "warmup_max_runs": 0 <= settings.warmup_max_runs <= MAX_RUNS,
        "warmup_max_s": 0 <= settings.warmup_max_s <= MAX_SECONDS,
        "min_runs": 1 <= settings.min_runs <= settings.max_runs,
        "max_runs": settings.max_runs <= MAX_RUNS,
        "timed_budget_s": 0 <= settings.timed_budget_s <= MAX_SECONDS,
        "deadline_s": 0 < settings.deadline_s <= MAX_SECONDS,
        "memory_limit_bytes": settings.memory_limit_bytes is None or 0 < settings.memory_limit_bytes < 2**60,
        "load_s": settings.load_s is UNSET or 0 < settings.load_s <= MAX_SECONDS,
        "input_seed": 0 <= settings.input_seed < 2**63,
    }
    if job.reference is not None:
        spread, tolerance = job.reference.spread, job.reference.tolerance
        limits["reference.spread"] = spread > 0 and math.isfinite(spread)
        limits["reference.tolerance"] = tolerance > 0 and math.isfinite(tolerance)
    wrong = [name for name, good in limits.items() if not good]
    if wrong:
        raise RpcError(ErrorCode.INVALID_PARAMS, f"out of range: {', '.join(wrong)}")
