"""`hytnas-profile export`: architectures as model files."""

from pathlib import Path
from typing import Annotated

import typer

from hytnas_host.cli.console import print_json, print_table
from hytnas_host.cli.formats import ConverterOption, FormatOption, PrecisionOption, export_target
from hytnas_host.cli.options import ClassesOption, JsonOption, ResolutionOption, SeedOption, SpaceOption


def register(app: typer.Typer) -> None:
    """Add the commands of this module to the root command."""
    app.command()(export)


def export(
    architectures: Annotated[
        list[str],
        typer.Argument(help="Ids of architectures, as `space sample` prints them.", metavar="ID..."),
    ],
    folder: Annotated[
        Path, typer.Option("--to", help="Folder to write to; it is made if it is missing.")
    ] = Path(),
    space: SpaceOption = "hyt",
    resolution: ResolutionOption = None,
    classes: ClassesOption = None,
    model_format: FormatOption = None,
    precision: PrecisionOption = None,
    converter: ConverterOption = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Export architectures to ONNX or TFLite, each checked numerically against torch.

    Weights are random: the files are for measuring, and a start for training.

    Example: hytnas-profile export "$(hytnas-profile space sample --n 1 --json | jq -r '.[0].id')" --to models
    """
    from hytnas_datasets.families import task_for
    from hytnas_datasets.plan import build_plan
    from hytnas_datasets.spaces import get_space
    from hytnas_host.export import export_model

    chosen = get_space(space)
    task = task_for(chosen, resolution, classes)
    target = export_target(model_format, precision, converter)
    folder.mkdir(parents=True, exist_ok=True)
    exported = [
        export_model(build_plan(chosen.parse(text), task), folder, seed=seed, target=target)
        for text in architectures
    ]
    if as_json:
        print_json(
            [
                {"id": text, "path": str(e.path), "sha256": e.sha256, "parity_error": e.parity_error}
                for text, e in zip(architectures, exported, strict=True)
            ]
        )
        return
    print_table(
        "Exported",
        ["id", "file", "KiB", "largest error against torch"],
        [
            (text, e.path, f"{e.size_bytes / 1024:.0f}", f"{e.parity_error:.1e}")
            for text, e in zip(architectures, exported, strict=True)
        ],
    )
