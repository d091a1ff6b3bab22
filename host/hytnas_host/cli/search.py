"""`hytnas-profile search | verify`: the best trade-offs, and whether they hold on the device."""

from pathlib import Path
from typing import Annotated

import typer

from hytnas_host.cli.console import BarProgress, print_json
from hytnas_host.cli.options import (
    DEFAULT_STUDY,
    DeviceOption,
    ExtrapolatedOption,
    JsonOption,
    ObjectivesOption,
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
    objectives: ObjectivesOption = None,
    strategy: Annotated[
        str | None,
        typer.Option(
            "--strategy",
            help=(
                "How to search: nsga2 (evolution, for many evaluations), exhaustive (the whole space), hyt "
                "(Bayesian, as in the paper, for few evaluations), hyt-plus (Bayesian, with other parts), "
                "mobo-gp (a Gaussian process and expected improvement), cmaes (evolution of weighted sums), "
                "random (a baseline), or one of an installed package. By default exhaustive in a space of up "
                "to 20,000 architectures, and "
                "nsga2 in a larger one, because predictions are cheap."
            ),
        ),
    ] = None,
    constraint: Annotated[
        list[str] | None,
        typer.Option(
            "--constraint",
            help=(
                "A limit on an objective or exact metric that no result may break, such as "
                "'params <= 300k' or 'latency <= 50 ms'. "
                "By default there is none. Repeatable."
            ),
        ),
    ] = None,
    evaluations: Annotated[
        int | None,
        typer.Option(
            "--evaluations",
            min=1,
            help=(
                "How many networks to evaluate in all: by default 20,000, or 200 by hyt. With a larger "
                "number a finished search goes on; with a smaller one it gives the result as of then."
            ),
        ),
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option(
            "--batch",
            min=1,
            help=(
                "How many networks a strategy proposes at once: by default 100, or 10 by hyt. More are "
                "faster, but learn less."
            ),
        ),
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(
            "--option",
            help=(
                "A setting of the strategy, such as 'surrogate=gp', 'acquisition=ei' or 'design=beta'; the "
                "guide to searching lists them. By default each strategy has its own. Repeatable."
            ),
        ),
    ] = None,
    options_file: Annotated[
        Path | None,
        typer.Option("--options-file", help="TOML file with settings of the strategy; --option goes first."),
    ] = None,
    extrapolated: ExtrapolatedOption = "allow",
    seed: SeedOption = 0,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help=(
                "Use predictors although they were fitted for another space or device. Their "
                "values may then mean nothing."
            ),
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Search for the best trade-offs with the study's predictors and exact counts.

    A search that was interrupted, or gets more --evaluations than before, goes on where it was.

    Examples:

      hytnas-profile search --constraint "params <= 300k" --evaluations 40000

      hytnas-profile search --strategy hyt --evaluations 400 --seed 1

      hytnas-profile search --objectives max:accuracy,min:energy_mj --constraint "latency <= 50 ms"
    """
    from hytnas_host.cli.search_tables import print_search
    from hytnas_host.search.options import parse_options
    from hytnas_host.workflow.searches import search_study

    result = search_study(
        study,
        space,
        objectives=objectives,
        strategy=strategy,
        constraints=constraint or (),
        evaluations=evaluations,
        batch=batch,
        options=parse_options(option or (), file=options_file),
        seed=seed,
        extrapolated=extrapolated,
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
    front: Annotated[
        int,
        typer.Option(
            "--front",
            min=1,
            help=(
                "Maximum number of networks of the front to measure; as many random ones are "
                "measured beside them."
            ),
        ),
    ] = 8,
    processes: Annotated[
        int | None,
        typer.Option(
            "--processes",
            min=1,
            help=(
                "Number of fresh processes for a model; by default 5, or 1 on a device that counts "
                "instructions. More make the comparison sharper."
            ),
        ),
    ] = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Measure the front and as many random networks afresh, and compare predicted with measured.

    No label that chose the winners is used again.

    Examples:

      hytnas-profile verify --front 12

      hytnas-profile verify --study runs/pi --device raspberrypi
    """
    from hytnas_host.cli.search_tables import print_verification
    from hytnas_host.collect.options import MeasureOptions
    from hytnas_host.devices import open_device
    from hytnas_host.workflow.searches import verify_study

    with open_device(device) as opened:
        options = MeasureOptions.of(opened.method, seed=seed, processes=processes)
        verification = verify_study(study, opened, options=options, max_front=front, progress=BarProgress)
    if as_json:
        print_json(verification)
    else:
        print_verification(verification)
