"""`hytnas-profile run`: the main job."""

from pathlib import Path
from typing import Annotated, Literal

import msgspec
import typer
from rich.markup import escape

from hytnas_host.cli.console import BarProgress, out, print_table
from hytnas_host.cli.options import DEFAULT_STUDY, ExtrapolatedOption, ObjectivesOption, StudyOption


def register(app: typer.Typer) -> None:
    """Add the commands of this module to the root command."""
    app.command()(run)


def run(
    study: StudyOption = DEFAULT_STUDY,
    size: Annotated[
        Literal["default", "small"],
        typer.Option(
            "--size",
            help=(
                "`small` is a quick look: 20 networks measured in 3 processes each instead of 40 in 5, "
                "20 trained instead of 24, 2,000 evaluations of the search instead of 20,000."
            ),
        ),
    ] = "default",
    device: Annotated[
        str | None,
        typer.Option("--device", help="Device that measures; by default `local`, which is this machine."),
    ] = None,
    space: Annotated[
        str | None,
        typer.Option(
            "--space",
            help=("Space to draw architectures from; hyt by default. A bundled one or a TOML file."),
        ),
    ] = None,
    latency_n: Annotated[
        int | None,
        typer.Option(
            "--latency-n",
            min=1,
            help=(
                "How many networks to measure; 40 by default. More make better predictors and take longer: "
                "give a longer --measure-budget-s, too."
            ),
        ),
    ] = None,
    accuracy_n: Annotated[
        int | None, typer.Option("--accuracy-n", min=1, help="How many networks to train; 24 by default.")
    ] = None,
    measure_budget_s: Annotated[
        float | None,
        typer.Option(
            "--measure-budget-s",
            min=0.0,
            help=(
                "Seconds after which no more networks are begun to be measured; 210 by default. Those that "
                "are begun may take half as long again, and are left out if they are not finished then: "
                "no network is measured in fewer processes."
            ),
        ),
    ] = None,
    train_budget_s: Annotated[
        float | None,
        typer.Option(
            "--train-budget-s",
            min=0.0,
            help="The same for the networks that are trained; 150 by default.",
        ),
    ] = None,
    verify_budget_s: Annotated[
        float | None,
        typer.Option(
            "--verify-budget-s",
            min=0.0,
            help="The same for the networks that are measured afresh in the end; 150 by default.",
        ),
    ] = None,
    evaluations: Annotated[
        int | None,
        typer.Option(
            "--evaluations", min=1, help="How many networks the search evaluates; 20,000 by default."
        ),
    ] = None,
    constraint: Annotated[
        list[str] | None,
        typer.Option(
            "--constraint", help="A limit that no result may break; 'params <= 3M' by default. Repeatable."
        ),
    ] = None,
    objectives: ObjectivesOption = None,
    extrapolated: ExtrapolatedOption = "allow",
    seed: Annotated[
        int | None,
        typer.Option(
            "--seed", min=0, help="Seed of every random draw; 0 by default. Change it for an independent run."
        ),
    ] = None,
) -> None:
    """Do the whole job: measure, train, compare predictors, search, verify on the device, write a report.

    Interrupt it anywhere and run it again: it goes on where it was. Run it again with a larger --latency-n,
    --accuracy-n or --evaluations: it adds what is missing. The defaults are laid out for 8 minutes on two
    quiet cores, and end within 15 on busy ones: fewer networks are measured and trained then, and the same
    command again goes on with the others.

    Examples:

      hytnas-profile run

      hytnas-profile run --study runs/wide --latency-n 300 --measure-budget-s 3600

      hytnas-profile run --study runs/small --constraint "params <= 300k" --objectives latency_ms,accuracy
    """
    from hytnas_host.workflow.main_job import SIZES, open_journal, stages

    options = {
        "device": device,
        "space": space,
        "latency_n": latency_n,
        "accuracy_n": accuracy_n,
        "measure_budget_s": measure_budget_s,
        "train_budget_s": train_budget_s,
        "verify_budget_s": verify_budget_s,
        "evaluations": evaluations,
        "objectives": objectives,
        "extrapolated": extrapolated,
        "constraints": tuple(constraint) if constraint else None,
        "seed": seed,
    }
    given = {name: value for name, value in options.items() if value is not None}
    config = msgspec.structs.replace(SIZES[size], **given)
    journal = open_journal(study, config)
    for stage in stages(study, config, BarProgress, _say):
        out.print(f"[bold]== {stage.name}[/]")
        record = journal.run(stage)
        kept = " (kept from before)" if record.status == "kept" else ""
        out.print(f"   {record.seconds:.1f} s{kept}", highlight=False)
        if record.note:
            _say(f"   {record.note}")
        _show(study, stage.name)
    print_table(
        "Time per stage",
        ["stage", "seconds", ""],
        [
            (s.stage, f"{s.seconds:.1f}", s.note or ("kept" if s.status == "kept" else ""))
            for s in journal.stages
        ]
        + [("all", f"{sum(s.seconds for s in journal.stages):.1f}", "")],
    )
    out.print(f"report: {escape(str((study / 'report.html').resolve()))}", highlight=False)


def _say(text: str) -> None:
    out.print(text, markup=False, soft_wrap=True)


def _show(study: Path, stage: str) -> None:
    from hytnas_host.cli.leaderboard_table import print_leaderboard
    from hytnas_host.cli.search_tables import print_search, print_verification
    from hytnas_host.search.result import SearchResult, Verification
    from hytnas_host.study_files import StudyFiles, read_json
    from hytnas_predictors.result import Leaderboard

    files = StudyFiles(study)
    if stage.startswith("leaderboard "):
        path = files.leaderboard(stage.removeprefix("leaderboard "))
        if path.exists():
            print_leaderboard(read_json(path, Leaderboard))
    elif stage == "search":
        print_search(read_json(files.search, SearchResult))
    elif stage == "verify":
        print_verification(read_json(files.verification, Verification))
