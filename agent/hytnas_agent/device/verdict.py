"""Whether the timed runs of a process may stand in a label, by all probes together."""

from typing import Final

from hytnas_agent.device.probes import PROBES, TimedRuns
from hytnas_agent.records import Verdict

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
