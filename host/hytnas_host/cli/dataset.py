"""`hytnas-profile dataset`: what a study holds, getting it out, and data sets in files."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from hytnas_host.cli.console import out, print_json, print_table
from hytnas_host.cli.options import (
    DEFAULT_STUDY,
    DEFAULT_TARGET,
    JsonOption,
    KeepHostnamesOption,
    LabelsCsvOption,
    SpaceOption,
    StudyOption,
    TargetOption,
)

if TYPE_CHECKING:
    from hytnas_datasets.store import StudySummary

app = typer.Typer(help="Data sets: describe, export and pack what a study holds.", no_args_is_help=True)

LicenceOption = Annotated[
    str, typer.Option("--licence", help="Licence to state in the data sheet, such as CC-BY-4.0.")
]
SummaryOption = Annotated[
    str, typer.Option("--summary", help="One line in the data sheet that says what this is.")
]


@app.command()
def describe(study: StudyOption = DEFAULT_STUDY, as_json: JsonOption = False) -> None:
    """Show what a study holds, how noisy its labels are, and how far they can be trusted.

    Example: hytnas-profile dataset describe --study runs/default
    """
    from hytnas_agent.records import EXECUTION_WORDS
    from hytnas_datasets.store import Study
    from hytnas_host.report.measuring import quality_table

    with Study.open(study, create=False) as opened:
        summary = opened.describe()
    if as_json:
        print_json(summary)
        return
    rows: list[tuple[str, object]] = [
        *((f"sampled for {purpose}", count) for purpose, count in summary.sampled.items()),
        ("models exported", summary.exports),
        *((f"models in {kind}", count) for kind, count in summary.kinds.items()),
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
        low_ms, high_ms = summary.latency_range_ms
        words = " and ".join(EXECUTION_WORDS[execution] for execution in summary.executions)
        rows.append(("latencies", f"{low_ms:.4g} to {high_ms:.4g} ms, {words}"))
    if summary.accuracy_range is not None:
        rows.append(("accuracies", "{:.3f} to {:.3f}".format(*summary.accuracy_range)))
    print_table(f"Study {study}", ["", ""], rows)
    quality = quality_table(summary.qualities)
    if quality is not None:
        print_table(
            quality.title,
            ["", *quality.columns],
            [("  " * row.part + row.name, *row.counts) for row in quality.rows],
        )
        meant = [f"{row.name}. {row.meaning}" for row in quality.rows if row.meaning]
        for line in filter(None, (*meant, quality.note)):
            out.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)
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
def labels(
    study: StudyOption = DEFAULT_STUDY, csv: LabelsCsvOption = None, as_json: JsonOption = False
) -> None:
    """Show the latency of each model, or why there is none, as `collect latency --models` does at its end.

    Examples:

      hytnas-profile dataset labels --study runs/mine

      hytnas-profile dataset labels --study runs/mine --csv latencies.csv
    """
    from hytnas_datasets.store import Study
    from hytnas_host.cli.label_table import print_label_rows, write_label_rows
    from hytnas_host.collect.label_rows import rows_of_study

    with Study.open(study, create=False) as opened:
        rows = rows_of_study(opened)
    if csv is not None:
        write_label_rows(rows, csv)
    if as_json:
        print_json(rows)
    elif rows:
        print_label_rows(rows)
    else:
        out.print("the study holds no latency yet, see: hytnas-profile collect latency --help")


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(help="Folder to write to; it is made if it is missing.")],
    study: StudyOption = DEFAULT_STUDY,
    licence: LicenceOption = "unspecified",
    table_format: Annotated[
        Literal["csv", "parquet"],
        typer.Option(
            "--format",
            help=(
                "Format of the tables. Choose parquet to load them with pandas: it keeps the type of each "
                "column. It needs the package pyarrow."
            ),
        ),
    ] = "csv",
    keep_hostnames: KeepHostnamesOption = False,
) -> None:
    """Write all that a study holds as tables with a JSON data sheet, for other programs.

    Examples:

      hytnas-profile dataset export ./csv --licence CC-BY-4.0

      hytnas-profile dataset export ./tables --format parquet
    """
    from hytnas_datasets.store import Study

    with Study.open(study, create=False) as opened:
        for path in opened.export_tables(
            folder, licence=licence, table_format=table_format, keep_hostnames=keep_hostnames
        ):
            out.print(str(path), highlight=False)


@app.command("list")
def list_command(as_json: JsonOption = False) -> None:
    """List the data sets that come with the toolkit.

    Example: hytnas-profile dataset list
    """
    from hytnas_datasets import bundled

    sheets = {name: bundled.sheet(name) for name in bundled.names()}
    if as_json:
        print_json(sheets)
        return
    print_table(
        "Bundled data sets: use them with --data bundled:NAME",
        ["name", "space", "labels", "of", "latencies"],
        [
            (
                name,
                sheet.space,
                sheet.labels,
                f"{sheet.target} at {sheet.context.task.resolution}",
                sheet.latencies,
            )
            for name, sheet in sheets.items()
        ],
    )


@app.command()
def sheet(
    data: Annotated[str, typer.Argument(help="`bundled:NAME`, or the folder of a data set.", metavar="SET")],
    as_json: JsonOption = False,
) -> None:
    """Show the data sheet of a data set in files, and check its table against it.

    Example: hytnas-profile dataset sheet bundled:hyt-icount-a53
    """
    from hytnas_datasets.bundled import set_folder
    from hytnas_datasets.portable import read_set, read_sheet

    folder = set_folder(data)
    described, labelled = read_sheet(folder), read_set(folder)
    if as_json:
        print_json(described)
        return
    task, device = described.context.task, described.context.device
    rows: list[tuple[str, object]] = [
        ("summary", described.summary),
        ("labels", f"{described.labels} of {described.networks} networks of the space {described.space}"),
        ("target", f"{described.target}, {described.unit}"),
        *((("doubtful", labelled.flag_count.describe()),) if labelled.flag_count else ()),
        ("range", f"{labelled.y.min():.4g} to {labelled.y.max():.4g}"),
        ("task", f"{task.resolution} x {task.resolution}, {task.classes} classes"),
        ("licence", described.licence),
    ]
    if device is not None:
        rows += [
            ("latencies", described.latencies),
            ("caution", described.caution),
            ("board", device.board),
            ("system", f"{device.os}; {device.kernel}"),
            ("runtime", f"{device.runtime} {device.runtime_version}, {device.threads} thread"),
        ]
    rows += [(key, value) for key, value in described.extra.items()]
    print_table(f"Data set {described.name}", ["", ""], rows)


@app.command()
def pack(
    folder: Annotated[
        Path,
        typer.Argument(help=("Folder to write to; it is made if it is missing. Its name is the data set's.")),
    ],
    studies: Annotated[
        list[Path],
        typer.Option(
            "--study",
            help=("Study to take labels from; repeat it to merge several that were measured alike."),
        ),
    ],
    target: TargetOption = DEFAULT_TARGET,
    space: SpaceOption = "hyt",
    summary: SummaryOption = "",
    licence: LicenceOption = "unspecified",
) -> None:
    """Write the labels of one or more studies as a data set in files, for `--data`.

    Example: hytnas-profile dataset pack ./my-set --study runs/a --study runs/b --licence CC-BY-4.0
    """
    from hytnas_host.workflow.packing import pack as pack_studies

    written = pack_studies(
        studies, folder, target, space, name=folder.resolve().name, summary=summary, licence=licence
    )
    out.print(f"{folder}: {written.labels} labels of {written.networks} networks", highlight=False)


@app.command("import")
def import_command(
    file: Annotated[Path, typer.Argument(help="CSV (any separator, plain or .gz) or Parquet.")],
    folder: Annotated[
        Path, typer.Option("--out", help="Folder to write to. Its name is the data set's and the space's.")
    ],
    target: TargetOption = DEFAULT_TARGET,
    features: Annotated[
        str | None,
        typer.Option(
            "--features",
            help="Columns that describe a candidate, separated by commas.",
            show_default="all but the label and the id",
        ),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option("--label", help="Column with the labels.", show_default="called like the target"),
    ] = None,
    unit: Annotated[
        str | None,
        typer.Option("--unit", help="Unit of the labels, such as s or %.", show_default="the target's"),
    ] = None,
    repeats_of: Annotated[
        str | None,
        typer.Option("--repeats-of", help="Column that names a candidate: rows that share it are repeats."),
    ] = None,
    header: Annotated[
        bool, typer.Option("--header/--no-header", help="Without one, columns are called c0, c1 and so on.")
    ] = True,
    table_format: Annotated[
        Literal["table", "hytnas-released"],
        typer.Option(
            "--format",
            help="hytnas-released: a file published beside the HyT-NAS paper, by its name; it is decoded to "
            "architectures of the space hyt-released.",
        ),
    ] = "table",
    device: Annotated[
        str | None, typer.Option("--device", help="What measured, in words, for the data sheet.")
    ] = None,
    summary: SummaryOption = "",
    licence: LicenceOption = "unspecified",
    as_json: JsonOption = False,
) -> None:
    """Make a space and a data set of a table from elsewhere, and say what is odd about it.

    Each column of features becomes a variable of a space without networks. leaderboard, train and search then
    take the folder: --space FOLDER/space.toml --data FOLDER.

    Examples:

      hytnas-profile dataset import flags.csv --out flags --features unroll,tile --label ms

      hytnas-profile dataset import models_lat.csv --out published --format hytnas-released
    """
    from hytnas_datasets.importing import TableColumns
    from hytnas_datasets.portable import SPACE
    from hytnas_host.workflow.importing import ImportChoice, import_file

    named = tuple(name.strip() for name in features.split(",")) if features else ()
    choice = ImportChoice(
        TableColumns(target, label, unit, named, repeats_of),
        header=header,
        released=table_format == "hytnas-released",
        device=device,
        summary=summary,
        licence=licence,
    )
    written, notes = import_file(file, folder, choice)
    space = str(folder / SPACE) if SPACE in written.files else written.space
    if as_json:
        print_json({"data": str(folder), "space": space, "labels": written.labels, "notes": notes})
        return
    out.print(
        f"{folder}: {written.labels} labels of {written.target}, space {written.space}", highlight=False
    )
    for note in notes:
        out.print(f"  {note}", markup=False, highlight=False, soft_wrap=True)
    out.print(
        f"hytnas-profile leaderboard --target {written.target} --space {space} --data {folder}",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
