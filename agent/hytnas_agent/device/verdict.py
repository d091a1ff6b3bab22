"""Whether the timed runs of a process may stand in a label, by all probes together."""

from collections.abc import Sequence
from typing import Final

from hytnas_agent.device.probes import PROBES, TimedRuns
from hytnas_agent.records import ProcessResult, Verdict
from hytnas_agent.statistics import is_disturbed

DISTURBED_ATTEMPTS: Final = 3
"""How often a process is measured at most where each time something disturbed it."""

DISTURBED_RETRIES: Final = 5
"""How many further attempts the disturbed processes of one model get in all; then each stands as it is."""


def judge(runs: TimedRuns) -> Verdict:
    """INVALID with what disturbed the runs; else VALID, or VALID_UNVERIFIED naming the absent probes."""
    found = {probe.name: probe.judge(runs) for probe in PROBES}
    reasons = tuple(reason for reason in found.values() if reason)
    unverified = tuple(name for name, reason in found.items() if reason is None)
    if reasons:
        return Verdict("INVALID", reasons, unverified)
    return Verdict("VALID_UNVERIFIED" if unverified else "VALID", (), unverified)


def least_disturbed(attempts: Sequence[ProcessResult], /) -> ProcessResult:
    """What attempts of one process came to: the last, or of disturbed ones the fastest, n >= 1.

    Others, heat and a weak supply slow a run down and never speed it up.
    """
    last = attempts[-1]
    if not is_disturbed(last) or last.median_ms is None:
        return last
    disturbed = [each for each in attempts if is_disturbed(each) and each.median_ms is not None]
    return min(disturbed, key=lambda each: each.median_ms or 0.0)
