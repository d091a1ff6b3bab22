"""The passes that are asked for beside latency and memory: their settings, and what they found in words."""

from typing import Final

import msgspec

from hytnas_agent.errors import AgentError
from hytnas_agent.pass_records import EnergyReading, OperatorProfile, SustainedSeries
from hytnas_agent.records import MeasurePass, MeasureSettings, Outcome, ProcessResult

DEFAULT_LOAD_S: Final[dict[MeasurePass, float]] = {MeasurePass.ENERGY: 10.0, MeasurePass.SUSTAINED: 120.0}
MAX_LOAD_S: Final = 15 * 3600.0
"""With the time left around it no longer than the deadline that a server takes."""
LARGEST_OPERATORS: Final = 8
# A window or the idle time before the load may add to it; the last run may be a long one.
_DEADLINE_SHARE = 1.5


def pass_settings(
    settings: MeasureSettings, measure_pass: MeasurePass, load_s: float | None = None
) -> MeasureSettings:
    """Settings for a pass, from those of a timed one; its deadline leaves time for the load.

    Parameters
    ----------
    settings : MeasureSettings
    measure_pass : MeasurePass
        One of ``records.EXTRA_PASSES``.
    load_s : float, optional
        Seconds of load of the latter two; 10 and 120 by default.

    Raises
    ------
    AgentError
        A load below a second or beyond 15 hours.
    """
    if measure_pass not in DEFAULT_LOAD_S:
        return settings
    chosen_s = DEFAULT_LOAD_S[measure_pass] if load_s is None else load_s
    if not 1 <= chosen_s <= MAX_LOAD_S:
        raise AgentError(f"{chosen_s:g} s of load cannot be measured", f"Give 1 to {MAX_LOAD_S:g} seconds")
    deadline_s = settings.deadline_s + _DEADLINE_SHARE * chosen_s
    return msgspec.structs.replace(settings, load_s=chosen_s, deadline_s=deadline_s)


def describe_pass(result: ProcessResult) -> list[str]:
    """What a pass found and what disturbed it, or why it found nothing, in lines for a person."""
    reasons = result.verdict.reasons if result.verdict is not None else ()
    disturbed = [f"  DISTURBED: {'; '.join(reasons)}"] if result.is_disturbed else []
    if result.profile is not None:
        return _describe_profile(result.profile) + disturbed
    if result.energy is not None:
        return _describe_energy(result.energy) + disturbed
    if result.sustained is not None:
        return _describe_sustained(result.sustained) + disturbed
    why = f": {result.message}" if result.message else ""
    outcome = "" if result.outcome is Outcome.OK else f" {result.outcome}"
    return [f"{result.measure_pass}:{outcome}{why}"]


def _describe_profile(profile: OperatorProfile) -> list[str]:
    kernel_ms = profile.kernel_ms
    by_type: dict[str, float] = {}
    for operator in profile.operators:
        by_type[operator.op_type] = by_type.get(operator.op_type, 0.0) + operator.time_us / 1000
    largest = sorted(by_type.items(), key=lambda item: -item[1])
    lines = [
        f"profile: {len(profile.operators)} operators take {kernel_ms:.4g} ms "
        f"(mean of {profile.runs} runs; a run under the profiler takes {profile.run_ms:.4g} ms)"
    ]
    for kind, time_ms in largest[:LARGEST_OPERATORS]:
        lines.append(f"  {100 * time_ms / kernel_ms:5.1f} %  {time_ms:8.4g} ms  {kind}")
    rest_ms = sum(time_ms for _, time_ms in largest[LARGEST_OPERATORS:])
    if rest_ms:
        lines.append(f"  {100 * rest_ms / kernel_ms:5.1f} %  {rest_ms:8.4g} ms  all others")
    return lines


def _describe_energy(energy: EnergyReading) -> list[str]:
    return [
        f"energy: {energy.mj_per_inference:.4g} mJ an inference, {energy.mj_above_idle:.4g} mJ above idle",
        f"  {energy.load_w:.3g} W under load ({energy.runs} inferences in {energy.load_s:.1f} s), "
        f"{energy.idle_w:.3g} W idle; meter: {energy.meter} ({energy.covers})",
    ]


def _describe_sustained(series: SustainedSeries) -> list[str]:
    end_s = series.windows[-1].end_s
    lines = [
        f"sustained: {series.sustained_ms:.4g} ms after {end_s:.0f} s of load, {series.burst_ms:.4g} ms "
        f"at its beginning ({100 * series.slowdown:+.1f} %)"
    ]
    if series.throttled_after_s is None:
        lines.append("  no sign of throttling")
    else:
        lines.append(
            f"  throttled after {series.throttled_after_s:.0f} s, by its {series.throttle_sign}"
            + ("; other programs may be the reason, too" if series.throttle_sign == "latency" else "")
        )
    temperatures = [w.temperature_celsius for w in series.windows if w.temperature_celsius is not None]
    if temperatures:
        lines.append(f"  {temperatures[0]:.0f} degrees Celsius at first, {max(temperatures):.0f} at most")
    else:
        lines.append("  temperature unknown: this device has no probe for it")
    return lines
