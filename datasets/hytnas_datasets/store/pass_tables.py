"""Tables of what the passes beside the timed one found: profiles, energy, latency under lasting load."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from hytnas_agent.records import EXTRA_PASSES, MeasurePass
from hytnas_datasets.errors import PlanError, SpaceError
from hytnas_datasets.plan.profile import Breakdown, break_down
from hytnas_datasets.store.architectures import Architectures, StoredSpace, identifier
from hytnas_datasets.store.database import Database
from hytnas_datasets.store.devices import Devices
from hytnas_datasets.store.passes import Passes, StoredPass

PASS_COLUMNS: Final[dict[str, str]] = {
    "space": "search space of the network; empty for a model file that came from elsewhere",
    "profiled_runs": "runs that were profiled",
    "profiled_run_ms": "interquartile mean of whole runs, profiling included, milliseconds; no latency",
    "operators_ms": "sum over the operators of one run, milliseconds",
    "outside_ms": "time of a run that no operator took, milliseconds: the runtime's work and profiling",
    "unmapped_ms": "time of operators that belong to no stage, milliseconds",
    "stage": "stage of the network; 'whole' where no layer plan is known",
    "operator_kind": "kind of operators, of those that took any time",
    "time_ms": "time of these operators in one run, milliseconds; read shares, profiling adds to each",
    "operator": "number of the operator in the order they ran",
    "operator_name": "the runtime's name of the operator",
    "operator_type": "the runtime's type of the operator",
    "time_us": "interquartile mean over the runs, all calls in one run together, microseconds",
    "meter": "what counted the energy",
    "covers": "what draws the energy that the meter counts",
    "inferences": "inferences while the meter ran under load, or the device was kept busy",
    "load_s": "time under load, seconds",
    "load_j": "energy counted under load, joules",
    "load_w": "mean power under load, watts",
    "idle_s": "time metered while nothing ran, seconds",
    "idle_j": "energy counted while nothing ran, joules",
    "idle_w": "mean power while nothing ran, watts",
    "mj_per_inference": "energy of one inference, all that the meter counts included, millijoules",
    "mj_above_idle": "the same without what the idle device would have drawn meanwhile, millijoules",
    "burst_ms": "latency at first: median of the windows that began in the first 5 seconds, milliseconds",
    "sustained_ms": "latency at last: median of the last quarter of the windows, milliseconds",
    "slowdown": "latency at last relative to that at first, less 1",
    "throttled_after_s": "when the device first gave in, seconds; empty if it did not",
    "throttle_sign": "what showed that",
    "window": "number of the window, a few seconds of the load",
    "end_s": "end of the window, seconds since the load began",
    "runs": "runs in the window",
    "window_median_ms": "median of the runs in the window, milliseconds",
    "temperature_celsius": "temperature at the end of the window, degrees Celsius; empty if unknown",
    "clock_mhz": "clock at the end of the window as the kernel says, megahertz; empty if unknown",
    "measured_clock_mhz": "the same as the firmware counts it; empty if unknown",
    "throttled_bits": "the firmware's throttling bits at the end of the window; empty if unknown",
    "steal_ticks": "ticks taken by a hypervisor within the window; empty if unknown",
}
"""Meaning and unit of the columns that no other table has."""

Rows = Iterator[dict[str, Any]]


def pass_tables(database: Database) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """(name, rows) of each table that has a row: of every model and device the last good result of a pass."""
    names = Devices(database).names()
    spaces = {space.name: space for space in Architectures(database).spaces()}
    found = {measure_pass: Passes(database).last(measure_pass) for measure_pass in EXTRA_PASSES}
    known = {
        stored.result.job_id: _of_model(stored, spaces, names) for some in found.values() for stored in some
    }
    makers: tuple[tuple[MeasurePass, str, Callable[[StoredPass], Rows]], ...] = (
        (MeasurePass.PROFILE, "profile", _profile_rows),
        (MeasurePass.PROFILE, "profile-stages", _stage_rows),
        (MeasurePass.PROFILE, "profile-operators", _operator_rows),
        (MeasurePass.ENERGY, "energy", _energy_rows),
        (MeasurePass.SUSTAINED, "sustained", _sustained_rows),
        (MeasurePass.SUSTAINED, "sustained-windows", _window_rows),
    )
    for measure_pass, name, make in makers:
        rows = [known[s.result.job_id] | row for s in found[measure_pass] for row in make(s)]
        if rows:
            yield name, rows


def _of_model(
    stored: StoredPass, spaces: Mapping[str, StoredSpace], names: Mapping[str, str]
) -> dict[str, Any]:
    """The columns that say which model, device and process a row is of."""
    architecture, export, result = stored.architecture, stored.export, stored.result
    return {
        "space": architecture.space if architecture else "",
        "architecture": identifier(architecture, spaces[architecture.space]) if architecture else "",
        "model": "" if architecture else export.path,
        "model_sha256": export.sha256,
        "device_id": result.identity.device_id,
        "device": names.get(result.identity.device_id, ""),
        "context": result.context.fingerprint() if result.context else "",
        "execution": result.context.execution if result.context else "unknown",
        "job_id": result.job_id,
    }


def _breakdown(stored: StoredPass) -> Breakdown | None:
    """By stage, or as a whole where this machine cannot make the network's plan."""
    if stored.result.profile is None:
        return None
    try:
        return stored.breakdown()
    except (PlanError, SpaceError):
        return break_down(stored.result.profile, None)


