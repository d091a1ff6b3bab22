"""A search result and a verification on the terminal."""

from hytnas_agent.records import EXECUTION_WORDS
from hytnas_datasets.targets import LATENCY, TARGETS
from hytnas_host.cli.console import out, print_table
from hytnas_host.search.exact_metrics import EXACT_METRICS
from hytnas_host.search.result import Evaluated, Objective, Pick, SearchResult, Verification

PICK_NAMES = {"BL": "best latency", "BA": "best accuracy", "O": "optimal trade-off"}
OUTSIDE = "outside training range"
MAX_FRONT_ROWS = 20
"""Members of a front without picks that are shown."""


def print_search(result: SearchResult) -> None:
    """Print the picks, or the front where the objectives allow no pick, and how far the search came."""
    outside = {member.architecture for member in result.front if member.extrapolated}
    titles = [_title(objective) for objective in result.objectives]

    def cells(row: Pick | Evaluated) -> tuple[str, ...]:
        values = (_figure(value, o) for value, o in zip(row.values, result.objectives, strict=True))
        return (row.architecture, *values, OUTSIDE if row.architecture in outside else "")

    caption = (
        f"Search of {result.space} by {result.strategy}: {len(result.evaluated)} networks evaluated, "
        f"{len(result.front)} on the front{_origin(result)}"
    )
    if result.picks:
        rows = [(pick.label, PICK_NAMES[pick.label], *cells(pick)) for pick in result.picks]
        print_table(caption, ["pick", "", "architecture", *titles, ""], rows)
    else:
        shown = result.front[:MAX_FRONT_ROWS]
        print_table(caption, ["architecture", *titles, ""], [cells(member) for member in shown])
        if len(result.front) > len(shown):
            out.print(f"and {len(result.front) - len(shown)} more on the front: --json gives all of them")
    if result.hypervolume:
        first, last = result.hypervolume[0], result.hypervolume[-1]
        out.print(
            f"hypervolume {first[1]:.4g} after {first[0]} evaluations, {last[1]:.4g} after {last[0]}; "
            f"{result.seconds:.0f} s",
            highlight=False,
        )
    for note in result.notes:
        out.print(f"[dim]{note}[/]")


def print_verification(verification: Verification) -> None:
    """Print predicted against measured, for the front and for random controls."""
    rows = []
    for row in verification.rows:
        measured = row.outcome
        error = ""
        if row.measured_ms is not None:
            measured = f"{row.measured_ms:.2f}"
            error = f"{100 * (row.predicted_ms / row.measured_ms - 1):+.1f} %"
        interval = (
            f"[{row.ci_low_ms:.2f}, {row.ci_high_ms:.2f}]"
            if row.ci_low_ms is not None and row.ci_high_ms is not None
            else ""
        )
        remark = OUTSIDE if row.extrapolated else ""
        rows.append(
            (row.role, row.architecture, f"{row.predicted_ms:.2f}", measured, interval, error, remark)
        )
    words = EXECUTION_WORDS[verification.execution]
    print_table(
        f"Verification on {verification.device} ({words}), measured afresh; {verification.predictor}",
        ["role", "architecture", "predicted ms", "measured ms", "95 % interval", "error", ""],
        rows,
    )
    if verification.left_out:
        out.print(
            f"{verification.left_out} more were not measured: the time for that was over. "
            "To measure them, too: hytnas-profile verify"
        )
    for name, mape, bias in (
        ("front", verification.front_mape, verification.front_bias_percent),
        ("controls", verification.control_mape, verification.control_bias_percent),
    ):
        if mape is not None and bias is not None:
            out.print(f"{name}: mean absolute error {100 * mape:.1f} %, bias {bias:+.1f} %", highlight=False)
    if verification.kendall_tau is not None:
        out.print(
            f"Kendall tau, predicted to measured: {verification.kendall_tau:.3f} "
            f"[{verification.kendall_tau_low:.3f}, {verification.kendall_tau_high:.3f}]",
            highlight=False,
        )


def _origin(result: SearchResult) -> str:
    """Where what was predicted of a device comes from; empty where nothing was."""
    names = [o.name for o in result.objectives if o.name in TARGETS and TARGETS[o.name].of_device]
    if not names:
        return ""
    what = "latencies" if LATENCY.name in names else ", ".join(names)
    return f"; {what} predicted from: {EXECUTION_WORDS[result.execution]}"


def _title(objective: Objective) -> str:
    said_by_the_name = ("ms", *(metric.unit for metric in EXACT_METRICS.values()))
    unit = objective.unit
    return f"{objective.name} ({unit})" if unit and unit not in said_by_the_name else objective.name


def _figure(value: float, objective: Objective) -> str:
    return f"{value:,.0f}" if objective.name in EXACT_METRICS else f"{value:.4g}"
