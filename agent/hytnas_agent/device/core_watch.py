"""Watching the speed of a core for a second, in a throw-away process: the agent does without numpy.

``python -m hytnas_agent.worker.speed CORE SECONDS`` is that process.
"""

import sys
from typing import Annotated

import msgspec

from hytnas_agent.throwaway import Died, last_words, run_apart

WATCH_S = 1.0
TIMEOUT_S = 30.0
"""A small board takes seconds for the import of numpy alone."""

MAX_OUTPUT_BYTES = 1 << 20
MAX_REASON_CHARACTERS = 200


class CoreWatch(msgspec.Struct, frozen=True):
    """What the fixed work took on a core, again and again.

    Attributes
    ----------
    durations_us : tuple of float
        In order; microseconds.
    reason : str
        Why there are none; empty if there are.
    """

    durations_us: tuple[Annotated[float, msgspec.Meta(gt=0)], ...] = ()
    reason: str = ""


def watch_core(core: int) -> CoreWatch:
    """Do the fixed work on a core for a second; natively, whatever the launcher."""
    try:
        process = run_apart(
            [sys.executable, "-P", "-m", "hytnas_agent.worker.speed", str(core), f"{WATCH_S:g}"],
            timeout_s=TIMEOUT_S,
            environment={"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )
    except Died as death:
        return CoreWatch(reason=str(death))
    if process.returncode != 0:
        return CoreWatch(reason=last_words(process)[:MAX_REASON_CHARACTERS])
    try:
        return msgspec.json.decode(process.stdout[:MAX_OUTPUT_BYTES], type=CoreWatch)
    except ValueError as error:
        return CoreWatch(reason=f"gave an answer that is malformed: {error}")
