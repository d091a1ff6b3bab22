"""`hytnas-profile transfer`: a predictor for a device from ten measurements."""

from typing import Annotated

import typer

from hytnas_host.cli.console import BarProgress, out, print_json
from hytnas_host.cli.formats import ConverterOption, FormatOption, PrecisionOption, export_target
from hytnas_host.cli.options import (
    DEFAULT_STUDY,
    ClassesOption,
    DeviceOption,
    JsonOption,
    ResolutionOption,
    SeedOption,
    SpaceOption,
    StudyOption,
)


def register(app: typer.Typer) -> None:
    """Add the command to the root command."""
    app.command()(transfer)


def transfer(
    source: Annotated[
        str,
        typer.Option(
            "--from",
            help=(
                "What is known of another device: a data set (`bundled:NAME` or its folder), a study, or the "
                "folder of a layerwise predictor."
            ),
            metavar="SOURCE",
        ),
    ] = "bundled:hyt-icount-a53",
    study: StudyOption = DEFAULT_STUDY,
    device: DeviceOption = "local",
    n: Annotated[
        int,
        typer.Option(
            "--n",
            min=4,
            help=(
                "Number of networks in the study that are to have a latency of the device; those measured "
                "before count. 10 are a good start, 20 are better; with 60 a prior makes no difference."
            ),
        ),
    ] = 10,
    space: SpaceOption = "hyt",
    resolution: ResolutionOption = None,
    classes: ClassesOption = None,
    model_format: FormatOption = None,
    precision: PrecisionOption = None,
    converter: ConverterOption = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Fit a latency predictor to few measurements of a device, with another device's predictor as prior.

    The command chooses the networks that tell most, measures them, and keeps the predictor in the study for
    `predict` and `search`. Interrupt it anywhere: the same command goes on.

    Examples:

      hytnas-profile transfer --from bundled:hyt-icount-a53 --device pi --n 10 --study runs/pi

      hytnas-profile transfer --from runs/pi --device pi5 --n 20 --study runs/pi5
    """
    from collections.abc import Iterator
    from contextlib import contextmanager

    from hytnas_agent.records import EXECUTION_WORDS
    from hytnas_datasets.families import task_for
    from hytnas_datasets.spaces import get_space
    from hytnas_host.collect.options import MeasureOptions
    from hytnas_host.devices import open_device
    from hytnas_host.devices.base import Device
    from hytnas_host.workflow.labels import LabelChoice
    from hytnas_host.workflow.recorded import recorded_study
    from hytnas_host.workflow.transfer import read_prior, transfer_to_device
    from hytnas_predictors.transfer import describe_prior

    chosen = get_space(space)
    target = export_target(model_format, precision, converter)
    prior = read_prior(source, space, seed=seed)

    @contextmanager
    def opened() -> Iterator[tuple[Device, MeasureOptions]]:
        with open_device(device) as found:
            yield found, MeasureOptions.of(found.method, seed=seed, target=target)

    config = {
        "from": source,
        "device": device,
        "n": n,
        "space": space,
        "resolution": resolution,
        "classes": classes,
        "format": model_format,
        "precision": precision,
        "converter": converter,
        "seed": seed,
    }
    with recorded_study(study, "hytnas-profile transfer", config) as held:
        found = transfer_to_device(
            held,
            prior,
            opened,
            n=n,
            space=chosen,
            task=task_for(chosen, resolution, classes) if resolution or classes else None,
            choice=LabelChoice(device, model_format, precision, converter),
            seed=seed,
            progress=BarProgress,
        )
    info = found.predictor.info
    if as_json:
        print_json({"folder": str(found.folder), "measured": found.measured, "predictor": info})
        return
    executed = EXECUTION_WORDS[info.context.execution]
    out.print(
        f"fitted to {info.labels} labels ({executed}), {found.measured} of them new: {found.folder}",
        highlight=False,
        soft_wrap=True,
    )
    if info.prior is not None:
        out.print(describe_prior(info.prior), highlight=False, markup=False, soft_wrap=True)
