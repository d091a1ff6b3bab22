"""Profiles, energy and sustained latency as plain values and tables, for the report and the terminal."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hytnas_agent.pass_records import EnergyReading, SustainedSeries
from hytnas_agent.records import EXECUTION_WORDS, Execution, MeasurePass, Outcome
from hytnas_datasets.errors import PlanError, SpaceError
from hytnas_datasets.plan.profile import Breakdown
from hytnas_datasets.store import StoredPass
from hytnas_host.report.words import milliseconds, percent, plural, signed_percent, significant

WHOLE = "whole"


@dataclass(frozen=True)
class Profiled:
    """Where a model spends its time, how it was run, and its latency where that was measured, too.

    ``unstable``: the interval of that latency is wider than was asked for.
    """

    model: str
    breakdown: Breakdown
    execution: Execution = "native"
    latency_ms: float | None = None
    unstable: bool = False

    @property
    def staged(self) -> bool:
        """Whether stages are known, from a layer plan, and operators of them took any time."""
        times = (time for stage in self.breakdown.stages.values() for time in stage.values())
        return WHOLE not in self.breakdown.stages and any(times)


@dataclass(frozen=True)
class EnergyRow:
    """The energy of a model."""

    model: str
    reading: EnergyReading


@dataclass(frozen=True)
class SustainedRow:
    """A model under lasting load, and how it was run."""

    model: str
    series: SustainedSeries
    execution: Execution = "native"


@dataclass(frozen=True)
class PassData:
    """What the passes beside the timed one found; empty where they were not asked for."""

    profiles: tuple[Profiled, ...] = ()
    energies: tuple[EnergyRow, ...] = ()
    sustained: tuple[SustainedRow, ...] = ()

    @property
    def profile_words(self) -> str:
        """Where the profiled times come from, in words."""
        return _words(profiled.execution for profiled in self.profiles)

    @property
    def sustained_words(self) -> str:
        """Where the sustained latencies come from, in words."""
        return _words(row.execution for row in self.sustained)


@dataclass(frozen=True)
class PlainTable:
    """A table of words, with notes on how to read it."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


def pass_data(
    found: Mapping[MeasurePass, Sequence[StoredPass]],
    name: Callable[[StoredPass], str],
    latencies_ms: Mapping[str, float] | None = None,
    unstable: Collection[str] = (),
) -> PassData:
    """What was stored, made ready to be shown.

    Parameters
    ----------
    found : mapping
        Stored results by pass.
    name : callable
        What to call a model.
    latencies_ms : mapping, optional
        Labels by the hash of the model file.
    unstable : collection of str, optional
        Hashes of those whose label is UNSTABLE.
    """
    return PassData(
        tuple(
            Profiled(
                name(stored),
                breakdown,
                _execution(stored),
                (latencies_ms or {}).get(stored.export.sha256),
                stored.export.sha256 in unstable,
            )
            for stored in found.get(MeasurePass.PROFILE, ())
            if (breakdown := _breakdown(stored)) is not None and breakdown.kernel_ms > 0
        ),
        tuple(
            EnergyRow(name(stored), stored.result.energy)
            for stored in found.get(MeasurePass.ENERGY, ())
            if stored.result.energy is not None
        ),
        tuple(
            SustainedRow(name(stored), stored.result.sustained, _execution(stored))
            for stored in found.get(MeasurePass.SUSTAINED, ())
            if stored.result.sustained is not None
        ),
    )


def pass_tables(data: PassData) -> list[PlainTable]:
    """One table for each kind of finding that there is."""
    tables = []
    staged = [profiled for profiled in data.profiles if profiled.staged]
    if staged:
        tables.append(_stage_table(data, staged))
    if data.profiles:
        tables.append(_operator_table(data))
    if data.energies:
        tables.append(_energy_table(data.energies))
    if data.sustained:
        tables.append(_sustained_table(data))
    return tables


