"""Whether the timed runs of a process may stand in a label, by all probes together."""

from hytnas_agent.device.probes import PROBES, TimedRuns
from hytnas_agent.records import Verdict


def judge(runs: TimedRuns) -> Verdict:
    """INVALID with what disturbed the runs; else VALID, or VALID_UNVERIFIED naming the absent probes."""
    found = {probe.name: probe.judge(runs) for probe in PROBES}
    reasons = tuple(reason for reason in found.values() if reason)
    unverified = tuple(name for name, reason in found.items() if reason is None)
    if reasons:
        return Verdict("INVALID", reasons, unverified)
    return Verdict("VALID_UNVERIFIED" if unverified else "VALID", (), unverified)
