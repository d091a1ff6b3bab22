"""What cannot be in a result or a label, whoever says so: numbers that no device can have measured.

A result comes over a network from a board that may be damaged, of another version, or not what it says. It is
looked at when it arrives and when it is read from a study; whatever fails is INTERNAL and says why.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from hytnas_agent.core_speed import CoreSpeed
from hytnas_agent.pass_records import EnergyReading, OperatorProfile, SustainedSeries
from hytnas_agent.records import LatencyLabel, MeasurePass, Outcome, ProcessResult
from hytnas_agent.statistics import median

MIN_MS: Final = 1e-6
MAX_MS: Final = 24 * 3600e3
"""Between a nanosecond and a day is what one inference, or one load of a model, may take."""

MAX_S: Final = 7 * 24 * 3600.0
"""No process lasts a week, all its waiting included."""

MAX_UNIX_S: Final = 253_402_300_799.0
"""The end of the year 9999: no calendar goes on."""

MAX_BYTES: Final = 2**50
MAX_NUMBER: Final = 2**53
"""No number of a record is larger, and all that are not are exact in a float and fit into a database."""

MEDIAN_TOLERANCE: Final = 1e-6
"""Relative; agents of other versions may round otherwise."""


def plausible(result: ProcessResult, /, *, arriving: bool = False) -> ProcessResult:
    """The result as it is, or INTERNAL without any number where it says what cannot be.

    Of one that is ``arriving`` every number is looked at, of a stored one those of which something is made.
    """
    why = (impossible_number(result) if arriving else "") or implausible(result)
    if not why:
        return result
    context = result.context
    return ProcessResult(
        job_id=result.job_id,
        model_sha256=result.model_sha256,
        measure_pass=result.measure_pass,
        outcome=Outcome.INTERNAL,
        settings=result.settings,
        started_unix_s=result.started_unix_s if 0 <= result.started_unix_s <= MAX_UNIX_S else 0.0,
        wall_s=result.wall_s if 0 <= result.wall_s <= MAX_S else 0.0,
        agent_version=result.agent_version,
        identity=result.identity,
        context=None if context is None or impossible_number(context) else context,
        message=f"the device sent what cannot be: {why}",
    )


def plausible_label(label: LatencyLabel, /) -> LatencyLabel:
    """The label as it is, or INTERNAL without any number where no such latency can be."""
    millis = (
        label.median_ms, label.ci_low_ms, label.ci_high_ms, label.mean_ms, label.p90_ms, label.p99_ms,
        *label.process_medians_ms,
    )  # fmt: skip
    well = all(value is None or MIN_MS <= value <= MAX_MS for value in millis)
    if well and not impossible_number(label):
        return label
    return internal_label(label.model_sha256, "the stored label says what cannot be")


def internal_label(model_sha256: str, message: str) -> LatencyLabel:
    """The label of a model that could not be measured, through no fault of its own."""
    return LatencyLabel(
        model_sha256=model_sha256,
        outcome=Outcome.INTERNAL,
        processes=0,
        samples=0,
        median_ms=None,
        process_medians_ms=(),
        jobs=(),
        ci_low_ms=None,
        ci_high_ms=None,
        mad_ms=None,
        mean_ms=None,
        p90_ms=None,
        p99_ms=None,
        cold_ms=None,
        load_ms=None,
        throughput_per_s=None,
        peak_rss_bytes=None,
        model_bytes=None,
        steady_processes=0,
        message=message,
    )


def implausible(result: ProcessResult, /) -> str:
    """What of a result cannot be, in a few words; empty where nothing is wrong."""
    return next(_faults(result), "")


def impossible_number(value: Any, /, name: str = "") -> str:
    """The first number of a record that is not finite or too large for one, with its name; empty without."""
    if isinstance(value, int | float):
        return "" if -MAX_NUMBER <= value <= MAX_NUMBER else f"{name} is {_shown(value)}"
    if isinstance(value, msgspec.Struct):
        return next(
            (
                found
                for each in value.__struct_fields__
                if (found := impossible_number(getattr(value, each), each))
            ),
            "",
        )
    if isinstance(value, tuple):
        return next((found for each in value if (found := impossible_number(each, name))), "")
    return ""


def _faults(result: ProcessResult) -> Iterator[str]:
    yield from _outside("started_unix_s", [result.started_unix_s], 0, MAX_UNIX_S)
    yield from _outside("wall_s", [result.wall_s], 0, MAX_S)
    for name in ("load_ms", "cold_ms"):
        yield from _outside(name, [getattr(result, name)], 0, MAX_MS)
    yield from _outside("warmup_ms", result.warmup_ms, 0, MAX_MS)
    for name in ("peak_rss_bytes", "model_bytes"):
        yield from _outside(name, [getattr(result, name)], 0, MAX_BYTES)
    for health in (result.health_before, result.health_after):
        if health is not None:
            yield from _outside("at_unix_s", [health.at_unix_s], 0, MAX_UNIX_S)
    yield from _of_samples(result)
    if result.core_speed is not None:
        yield from _of_core_speed(result.core_speed)
    yield from _of_pass(result)


def _of_samples(result: ProcessResult) -> Iterator[str]:
    yield from _outside("samples_ms", result.samples_ms, MIN_MS, MAX_MS)
    yield from _outside("median_ms", [result.median_ms], MIN_MS, MAX_MS)
    if result.measure_pass != MeasurePass.TIMED or result.outcome is not Outcome.OK:
        return
    if not result.samples_ms:
        yield "it is OK, and there is no timed run"
    elif result.median_ms is None:
        yield "it is OK, and there is no median"
    elif not any(
        math.isclose(result.median_ms, median(runs), rel_tol=MEDIAN_TOLERANCE)
        # All runs first: mostly all count, and which do may be another version's to say.
        for runs in (result.samples_ms, result.counted_ms)
    ):
        yield f"median_ms is {result.median_ms:.6g}, that of its runs is {median(result.counted_ms):.6g}"


def _of_core_speed(speed: CoreSpeed) -> Iterator[str]:
    yield from _outside("best_us", [speed.best_us], 1e3 * MIN_MS, 1e3 * MAX_MS)
    yield from _outside("probe_us", speed.probe_us, 1e3 * MIN_MS, 1e3 * MAX_MS)
    yield from _outside("before", speed.before, 0, len(speed.probe_us) - 1)
    for name in ("waited_s", "waited_before_s", "wait_limit_s"):
        yield from _outside(name, [getattr(speed, name)], 0, MAX_S)


def _of_pass(result: ProcessResult) -> Iterator[str]:
    """What the pass was for: it is there where it went well, and can be."""
    found = {
        MeasurePass.PROFILE: result.profile,
        MeasurePass.ENERGY: result.energy,
        MeasurePass.SUSTAINED: result.sustained,
    }
    if result.outcome is Outcome.OK and found.get(result.measure_pass, result) is None:
        yield f"it is OK, and there is no {result.measure_pass}"
    if result.profile is not None:
        yield from _of_profile(result.profile)
    if result.energy is not None:
        yield from _of_energy(result.energy)
    if result.sustained is not None:
        yield from _of_sustained(result.sustained)


def _of_profile(profile: OperatorProfile) -> Iterator[str]:
    yield from _outside("runs", [profile.runs], 1, MAX_NUMBER)
    yield from _outside("run_ms", [profile.run_ms], MIN_MS, MAX_MS)
    yield from _outside("time_us", [each.time_us for each in profile.operators], 0, 1e3 * MAX_MS)
    if not profile.kernel_ms:
        yield "no operator takes any time"


def _of_energy(energy: EnergyReading) -> Iterator[str]:
    yield from _outside("runs", [energy.runs], 1, MAX_NUMBER)
    yield from _outside("seconds of an energy", [energy.load_s, energy.idle_s], 1e-3 * MIN_MS, MAX_S)
    yield from _outside("joules", [energy.load_j, energy.idle_j], 0, MAX_NUMBER)


def _of_sustained(series: SustainedSeries) -> Iterator[str]:
    if not series.windows:
        yield "there is no window of load"
    yield from _outside("runs", [window.runs for window in series.windows], 1, MAX_NUMBER)
    yield from _outside("end_s", [window.end_s for window in series.windows], 0, MAX_S)
    medians_ms = [window.median_ms for window in series.windows]
    yield from _outside("median_ms", [*medians_ms, series.burst_ms, series.sustained_ms], MIN_MS, MAX_MS)


def _outside(name: str, values: Sequence[float | None], low: float, high: float) -> Iterator[str]:
    """That one of these is not between the bounds; None says nothing."""
    known = [value for value in values if value is not None]
    if known and not (low <= min(known) and max(known) <= high and not math.isnan(sum(known))):
        odd = next(value for value in known if not low <= value <= high)
        yield f"{name} is {_shown(odd)}"


def _shown(value: float) -> str:
    try:
        return f"{value:.6g}"
    except OverflowError:
        return "a number of hundreds of digits"
