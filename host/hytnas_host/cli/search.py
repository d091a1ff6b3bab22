"""`hytnas-profile search | verify`: the best trade-offs, and whether they hold on the device."""

from typing import Annotated

import typer

from hytnas_host.cli.console import BarProgress, print_json
from hytnas_host.cli.options import (
    DEFAULT_STUDY,
    DeviceOption,
    JsonOption,
    SeedOption,
    SpaceOption,
    StudyOption,
)


def register(app: typer.Typer) -> None:
    """Add the commands of this module to the root command."""
    app.command()(search)
    app.command()(verify)


def search(
    study: StudyOption = DEFAULT_STUDY,
    space: SpaceOption = "hyt",
    strategy: Annotated[
        str, typer.Option("--strategy", help="hyt, nsga2, random, or one of an installed package.")
    ] = "hyt",
    constraint: Annotated[
        list[str] | None,
        typer.Option("--constraint", help="Hard constraint such as 'params <= 300k'; repeatable."),
    ] = None,
    evaluations: Annotated[int, typer.Option("--evaluations", min=1, help="Networks to evaluate.")] = 200,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Networks asked for at once.")] = 10,
    seed: SeedOption = 0,
    force: Annotated[
        bool, typer.Option("--force", help="Use predictors of another space or context.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Search with the study's predictors for latency and accuracy, and the exact parameter count.

    An interrupted search goes on from its checkpoint.

    Example: hytnas-profile search --constraint "params <= 300k" --evaluations 400
    """
    from hytnas_host.cli.search_tables import print_search
    from hytnas_host.workflow.searches import search_study

    result = search_study(
        study,
        space,
        strategy=strategy,
        constraints=constraint or (),
        evaluations=evaluations,
        batch=batch,
        seed=seed,
        force=force,
        progress=BarProgress,
    )
    if as_json:
        print_json(result)
    else:
        print_search(result)


def verify(
    study: StudyOption = DEFAULT_STUDY,
    device: DeviceOption = "local",
    front: Annotated[int, typer.Option("--front", min=1, help="Most members of the front to measure.")] = 8,
    processes: Annotated[
        int | None,
        typer.Option("--processes", min=1, help="Fresh processes a model; 5, or what suits the device."),
    ] = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Measure the front and as many random controls afresh, and set predicted beside measured.

    Example: hytnas-profile verify --front 12
    """
    from hytnas_host.cli.search_tables import print_verification
    from hytnas_host.collect.options import MeasureOptions
    from hytnas_host.devices import open_device
    from hytnas_host.workflow.searches import verify_study

    with open_device(device) as board:
        options = MeasureOptions.of(board.method, seed=seed, processes=processes)
        verification = verify_study(study, board, options=options, max_front=front, progress=BarProgress)
    if as_json:
        print_json(verification)
    else:
        print_verification(verification)
