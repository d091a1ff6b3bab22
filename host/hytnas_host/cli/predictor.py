"""`hytnas-profile leaderboard | train | predict`: how well labels can be predicted, and predicting them."""

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import typer

from hytnas_host.cli.console import BarProgress, out, print_json, print_table
from hytnas_host.cli.options import (
    DEFAULT_STUDY,
    JsonOption,
    SeedOption,
    SpaceOption,
    StudyOption,
    TargetOption,
)

MeasuredOnOption = Annotated[
    str | None,
    typer.Option("--device", help="Take only latencies of this device, where a study has several."),
]
MeasuredFormatOption = Annotated[
    Literal["onnx", "tflite"] | None,
    typer.Option("--format", help="Take only latencies of such model files, where a study has several."),
]
MeasuredPrecisionOption = Annotated[
    str | None, typer.Option("--precision", help="Take only latencies of models of this precision.")
]
MeasuredConverterOption = Annotated[
    str | None, typer.Option("--converter", help="Take only latencies of models this converter made.")
]
StableOnlyOption = Annotated[
    bool,
    typer.Option(
        "--stable-only",
        help="Leave out latencies that are UNSTABLE or of too few undisturbed processes; by default they "
        "count.",
    ),
]
DataOption = Annotated[
    str | None,
    typer.Option(
        "--data",
        help="Take the labels of a data set in files, not the study's: `bundled:NAME` or a folder.",
        metavar="SET",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands of this module to the root command."""
    app.command()(leaderboard)
    app.command()(train)
    app.command()(predict)


def leaderboard(
    study: StudyOption = DEFAULT_STUDY,
    target: TargetOption = "latency_ms",
    space: SpaceOption = "hyt",
    folds: Annotated[int, typer.Option("--folds", min=2)] = 5,
    repeats: Annotated[int, typer.Option("--repeats", min=1)] = 3,
    device: MeasuredOnOption = None,
    model_format: MeasuredFormatOption = None,
    precision: MeasuredPrecisionOption = None,
    converter: MeasuredConverterOption = None,
    data: DataOption = None,
    stable_only: StableOnlyOption = False,
    seed: SeedOption = 0,
    csv: Annotated[Path | None, typer.Option("--csv", help="Write the table to this file, too.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare predictors by cross-validated Kendall tau, and say how far the labels can be trusted.

    Examples:

      hytnas-profile leaderboard --target accuracy --json

      hytnas-profile leaderboard --data bundled:hyt-icount-a53 --study runs/icount

      hytnas-profile leaderboard --stable-only --study runs/pi
    """
    from hytnas_host.cli.leaderboard_table import print_leaderboard
    from hytnas_host.workflow.labels import LabelChoice
    from hytnas_host.workflow.leaderboards import make_leaderboard
    from hytnas_predictors.leaderboard import write_csv

    board = make_leaderboard(
        study,
        target,
        space,
        folds=folds,
        repeats=repeats,
        choice=LabelChoice(device, model_format, precision, converter, data, stable_only),
        seed=seed,
        progress=BarProgress,
    )
    if csv is not None:
        write_csv(board, csv)
    if as_json:
        print_json(board)
    else:
        print_leaderboard(board)


def train(
    study: StudyOption = DEFAULT_STUDY,
    target: TargetOption = "latency_ms",
    space: SpaceOption = "hyt",
    name: Annotated[
        str | None,
        typer.Option("--predictor", help="Which predictor; by default the best of the leaderboard."),
    ] = None,
    device: MeasuredOnOption = None,
    model_format: MeasuredFormatOption = None,
    precision: MeasuredPrecisionOption = None,
    converter: MeasuredConverterOption = None,
    data: DataOption = None,
    stable_only: StableOnlyOption = False,
    seed: SeedOption = 0,
) -> None:
    """Fit a predictor to all labels of a study, or to the stable ones, and keep it in the study.

    Examples:

      hytnas-profile train --target latency_ms --predictor xgboost

      hytnas-profile train --stable-only --study runs/pi
    """
    from hytnas_datasets.caveats import describe_caveats
    from hytnas_host.workflow.labels import LabelChoice
    from hytnas_host.workflow.predictors import train_predictor
    from hytnas_predictors.persistence import read_info

    choice = LabelChoice(device, model_format, precision, converter, data, stable_only)
    folder = train_predictor(study, target, space, name=name, seed=seed, choice=choice)
    info = read_info(folder)
    out.print(f"fitted for {target} to {info.labels} labels: {folder}", highlight=False)
    if target == "latency_ms":
        out.print(describe_caveats(info.caveats), highlight=False)


def predict(
    architectures: Annotated[
        list[str] | None,
        typer.Argument(help="Ids of architectures; without any, --n random ones.", metavar="ID"),
    ] = None,
    study: StudyOption = DEFAULT_STUDY,
    target: TargetOption = "latency_ms",
    space: SpaceOption = "hyt",
    n: Annotated[int, typer.Option("--n", min=1)] = 10,
    force: Annotated[
        bool, typer.Option("--force", help="Load a predictor of another space or context.")
    ] = False,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Predict the label of architectures with the predictor kept in the study.

    Example: hytnas-profile predict --n 5 --target latency_ms
    """
    from hytnas_agent.records import EXECUTION_WORDS
    from hytnas_datasets.spaces import get_space
    from hytnas_host.workflow.predictors import load_trained

    chosen = get_space(space)
    predictor = load_trained(study, target, chosen, force=force)
    wanted = (
        [chosen.parse(text) for text in architectures]
        if architectures
        else chosen.sample(n, np.random.default_rng(seed))
    )
    prediction = predictor.predict(wanted)
    rows = [
        {
            "id": chosen.format(architecture),
            target: float(mean),
            "std": float(std),
            "extrapolated": bool(flag),
            **({"execution": predictor.info.execution} if target == "latency_ms" else {}),
        }
        for architecture, mean, std, flag in zip(
            wanted, prediction.mean, prediction.std, prediction.extrapolated, strict=True
        )
    ]
    if as_json:
        print_json(rows)
        return
    words = f", latencies: {EXECUTION_WORDS[predictor.info.execution]}" if target == "latency_ms" else ""
    print_table(
        f"{target} by {predictor.info.name}{words}",
        ["id", target, "std", "outside training range"],
        [(r["id"], f"{r[target]:.4g}", f"{r['std']:.2g}", "yes" if r["extrapolated"] else "") for r in rows],
    )
