"""What a job must satisfy before it is queued."""

import math

from hytnas_agent import __version__
from hytnas_agent.protocol import PROTOCOL_MAJOR, ErrorCode, HelloParams, RpcError
from hytnas_agent.records import MeasureJob

MAX_JOB_ID_CHARACTERS = 200
MAX_RUNS = 20_000
MAX_SECONDS = 24 * 3600.0


def check_version(hello: HelloParams) -> None:
    """Refuse a client of another protocol major.

    Raises
    ------
    RpcError
        PROTOCOL_MISMATCH, with the command that brings both together.
    """
    if hello.protocol_major == PROTOCOL_MAJOR:
        return
    versions = f"the agent speaks protocol {PROTOCOL_MAJOR}, the host {hello.protocol_major}"
    if hello.protocol_major > PROTOCOL_MAJOR:
        wanted = f"=={hello.client_version}" if hello.client_version else ""
        step = f"Upgrade the agent on the device: pip install --upgrade 'hytnas{wanted}'"
    else:
        step = f"Upgrade the host: pip install --upgrade 'hytnas[host]=={__version__}'"
    raise RpcError(ErrorCode.PROTOCOL_MISMATCH, versions, step)


def check_job(job: MeasureJob) -> None:
    """Refuse settings that no worker could follow.

    Raises
    ------
    RpcError
        INVALID_PARAMS, naming the setting.
    """
    settings = job.settings
    limits = {
        "job_id": 1 <= len(job.job_id) <= MAX_JOB_ID_CHARACTERS,
        "threads": 1 <= settings.threads <= 1024,
        "warmup_window": 1 <= settings.warmup_window <= MAX_RUNS,
        "warmup_max_runs": 0 <= settings.warmup_max_runs <= MAX_RUNS,
        "warmup_max_s": 0 <= settings.warmup_max_s <= MAX_SECONDS,
        "min_runs": 1 <= settings.min_runs <= settings.max_runs,
        "max_runs": settings.max_runs <= MAX_RUNS,
        "timed_budget_s": 0 <= settings.timed_budget_s <= MAX_SECONDS,
        "deadline_s": 0 < settings.deadline_s <= MAX_SECONDS,
        "memory_limit_bytes": settings.memory_limit_bytes is None or settings.memory_limit_bytes > 0,
        "input_seed": 0 <= settings.input_seed < 2**63,
    }
    if job.reference is not None:
        spread, tolerance = job.reference.spread, job.reference.tolerance
        limits["reference.spread"] = spread > 0 and math.isfinite(spread)
        limits["reference.tolerance"] = tolerance > 0 and math.isfinite(tolerance)
    wrong = [name for name, good in limits.items() if not good]
    if wrong:
        raise RpcError(ErrorCode.INVALID_PARAMS, f"out of range: {', '.join(wrong)}")
