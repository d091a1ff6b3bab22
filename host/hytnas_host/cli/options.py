"""Options that several commands share, so that each means the same everywhere."""

from pathlib import Path
from typing import Annotated, Literal

import typer

StudyOption = Annotated[
    Path,
    typer.Option(
        "--study", help="Folder of the study: its SQLite file, models and reports.", show_default=True
    ),
]
DeviceOption = Annotated[str, typer.Option("--device", help="Device that measures; `local` is this machine.")]
DevicesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--device",
        help="Device that measures, `local` (this machine) by default; several share the work: repeat it, "
        "or join them by commas.",
    ),
]
SpaceOption = Annotated[
    str, typer.Option("--space", help="A bundled space (hyt, hyt-released, hyt-mixed) or a TOML file.")
]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="Seed of every random draw.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
TargetOption = Annotated[Literal["latency_ms", "accuracy"], typer.Option("--target", help="Which label.")]
ResolutionOption = Annotated[
    int, typer.Option("--resolution", min=8, help="Input height and width in pixels.")
]

DEFAULT_STUDY = Path("runs/default")
