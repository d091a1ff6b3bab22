"""`hytnas-profile dataset`: what a study holds, and getting it out."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hytnas_host.cli.console import out, print_json, print_table
from hytnas_host.cli.options import DEFAULT_STUDY, JsonOption, StudyOption

if TYPE_CHECKING:
    from hytnas_datasets.store import StudySummary

app = typer.Typer(help="Describe and export what was gathered.", no_args_is_help=True)


@app.command()
def describe(study: StudyOption = DEFAULT_STUDY, as_json: JsonOption = False) -> None:
    """Show counts, outcomes, duplicates, outliers, repeat noise and coverage.

    Example: hytnas-profile dataset describe --study runs/default
    """
    from hytnas_datasets.store import Study

    with Study.open(study, create=False) as opened:
        summary = opened.describe()
    if as_json:
        print_json(summary)
        return
    rows: list[tuple[str, object]] = [
        *((f"sampled for {purpose}", count) for purpose, count in summary.sampled.items()),
        ("models exported", summary.exports),
        *((f"jobs for {purpose}", count) for purpose, count in summary.jobs.items()),
        *((f"outcome {outcome}", count) for outcome, count in summary.outcomes.items()),
        ("networks trained", summary.trained_networks),
        ("trainings", summary.trainings),
        ("processes that are outliers", len(summary.outliers)),
    ]
    if summary.repeat_noise is not None:
        rows.append(("spread between processes of a model", f"{100 * summary.repeat_noise:.2f} %"))
    if summary.seed_noise is not None:
        rows.append(("spread between seeds of a network", f"{100 * summary.seed_noise:.2f} points"))
    if summary.latency_range_ms is not None:
        rows.append(("latencies", "{:.2f} to {:.2f} ms".format(*summary.latency_range_ms)))
    if summary.accuracy_range is not None:
        rows.append(("accuracies", "{:.3f} to {:.3f}".format(*summary.accuracy_range)))
    print_table(f"Study {study}", ["", ""], rows)
    if len(summary.boards) > 1:
        _print_boards(summary)
    if summary.coverage:
        print_table(
            "Coverage: how often each choice was sampled",
            ["space", "variable", "choice: count"],
            [
                (
                    c.space,
                    c.variable,
                    ", ".join(f"{a}: {b}" for a, b in zip(c.choices, c.counts, strict=True)),
                )
                for c in summary.coverage
            ],
        )


def _print_boards(summary: "StudySummary") -> None:
    print_table(
        "Boards",
        ["device", "board", "context", "labels", "processes", "of the canary"],
        [
            (
                b.name or b.device_id,
                b.board,
                b.context,
                ", ".join(f"{count} {outcome}" for outcome, count in sorted(b.labels.items())) or "none",
                b.jobs,
                b.canaries,
            )
            for b in summary.boards
        ],
    )
    names = {board.device_id: board.name or board.device_id for board in summary.boards}
    for found in summary.board_agreements:
        out.print(f"context {found.context}: {found.agreement.describe(names)}", markup=False, soft_wrap=True)


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(help="Folder to write to; it is made if need be.")],
    study: StudyOption = DEFAULT_STUDY,
    licence: Annotated[
        str, typer.Option("--licence", help="Licence said in the data sheet.")
    ] = "unspecified",
) -> None:
    """Write the study as CSV tables with a JSON data sheet.

    Example: hytnas-profile dataset export ./csv --licence CC-BY-4.0
    """
    from hytnas_datasets.store import Study

    with Study.open(study, create=False) as opened:
        for path in opened.export_csv(folder, licence=licence):
            out.print(str(path), highlight=False)
