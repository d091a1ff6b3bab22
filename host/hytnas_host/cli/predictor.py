"""`hytnas-profile leaderboard | train | predict`: how well labels can be predicted, and predicting them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
import typer

from hytnas_host.cli.console import BarProgress, err, out, print_json, print_table
from hytnas_host.cli.formats import ShapeOption, read_shapes
from hytnas_host.cli.options import (
    DEFAULT_STUDY,
    DEFAULT_TARGET,
    JsonOption,
    ResolutionOption,
    SeedOption,
    SpaceOption,
    StudyOption,
    TargetOption,
)

if TYPE_CHECKING:  # the command line starts without them
    from collections.abc import Sequence

    from hytnas_datasets.spaces import Architecture
    from hytnas_host.export.shapes import WantedShapes
    from hytnas_predictors.predictor import Predictor, PredictorInfo

MeasuredOnOption = Annotated[
    str | None,
    typer.Option(
        "--device",
        help=("Use only labels of this device. Needed if the study holds several that are not alike."),
    ),
]
MeasuredFormatOption = Annotated[
    Literal["onnx", "tflite"] | None,
    typer.Option(
        "--format",
        help=("Use only labels of model files of this format. Needed if the study holds several."),
    ),
]
MeasuredPrecisionOption = Annotated[
    str | None,
    typer.Option(
        "--precision",
        help=("Use only labels of models of this precision, fp32 or int8. Needed if the study holds both."),
    ),
]
MeasuredConverterOption = Annotated[
    str | None,
    typer.Option(
        "--converter",
        help=("Use only labels of models that this converter made. Needed if the study holds several."),
    ),
]
StableOnlyOption = Annotated[
    bool,
    typer.Option(
        "--stable-only",
        help=(
            "Leave out labels that are UNSTABLE or of fewer than three undisturbed "
            "processes. By default they count; compare both to see what they change."
        ),
    ),
]
DataOption = Annotated[
    str | None,
    typer.Option(
        "--data",
        help=(
            "Use the labels of a data set in files instead of the study's: `bundled:NAME` "
            "(`hytnas-profile dataset list`) or a folder."
        ),
        metavar="SET",
    ),
]
WithFilesOption = Annotated[
    bool,
    typer.Option(
        "--with-files",
        help=(
            "Fit to the latencies of model files as well (`collect latency --models`), so that kinds of "
            "operators that the space lacks get a cost. Predictors see work columns alone then, and only "
            "layerwise can be kept."
        ),
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands of this module to the root command."""
    app.command()(leaderboard)
    app.command()(train)
    app.command()(predict)


