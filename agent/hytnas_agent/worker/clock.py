"""The clock that a worker measures with: the machine's, or its own executed instructions."""

import mmap
import os
import time
from collections.abc import Callable, Mapping

from hytnas_agent.launcher import COUNTER_BYTES, COUNTER_VARIABLE, RATE_VARIABLE

NANOSECONDS_PER_S = 1_000_000_000


def process_clock(environment: Mapping[str, str] = os.environ) -> Callable[[], int]:
    """Nanoseconds since some moment; instructions count as time where the launcher counts them."""
    page = environment.get(COUNTER_VARIABLE)
    if page is None:
        return time.perf_counter_ns
    return instruction_clock(int(page), int(environment[RATE_VARIABLE]))


def instruction_clock(page: int, instructions_per_s: int) -> Callable[[], int]:
    """Nanoseconds that the instructions counted so far would take at a rate.

    Parameters
    ----------
    page : int
        Descriptor of the counter's page, which starts with the count as 64 bits.
    instructions_per_s : int
    """
    count = memoryview(mmap.mmap(page, COUNTER_BYTES, prot=mmap.PROT_READ)).cast("Q")
    return lambda: count[0] * NANOSECONDS_PER_S // instructions_per_s