def _stage_table(data: PassData, staged: Sequence[Profiled]) -> PlainTable:
    stages = list(staged[0].breakdown.stages)
    coverage = min(profiled.breakdown.coverage for profiled in staged)
    return PlainTable(
        f"Share of the time in each stage, {data.profile_words}",
        ("model", "operators", "latency", *stages),
        tuple(
            (
                profiled.model,
                milliseconds(profiled.breakdown.kernel_ms),
                milliseconds(profiled.latency_ms) + f", {Outcome.UNSTABLE}" * profiled.unstable,
                *(
                    percent(100 * time_ms / profiled.breakdown.kernel_ms)
                    for time_ms in profiled.breakdown.stage_ms.values()
                ),
            )
            for profiled in staged
        ),
        (
            f"Of the operators' time {percent(100 * coverage)} at least belongs to a stage.",
            "The runtime's profiler times operators in a process of its own and adds some microseconds to "
            "each: read shares, not sums; those of many small operators are too large.",
        ),
    )


def _operator_table(data: PassData) -> PlainTable:
    totals = [profiled.breakdown.group_ms for profiled in data.profiles]
    groups = list(dict.fromkeys(group for total in totals for group in total))
    return PlainTable(
        f"Share of the time by kind of operator, {data.profile_words}",
        ("model", "operators", *groups),
        tuple(
            (
                profiled.model,
                milliseconds(profiled.breakdown.kernel_ms),
                *(percent(100 * total.get(group, 0.0) / profiled.breakdown.kernel_ms) for group in groups),
            )
            for profiled, total in zip(data.profiles, totals, strict=True)
        ),
    )


def _energy_table(energies: Sequence[EnergyRow]) -> PlainTable:
    covers = dict.fromkeys(f"{row.reading.meter} ({row.reading.covers})" for row in energies)
    return PlainTable(
        "Energy of one inference",
        ("model", "energy", "above idle", "under load", "idle", "inferences"),
        tuple(
            (
                row.model,
                f"{significant(row.reading.mj_per_inference)} mJ",
                f"{significant(row.reading.mj_above_idle)} mJ",
                f"{significant(row.reading.load_w)} W",
                f"{significant(row.reading.idle_w)} W",
                str(row.reading.runs),
            )
            for row in energies
        ),
        (f"Metered by {' and '.join(covers)}.",),
    )


def _sustained_table(data: PassData) -> PlainTable:
    return PlainTable(
        f"Latency under lasting load, {data.sustained_words}",
        ("model", "at first", "at last", "change", "load", "throttled", "hottest"),
        tuple(_sustained_row(row) for row in data.sustained),
        (
            "At first: median of the windows begun in the first 5 seconds; at last: of the last quarter.",
            "Latency that rises is a sign of throttling only where nothing else ran meanwhile.",
        ),
    )


def _sustained_row(row: SustainedRow) -> tuple[str, ...]:
    series = row.series
    celsius = [w.temperature_celsius for w in series.windows if w.temperature_celsius is not None]
    throttled = (
        "no sign of it"
        if series.throttled_after_s is None
        else f"after {series.throttled_after_s:.0f} s ({series.throttle_sign})"
    )
    return (
        row.model,
        milliseconds(series.burst_ms),
        milliseconds(series.sustained_ms),
        signed_percent(100 * series.slowdown),
        f"{series.windows[-1].end_s:.0f} s",
        throttled,
        f"{max(celsius):.0f} °C" if celsius else "unknown",
    )


def mean_breakdown(profiles: Sequence[Profiled]) -> dict[str, dict[str, float]]:
    """Mean milliseconds by stage and group of operators over models with stages, ``n >= 1``."""
    stages = profiles[0].breakdown.stages
    return {
        stage: {
            group: float(np.mean([p.breakdown.stages.get(stage, {}).get(group, 0.0) for p in profiles]))
            for group in dict.fromkeys(g for p in profiles for g in p.breakdown.stages.get(stage, {}))
        }
        for stage in stages
    }


def count_models(rows: Sequence[object]) -> str:
    """How many models, in words."""
    return plural(len(rows), "model")


def _breakdown(stored: StoredPass) -> Breakdown | None:
    """By stage, or by operator alone where this machine does not know the space any more."""
    try:
        return stored.breakdown()
    except (PlanError, SpaceError):
        return None


def _execution(stored: StoredPass) -> Execution:
    return stored.result.context.execution if stored.result.context is not None else "native"


def _words(executions: Iterable[Execution]) -> str:
    found = set(executions)
    return " and ".join(words for execution, words in EXECUTION_WORDS.items() if execution in found)