def leaderboard(
    study: StudyOption = DEFAULT_STUDY,
    target: TargetOption = DEFAULT_TARGET,
    space: SpaceOption = "hyt",
    folds: Annotated[
        int,
        typer.Option(
            "--folds",
            min=2,
            help="Folds of the cross-validation. Fewer are faster; predictors then learn from fewer labels.",
        ),
    ] = 5,
    repeats: Annotated[
        int,
        typer.Option(
            "--repeats",
            min=1,
            help=(
                "How often the cross-validation is repeated with other folds. More take longer, "
                "and the result depends less on the folds."
            ),
        ),
    ] = 3,
    device: MeasuredOnOption = None,
    model_format: MeasuredFormatOption = None,
    precision: MeasuredPrecisionOption = None,
    converter: MeasuredConverterOption = None,
    data: DataOption = None,
    stable_only: StableOnlyOption = False,
    with_files: WithFilesOption = False,
    names: Annotated[
        list[str] | None,
        typer.Option(
            "--predictor",
            help="Compare this predictor; repeat it for several. By default all that suit the labels.",
        ),
    ] = None,
    curves: Annotated[
        bool,
        typer.Option(
            "--curves/--no-curves",
            help=(
                "Fit each predictor to 10, 20, 40, ... labels as well, and show how it does on the others. "
                "Without it the leaderboard takes about half as long."
            ),
        ),
    ] = True,
    seed: SeedOption = 0,
    csv: Annotated[
        Path | None, typer.Option("--csv", help="Write the table to this CSV file as well.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare predictors by cross-validated Kendall tau, and show how high the labels' noise lets it be.

    Examples:

      hytnas-profile leaderboard --target accuracy --json

      hytnas-profile leaderboard --data bundled:hyt-icount-a53 --study runs/icount

      hytnas-profile leaderboard --predictor layerwise --predictor xgboost --no-curves

      hytnas-profile leaderboard --stable-only --study runs/pi

      hytnas-profile leaderboard --with-files --study runs/mine
    """
    from hytnas_host.cli.leaderboard_table import print_leaderboard
    from hytnas_host.workflow.labels import LabelChoice
    from hytnas_host.workflow.leaderboards import CURVE_SAMPLES, make_leaderboard
    from hytnas_predictors.leaderboard import write_csv

    board = make_leaderboard(
        study,
        target,
        space,
        estimators=names or None,
        folds=folds,
        repeats=repeats,
        choice=LabelChoice(device, model_format, precision, converter, data, stable_only),
        with_files=with_files,
        curve_samples=CURVE_SAMPLES if curves else 0,
        seed=seed,
        progress=BarProgress,
        say=lambda line: err.print(line, markup=False, soft_wrap=True),
    )
    if csv is not None:
        write_csv(board, csv)
    if as_json:
        print_json(board)
    else:
        print_leaderboard(board)


def train(
    study: StudyOption = DEFAULT_STUDY,
    target: TargetOption = DEFAULT_TARGET,
    space: SpaceOption = "hyt",
    name: Annotated[
        str | None,
        typer.Option(
            "--predictor",
            help=(
                "Which predictor to fit; by default the best one of the study's leaderboard, and layerwise "
                "or xgboost where there is none."
            ),
        ),
    ] = None,
    device: MeasuredOnOption = None,
    model_format: MeasuredFormatOption = None,
    precision: MeasuredPrecisionOption = None,
    converter: MeasuredConverterOption = None,
    data: DataOption = None,
    stable_only: StableOnlyOption = False,
    with_files: WithFilesOption = False,
    seed: SeedOption = 0,
) -> None:
    """Fit a predictor to the labels of a study, and keep it there for `predict` and `search`.

    Examples:

      hytnas-profile train --target latency_ms --predictor xgboost

      hytnas-profile train --stable-only --study runs/pi

      hytnas-profile train --with-files --study runs/mine
    """
    from hytnas_datasets.quality_flags import describe_flags
    from hytnas_datasets.targets import get_target
    from hytnas_host.workflow.labels import LabelChoice
    from hytnas_host.workflow.predictors import train_predictor
    from hytnas_predictors.persistence import read_info

    choice = LabelChoice(device, model_format, precision, converter, data, stable_only)
    folder = train_predictor(study, target, space, name=name, seed=seed, choice=choice, with_files=with_files)
    info = read_info(folder)
    out.print(f"fitted for {target} to {info.labels} labels: {folder}", highlight=False)
    if get_target(target).has_flags:
        out.print(describe_flags(info.quality_flags), highlight=False)


def predict(
    architectures: Annotated[
        list[str] | None,
        typer.Argument(
            help=(
                "Ids of architectures, as `space sample` prints them, or ONNX or TFLite files; without any, "
                "--n random architectures. For files the predictor must be layerwise."
            ),
            metavar="ID|FILE",
        ),
    ] = None,
    study: StudyOption = DEFAULT_STUDY,
    target: TargetOption = DEFAULT_TARGET,
    space: SpaceOption = "hyt",
    n: Annotated[
        int, typer.Option("--n", min=1, help="How many random architectures, if no ids are given.")
    ] = 10,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help=(
                "Use the predictor although it was fitted for another space, device or kind of model file. "
                "Its values may then mean nothing."
            ),
        ),
    ] = False,
    explained: Annotated[
        str | None,
        typer.Option(
            "--explain",
            help=(
                "Take one prediction apart. Of an architecture: what each stage takes, and what one unit of "
                "each kind of work costs. Of a model file: what each kind of operator takes, and the dearest "
                "operators. The predictor must be layerwise."
            ),
            metavar="ID|FILE",
        ),
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option(
            "--table",
            help="CSV or Parquet file with a column for each variable of the space: predict its rows.",
        ),
    ] = None,
    shape: ShapeOption = None,
    resolution: ResolutionOption = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Predict the label of architectures with the predictor kept in the study.

    Examples:

      hytnas-profile predict --n 5 --target latency_ms

      hytnas-profile predict hyt-0z197adc3 --study runs/pi

      hytnas-profile predict --explain hyt-0z197adc3 --study runs/pi

      hytnas-profile predict mobilenet.onnx --study runs/pi

      hytnas-profile predict --table candidates.csv --space flags/space.toml --json

      hytnas-profile predict --explain mobilenet.onnx --study runs/pi
    """
    from hytnas_datasets.importing import candidates_of, read_foreign_table
    from hytnas_datasets.spaces import get_space
    from hytnas_datasets.targets import get_target
    from hytnas_host.export.shapes import WantedShapes
    from hytnas_host.workflow.predictors import load_trained

    if explained is not None and architectures:
        raise typer.BadParameter("give the ids to predict, or one to explain", param_hint="--explain")
    if table is not None and (architectures or explained is not None):
        raise typer.BadParameter("give a table, or ids and files", param_hint="--table")
    shapes = WantedShapes(read_shapes(shape), resolution=resolution)
    if files := _model_files(architectures or ()):
        _predict_files(study, target, files, shapes, force=force, as_json=as_json)
        return
    if explained is not None and (files := _model_files([explained])):
        _explain_file(study, target, files[0], shapes, force=force, as_json=as_json)
        return
    chosen, predicted = get_space(space), get_target(target)
    predictor = load_trained(study, target, chosen, force=force)
    if explained is not None:
        _explain(predictor, chosen.parse(explained), as_json=as_json)
        return
    if table is not None:
        wanted = list(candidates_of(read_foreign_table(table), chosen))
    elif architectures:
        wanted = [chosen.parse(text) for text in architectures]
    else:
        wanted = chosen.sample(n, np.random.default_rng(seed))
    prediction = predictor.predict(wanted)
    rows = [
        {
            "id": chosen.format(architecture),
            target: float(mean),
            "std": float(std),
            "extrapolated": bool(flag),
            **({"execution": predictor.info.context.execution} if predicted.of_device else {}),
        }
        for architecture, mean, std, flag in zip(
            wanted, prediction.mean, prediction.std, prediction.extrapolated, strict=True
        )
    ]
    if as_json:
        print_json(rows)
        return
    print_table(
        _prediction_title(predictor.info),
        ["id", target, "std", "outside training range"],
        [(r["id"], f"{r[target]:.4g}", f"{r['std']:.2g}", "yes" if r["extrapolated"] else "") for r in rows],
    )


def _prediction_title(info: "PredictorInfo") -> str:
    from hytnas_agent.records import EXECUTION_WORDS
    from hytnas_datasets.targets import get_target

    target = get_target(info.target)
    words = f", {target.words}: {EXECUTION_WORDS[info.context.execution]}" if target.of_device else ""
    return f"{info.target} by {info.name}{words}"


def _model_files(given: "Sequence[str]") -> list[Path]:
    """The model files among the arguments; there are none, or nothing else."""
    from hytnas_host.collect.files import FORMATS

    files = [Path(text) for text in given if Path(text).suffix.lower() in FORMATS]
    if files and len(files) < len(given):
        raise typer.BadParameter("give ids or model files, not both", param_hint="ID|FILE")
    return files


def _predict_files(
    study: Path, target: str, files: list[Path], shapes: "WantedShapes", *, force: bool, as_json: bool
) -> None:
    """Print what is predicted of model files, and which of their operators the predictor does not know."""
    from hytnas_datasets.targets import get_target
    from hytnas_host.cli.file_predictions import print_file_predictions
    from hytnas_host.collect.files import as_text
    from hytnas_host.workflow.file_predictions import predict_files

    found = predict_files(study, target, files, force=force, wanted=shapes)
    if not as_json:
        print_file_predictions(found, _prediction_title(found.info))
        return
    executed = {"execution": found.info.context.execution} if get_target(target).of_device else {}
    print_json(
        [
            {
                "file": as_text(path),
                target: each.mean,
                "std": each.std,
                "extrapolated": each.extrapolated,
                "unseen": each.unseen,
                "unknown": each.unknown,
                **executed,
            }
            for path, each in zip(found.files, found.predictions, strict=True)
        ]
    )


def _explain_file(
    study: Path, target: str, file: Path, shapes: "WantedShapes", *, force: bool, as_json: bool
) -> None:
    """Print what the operators of a model file take."""
    from hytnas_host.cli.file_predictions import print_file_explanation
    from hytnas_host.workflow.file_predictions import explain_file

    info, explanation = explain_file(study, target, file, force=force, wanted=shapes)
    if as_json:
        print_json(explanation)
    else:
        print_file_explanation(file.name, explanation, _prediction_title(info), info.unit)


def _explain(predictor: "Predictor", architecture: "Architecture", *, as_json: bool) -> None:
    """Print what each stage of a network takes, and what the predictor learned of each kind of work."""
    from hytnas_host.cli.explanation_tables import print_explanation
    from hytnas_predictors.explanation import explain, unit_costs

    explanation, costs = explain(predictor, architecture), unit_costs(predictor)
    if as_json:
        print_json({"prediction": explanation, "costs": costs})
    else:
        print_explanation(explanation, costs)
