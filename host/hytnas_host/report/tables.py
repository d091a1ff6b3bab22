"""The rows of the report's tables and cards: numbers made into words, nothing drawn."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from hytnas_agent.records import EXECUTION_WORDS
from hytnas_datasets.targets import get_target
from hytnas_host.report.data import UNSTABLE, Axes, ReportData, percent_of
from hytnas_host.report.theme import PICK_COLOURS
from hytnas_host.report.words import (
    NBSP,
    count,
    difference,
    duration,
    memory,
    milliseconds,
    percent,
    plural,
    signed_percent,
    significant,
)
from hytnas_host.search.result import Pick, VerifiedRow
from hytnas_predictors.leaderboard.comparison import describe_p
from hytnas_predictors.result import EdgeScore, Leaderboard, Score

Facts = tuple[tuple[str, str], ...]

EXTRAPOLATED_WORDS: Final = "predicted outside the range of training: verify it"
DASH: Final = "\u2013"
UNSTABLE_WORDS: Final = f"{UNSTABLE}: the interval is wider than was asked for"
PICK_NAMES: Final = {"BL": "Best latency", "O": "Optimal trade-off", "BA": "Best accuracy"}


@dataclass(frozen=True)
class PickCard:
    """A pick, ready to be shown; ``warning`` says where its measurement is less certain than asked for."""

    label: str
    name: str
    colour: str
    big: str
    under: str
    rows: Facts
    choices: Facts
    warning: str


@dataclass(frozen=True)
class LeaderboardRow:
    """One predictor's row; ``cells`` are its numbers in the order of the table's columns."""

    name: str
    features: str
    cells: tuple[str, ...]
    remarks: tuple[str, ...]
    warning: bool
    baseline: bool


@dataclass(frozen=True)
class LeaderboardTable:
    """A leaderboard, ready to be shown."""

    caption: str
    rows: tuple[LeaderboardRow, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class VerificationRow:
    """One architecture measured afresh; ``outcome`` is empty where it is OK."""

    architecture: str
    role: str
    predicted: str
    measured: str
    interval: str
    error: str
    remarks: str
    outcome: str


@dataclass(frozen=True)
class StageRow:
    """One stage of the run with its share of the longest."""

    name: str
    status: str
    time: str
    share: str
    note: str = ""


@dataclass(frozen=True)
class CoverageBar:
    """How often one choice was sampled, and the height of its bar in pixels."""

    choice: str
    count: int
    height: int


@dataclass(frozen=True)
class CoverageChart:
    """The choices of one variable."""

    name: str
    bars: tuple[CoverageBar, ...]


def interval(low: float | None, high: float | None) -> str:
    """Both ends of a latency interval."""
    if low is None or high is None:
        return "\u2013"
    return f"{significant(low)} \u2013 {significant(high)}{NBSP}ms"


def pick_cards(data: ReportData) -> tuple[PickCard, ...]:
    """The picks from the fastest to the most accurate."""
    if data.search is None:
        return ()
    order = list(PICK_NAMES)
    picks = sorted(data.search.picks, key=lambda pick: order.index(pick.label))
    return tuple(_card(data, Axes.of(data.search.objectives), pick) for pick in picks)


def _card(data: ReportData, axes: Axes, pick: Pick) -> PickCard:
    assert data.search is not None
    row = data.verified().get(pick.architecture)
    predicted = pick.values[axes.latency] if axes.latency is not None else None
    rows: list[tuple[str, str]] = []
    if row is not None and row.measured_ms is not None:
        big = milliseconds(row.measured_ms)
        under = f"measured afresh, 95{NBSP}%: {interval(row.ci_low_ms, row.ci_high_ms)}"
        if predicted is not None:
            rows.append(("Predicted latency", milliseconds(predicted)))
    else:
        big = milliseconds(predicted)
        under = "predicted, not measured yet" if row is None else f"predicted; measuring ended {row.outcome}"
        if axes.latency is None and axes.accuracy is not None:
            accuracy = pick.values[axes.accuracy]
            big, under = percent(percent_of(accuracy, data.search.objectives[axes.accuracy])), "predicted"
    if axes.latency is not None:
        under += data.provenance
    for position, objective in enumerate(data.search.objectives):
        value = pick.values[position]
        if position == axes.latency:
            continue
        if position == axes.accuracy:
            rows.append(("Predicted accuracy", percent(percent_of(value, objective))))
        elif position == axes.params:
            rows.append(("Parameters", count(value)))
        else:
            rows.append((objective.name, f"{count(value)} {objective.unit}"))
    rows.append(("Architecture", pick.architecture))
    warnings = [UNSTABLE_WORDS] if row is not None and row.outcome == UNSTABLE else []
    if any(each.extrapolated for each in data.search.front if each.architecture == pick.architecture):
        warnings.append(EXTRAPOLATED_WORDS)
    return PickCard(
        pick.label,
        PICK_NAMES[pick.label],
        PICK_COLOURS[pick.label],
        big,
        under,
        tuple(rows),
        data.choices.get(pick.architecture, ()),
        "; ".join(warnings),
    )


def search_facts(data: ReportData) -> Facts:
    """How the search was run."""
    search = data.search
    if search is None:
        return ()
    objectives = "; ".join(
        f"{o.name} ({o.direction}{', ' + o.source if o.source else ''})" for o in search.objectives
    )
    return (
        ("Strategy", search.strategy),
        ("Space", f"{search.space}, at {search.task.resolution} \u00d7 {search.task.resolution} pixels"),
        ("Evaluated", plural(len(search.evaluated), "architecture")),
        ("Front", plural(len(search.front), "architecture")),
        ("Objectives", objectives),
        ("Constraints", ", ".join(search.constraints) or "none"),
        ("Seed", str(search.seed)),
        ("Time", duration(search.seconds)),
    )


def leaderboard_table(board: Leaderboard) -> LeaderboardTable:
    """One leaderboard with its baselines and warnings."""
    what = get_target(board.target).words.capitalize()
    rows = [_leaderboard_row(board, score, baseline=False) for score in board.scores]
    rows += [_leaderboard_row(board, score, baseline=True) for score in board.baselines]
    notes = [board.verdict] if board.verdict else []
    notes.append(f"Labels: {board.provenance}" if board.provenance else "Labels of unknown provenance")
    if board.ceiling is not None:
        ceiling = board.ceiling
        truth, label = ceiling.label_to_truth, ceiling.label_to_label
        notes.append(
            f"Noise ceiling: τ {truth.value:.3f} [{truth.low:.3f}, {truth.high:.3f}] between a label and the "
            f"truth, {label.value:.3f} [{label.low:.3f}, {label.high:.3f}] between two labels of the same "
            f"networks ({ceiling.repeated_labels} repeated labels, noise {significant(ceiling.label_noise)} "
            f"{ceiling.noise_unit})."
        )
    notes.append(
        "±5 %, ±10 %: labels that the prediction misses by no more. In 90 %: labels inside the nominal 90 % "
        "interval that the predictor gives. Lowest and highest tenth: τ and mean error on the labels at that "
        "edge, of the predictor fitted to all others. p: of no difference to the best, by the corrected "
        "resampled t-test."
    )
    return LeaderboardTable(
        f"{what}: {board.labels} labels of {board.networks} networks, {board.folds} folds, repeated "
        f"{board.repeats}{NBSP}times",
        tuple(rows),
        (*notes, *board.notes),
    )


def _leaderboard_row(board: Leaderboard, score: Score, *, baseline: bool) -> LeaderboardRow:
    remarks = ["baseline"] if baseline else []
    if score.leak_suspected:
        remarks.append("above the noise ceiling: investigate a leak")
    elif not score.better_than_chance:
        remarks.append("not told from chance")
    warning = score.leak_suspected or not (baseline or score.better_than_chance)
    tau = score.kendall_tau
    cells = (
        f"{tau.value:.3f}",
        f"{tau.low:.3f} \u2013 {tau.high:.3f}",
        f"{score.spearman:.3f}",
        difference(score.rmse, get_target(board.target), 2),
        percent(100 * score.mape),
        percent(100 * score.within_5_percent, 0),
        percent(100 * score.within_10_percent, 0),
        DASH if score.inside_90_percent is None else percent(100 * score.inside_90_percent, 0),
        _edge(score.lowest),
        _edge(score.highest),
        DASH if score.p_against_best is None else describe_p(score.p_against_best).replace(" ", NBSP),
        duration(score.fit_s) if score.fit_s >= 1 else f"{significant(1000 * score.fit_s)}{NBSP}ms",
        f"{significant(score.predict_us_per_row)}{NBSP}µs",
    )
    return LeaderboardRow(score.predictor, score.features, cells, tuple(remarks), warning, baseline)


def _edge(found: EdgeScore | None) -> str:
    return DASH if found is None else f"{found.kendall_tau:.2f}, {percent(100 * found.mape)}"


def verification_rows(data: ReportData) -> tuple[VerificationRow, ...]:
    """Front first, then controls, each from the fastest prediction to the slowest."""
    if data.verification is None:
        return ()
    ordered = sorted(data.verification.rows, key=lambda row: (row.role != "front", row.predicted_ms))
    return tuple(_verification_row(data, row) for row in ordered)


def _verification_row(data: ReportData, row: VerifiedRow) -> VerificationRow:
    picks = data.search.picks if data.search is not None else ()
    remarks: list[str] = [
        pick.label for pick in picks if pick.architecture == row.architecture and row.role == "front"
    ]
    if row.extrapolated:
        remarks.append("outside the training range")
    error = None if row.measured_ms is None else 100 * (row.predicted_ms / row.measured_ms - 1)
    return VerificationRow(
        row.architecture,
        row.role,
        milliseconds(row.predicted_ms),
        milliseconds(row.measured_ms),
        interval(row.ci_low_ms, row.ci_high_ms),
        signed_percent(error),
        ", ".join(remarks),
        "" if row.outcome == "OK" else row.outcome,
    )


def verification_errors(data: ReportData, role: str) -> tuple[float, float] | None:
    """Mean absolute error and bias of the predictions for a role, percent of the measured latency."""
    rows = data.verification.rows if data.verification is not None else ()
    errors = [
        100 * (row.predicted_ms / row.measured_ms - 1)
        for row in rows
        if row.role == role and row.measured_ms is not None
    ]
    return (float(np.mean(np.abs(errors))), float(np.mean(errors))) if errors else None


def verification_notes(data: ReportData) -> tuple[str, ...]:
    """Errors of front and controls, and the rank correlation, in words."""
    if data.verification is None:
        return ()
    notes = []
    for role, name in (("front", "Front"), ("control", "Random controls")):
        errors = verification_errors(data, role)
        if errors is not None:
            notes.append(
                f"{name}: mean absolute error {percent(errors[0])}, bias {signed_percent(errors[1])} "
                "(minus: predicted too fast)."
            )
    wide = sum(row.outcome == UNSTABLE for row in data.verification.rows)
    if wide:
        notes.append(
            f"{wide} of {len(data.verification.rows)} are {UNSTABLE}: with an interval that is wider than "
            "was asked for, and counted all the same."
        )
    if data.verification.left_out:
        notes.append(f"{data.verification.left_out} more were chosen, and there was no time to measure them.")
    tau = data.verification
    if tau.kendall_tau is not None:
        ends = (
            f" [{tau.kendall_tau_low:.3f}, {tau.kendall_tau_high:.3f}]"
            if tau.kendall_tau_low is not None and tau.kendall_tau_high is not None
            else ""
        )
        notes.append(
            f"Kendall τ between predicted and measured, front and controls: {tau.kendall_tau:.3f}{ends}."
        )
    return (
        *notes,
        f"Predictor: {tau.predictor}. None of these measurements took part in choosing the front.",
    )


def training_facts(data: ReportData) -> Facts:
    """What the accuracy labels are."""
    training = data.training
    if training is None:
        return ()
    facts = [("Label", training.description), ("Networks", str(training.networks))]
    if training.repeated:
        facts.append(("With several seeds", str(training.repeated)))
    if training.noise is not None:
        facts.append(("Spread between seeds", f"{100 * training.noise:.1f}{NBSP}points (standard deviation)"))
    if training.chance is not None:
        facts.append(("Chance", percent(100 * training.chance)))
    return (*facts, *training.facts)


def device_facts(data: ReportData) -> Facts:
    """What the device says about itself."""
    if data.device is None:
        return ()
    context, device = data.device.context, data.device
    runtimes = "; ".join(
        f"{r.name} {r.version}" + ("" if r.usable else f" (unusable: {r.reason})") for r in device.runtimes
    )
    health = device.health
    temperature = health.temperature_celsius
    return (
        ("Latencies", f"{EXECUTION_WORDS[context.execution]} ({context.execution})"),
        ("Board", context.board),
        ("Device", f"{device.identity.hostname} ({device.identity.device_id[:16]})".lstrip()),
        ("Processor", device.cpu_model or context.soc),
        ("System on chip", context.soc),
        ("Cores", f"{context.cores}, {context.threads} used"),
        ("Memory", memory(context.memory_bytes)),
        ("Operating system", context.os),
        ("Kernel", f"{context.kernel} ({context.architecture})"),
        ("Runtime of the labels", f"{context.runtime} {context.runtime_version} ({context.runtime_build})"),
        ("Runtimes", runtimes or "none"),
        ("Precision", context.precision),
        ("Governor", context.governor or "unknown"),
        ("Temperature", "unknown: no sensor" if temperature is None else f"{temperature:.0f}{NBSP}°C"),
        ("Agent", device.agent_version),
        ("Context fingerprint", context.fingerprint()),
    )


def stage_rows(data: ReportData) -> tuple[StageRow, ...]:
    """Stages in order, with the length of their bars in percent."""
    longest = max((stage.seconds for stage in data.stages), default=0.0) or 1.0
    rows = [
        StageRow(s.stage, s.status, duration(s.seconds), f"{100 * s.seconds / longest:.1f}", s.note)
        for s in data.stages
    ]
    if len(rows) > 1:
        rows.append(StageRow("together", "", duration(sum(stage.seconds for stage in data.stages)), ""))
    return tuple(rows)


def coverage_charts(data: ReportData) -> tuple[CoverageChart, ...]:
    """The variables of the space with their choices' counts."""
    charts = []
    for variable in data.sheet.coverage:
        most = max(variable.counts, default=0) or 1
        bars = tuple(
            CoverageBar(choice, number, round(30 * number / most))
            for choice, number in zip(variable.choices, variable.counts, strict=True)
        )
        charts.append(CoverageChart(variable.variable, bars))
    return tuple(charts)


def strip(data: ReportData) -> Facts:
    """The few numbers at the top."""
    facts = []
    if data.spreads:
        facts.append(("networks measured", str(len(data.spreads))))
        widths = [m.half_width_percent for m in data.spreads if m.half_width_percent is not None]
        if widths:
            facts.append(("median 95 % interval of a label", f"±{np.median(widths):.1f}{NBSP}%"))
    board = data.leaderboard()
    if board is not None and board.scores:
        best = board.scores[0]
        facts.append((f"Kendall τ of {best.predictor}, latency", f"{best.kendall_tau.value:.2f}"))
    if data.search is not None:
        facts.append(("architectures evaluated by the search", str(len(data.search.evaluated))))
    errors = verification_errors(data, "front")
    if errors is not None:
        facts.append(("error of predicted latency on the front", percent(errors[0])))
    return tuple(facts)