def _profile_rows(stored: StoredPass) -> Rows:
    profile, breakdown = stored.result.profile, _breakdown(stored)
    if profile is not None and breakdown is not None:
        yield {
            "profiled_runs": profile.runs,
            "profiled_run_ms": profile.run_ms,
            "operators_ms": profile.kernel_ms,
            "outside_ms": profile.outside_ms,
            "unmapped_ms": breakdown.unmapped_ms,
        }


def _stage_rows(stored: StoredPass) -> Rows:
    breakdown = _breakdown(stored)
    if breakdown is not None:
        for stage, groups in breakdown.stages.items():
            for kind, time_ms in groups.items():
                yield {"stage": stage, "operator_kind": kind, "time_ms": time_ms}


def _operator_rows(stored: StoredPass) -> Rows:
    if stored.result.profile is not None:
        for number, operator in enumerate(stored.result.profile.operators):
            yield {
                "operator": number,
                "operator_name": operator.name,
                "operator_type": operator.op_type,
                "time_us": operator.time_us,
            }


def _energy_rows(stored: StoredPass) -> Rows:
    reading = stored.result.energy
    if reading is not None:
        yield {
            "meter": reading.meter,
            "covers": reading.covers,
            "inferences": reading.runs,
            "load_s": reading.load_s,
            "load_j": reading.load_j,
            "load_w": reading.load_w,
            "idle_s": reading.idle_s,
            "idle_j": reading.idle_j,
            "idle_w": reading.idle_w,
            "mj_per_inference": reading.mj_per_inference,
            "mj_above_idle": reading.mj_above_idle,
        }


def _sustained_rows(stored: StoredPass) -> Rows:
    series = stored.result.sustained
    if series is not None:
        yield {
            "inferences": sum(window.runs for window in series.windows),
            "load_s": series.windows[-1].end_s,
            "burst_ms": series.burst_ms,
            "sustained_ms": series.sustained_ms,
            "slowdown": series.slowdown,
            "throttled_after_s": series.throttled_after_s,
            "throttle_sign": series.throttle_sign,
        }


def _window_rows(stored: StoredPass) -> Rows:
    series = stored.result.sustained
    if series is not None:
        for number, window in enumerate(series.windows):
            yield {
                "window": number,
                "end_s": window.end_s,
                "runs": window.runs,
                "window_median_ms": window.median_ms,
                "temperature_celsius": window.temperature_celsius,
                "clock_mhz": window.clock_mhz,
                "measured_clock_mhz": window.measured_clock_mhz,
                "throttled_bits": window.throttled_bits,
                "steal_ticks": window.steal_ticks,
            }
