"""`hytnas-profile collect passes`: where the time goes, energy, and latency under lasting load."""

from typing import Annotated

import typer

from hytnas_host.cli.console import BarProgress, out, print_json, print_table
from hytnas_host.cli.options import DEFAULT_STUDY, JsonOption, SeedOption, StudyOption

DEFAULT_N = 5
PassDevicesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--device",
        help=(
            "Device that measures; by default `local`, which is this machine. Repeat it, or "
            "join names by commas: each device measures every model."
        ),
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command to the group `collect`."""
    app.command("passes")(passes)


def passes(
    study: StudyOption = DEFAULT_STUDY,
    device: PassDevicesOption = None,
    profile: Annotated[
        bool, typer.Option("--profile", help="Time every operator. This is what happens if no pass is named.")
    ] = False,
    energy: Annotated[
        bool, typer.Option("--energy", help="Read the device's energy meter, if it has one.")
    ] = False,
    energy_s: Annotated[
        float | None,
        typer.Option(
            "--energy-s",
            help=("Seconds of load that the meter sees; 10 by default. Longer ones even out a coarse meter."),
        ),
    ] = None,
    sustained_s: Annotated[
        float | None,
        typer.Option(
            "--sustained-s",
            help=(
                "Run each model without a pause for so many seconds, to see whether the device "
                "throttles. A few minutes heat a board."
            ),
        ),
    ] = None,
    n: Annotated[
        int,
        typer.Option("--n", min=1, help="How many models: the first ones of the study that have a latency."),
    ] = DEFAULT_N,
    every: Annotated[
        bool, typer.Option("--all", help="Take every model that has a latency, instead of --n.")
    ] = False,
    picks: Annotated[
        bool, typer.Option("--picks", help="Take the three picks of the search, instead of --n.")
    ] = False,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Profile operators, read an energy meter, or load the device for minutes, for models of the study.

    The study needs latencies first. Each pass is a process of its own and changes no label.

    Examples:

      hytnas-profile collect passes --profile --picks

      hytnas-profile collect passes --energy --all --device pi1

      hytnas-profile collect passes --sustained-s 300 --n 1 --device pi1 --device pi2
    """
    from hytnas_agent.passes import pass_settings
    from hytnas_agent.records import MeasurePass
    from hytnas_host.cli.devices import common_method, device_names, open_devices
    from hytnas_host.collect.pass_summary import check_lost
    from hytnas_host.collect.passes import labelled_models, measure_passes
    from hytnas_host.report.load import Spaces
    from hytnas_host.report.passes import pass_data, pass_tables
    from hytnas_host.study_files import StudyFiles
    from hytnas_host.workflow.picked import picked_models
    from hytnas_host.workflow.recorded import recorded_study

    chosen: dict[MeasurePass, float | None] = {}
    if profile or not (energy or sustained_s):
        chosen[MeasurePass.PROFILE] = None
    if energy:
        chosen[MeasurePass.ENERGY] = energy_s
    if sustained_s is not None:
        chosen[MeasurePass.SUSTAINED] = sustained_s
    names = device_names(device)
    config = {
        "device": ", ".join(names),
        "passes": list(chosen),
        "load_s": [load_s for load_s in chosen.values() if load_s is not None],
        "n": None if every else n,
        "picks": picks,
        "seed": seed,
    }
    with (
        recorded_study(study, "hytnas-profile collect passes", config) as opened,
        open_devices(names) as devices,
    ):
        method = common_method(devices).settings
        settings = {name: pass_settings(method, name, load_s) for name, load_s in chosen.items()}
        models = picked_models(opened, seed=seed) if picks else labelled_models(opened, None if every else n)
        summaries = measure_passes(opened, devices, models, settings, progress=BarProgress)
        hashes = {model.sha256 for model in models}
        found = {name: [s for s in opened.passes.last(name) if s.export.sha256 in hashes] for name in chosen}
        labels = opened.labels.all()
    of_device = {
        summary.device_id: {
            name: [s for s in some if s.result.identity.device_id == summary.device_id]
            for name, some in found.items()
        }
        for summary in summaries
    }
    if as_json:
        results = {
            name: [stored.result for some in of_device.values() for stored in some[name]] for name in chosen
        }
        print_json({"summaries": summaries, "results": results})
        check_lost(summaries)
        return
    spaces = Spaces(StudyFiles(study))
    for summary in summaries:
        out.print(summary.describe(), markup=False, soft_wrap=True)
        data = pass_data(
            of_device[summary.device_id],
            lambda stored: spaces.name(stored.architecture, stored.export.sha256),
            {
                s.export.sha256: s.label.median_ms
                for s in labels
                if s.label.median_ms and s.device_id == summary.device_id
            },
        )
        for table in pass_tables(data):
            print_table(table.title, table.columns, table.rows, "\n".join(table.notes))
    check_lost(summaries)
