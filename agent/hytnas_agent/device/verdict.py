"""Whether timed runs may stand in a label, by all probes together, and whether to trust other passes."""

from hytnas_agent.device.probes import PROBES, TimedRuns
from hytnas_agent.device.probes.core import work_of_others
from hytnas_agent.records import MeasurePass, Verdict


def judge(runs: TimedRuns, measure_pass: MeasurePass = MeasurePass.TIMED) -> Verdict:
    """INVALID with what disturbed the runs; else VALID, or VALID_UNVERIFIED naming the absent probes.

    A meter counts the work of all cores, so that energy is disturbed by that of others on any of them.
    """
    found = {probe.name: probe.judge(runs) for probe in PROBES if measure_pass in probe.passes}
    reasons = [reason for reason in found.values() if reason]
    if measure_pass == MeasurePass.ENERGY and (elsewhere := work_of_others(runs)):
        reasons.append(elsewhere)
    unverified = tuple(name for name, reason in found.items() if reason is None)
    if reasons:
        return Verdict("INVALID", tuple(reasons), unverified)
    return Verdict("VALID_UNVERIFIED" if unverified else "VALID", (), unverified)
