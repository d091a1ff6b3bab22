"""Options that several commands share, so that each means the same everywhere."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from hytnas_datasets.targets import LATENCY, TARGETS

KeepHostnamesOption = Annotated[
    bool,
    typer.Option(
        "--keep-hostnames",
        help=(
            "Keep host names, user names and places on a disk. By default they are left out, "
            "because what is written here is often given to others."
        ),
    ),
]
StudyOption = Annotated[
    Path,
    typer.Option(
        "--study",
        help=(
            "Folder of the study: everything that was measured, and what was made of it. "
            "Use one folder for each question."
        ),
        show_default=True,
    ),
]
DeviceOption = Annotated[
    str,
    typer.Option(
        "--device",
        help=(
            "Device that measures: `local` is this machine; `hytnas-profile device list` shows the others."
        ),
    ),
]
DevicesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--device",
        help=(
            "Device that measures; by default `local`, which is this machine. Repeat it, or "
            "join names by commas, to share the work among several."
        ),
    ),
]
SpaceOption = Annotated[
    str,
    typer.Option(
        "--space",
        help=(
            "Space to draw architectures from: a bundled one (`hytnas-profile space list`) or a TOML file."
        ),
    ),
]
SeedOption = Annotated[
    int,
    typer.Option(
        "--seed",
        min=0,
        help=(
            "Seed of every random draw. The same seed gives the same result; change it for "
            "an independent one."
        ),
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print JSON instead of tables, for a program to read.")
]
LabelsCsvOption = Annotated[
    Path | None,
    typer.Option(
        "--csv",
        help="Write the table of models and their latencies to this CSV file as well, for a spreadsheet.",
    ),
]
TargetOption = Annotated[
    str, typer.Option("--target", help=f"What is predicted: one of {', '.join(TARGETS)}.", metavar="TARGET")
]
ResolutionOption = Annotated[
    int | None,
    typer.Option(
        "--resolution",
        min=8,
        help=(
            "Height and width of the input in pixels. Use the size of your images; by default it is that "
            "of the space's family, 224 for `hyt`."
        ),
    ),
]
ClassesOption = Annotated[
    int | None,
    typer.Option(
        "--classes",
        min=2,
        help="Outputs of the network; by default those of the space's family, 2 for `hyt`.",
    ),
]

ObjectivesOption = Annotated[
    str | None,
    typer.Option(
        "--objectives",
        help=(
            "What to optimise, joined by commas: targets, of which the study needs a predictor each, and "
            "the exact metrics params, macs and activations. min: or max: before a name says in which "
            "direction; without it the usual one is taken, such as less latency and more accuracy. "
            "Default: latency_ms,accuracy,params."
        ),
    ),
]
ExtrapolatedOption = Annotated[
    Literal["allow", "avoid"],
    typer.Option(
        "--extrapolated",
        help=(
            "What to do with networks outside the range that the predictors were trained on. allow: "
            "evaluate them, and mark them. avoid: leave them out, which is slower. Choose avoid if you "
            "cannot verify the winners on the device."
        ),
    ),
]

DEFAULT_STUDY = Path("runs/default")
DEFAULT_TARGET = LATENCY.name
