"""`hytnas-profile collect`: gather latencies and accuracies into a study; killed anywhere, it goes on."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
import typer

from hytnas_host.cli import passes
from hytnas_host.cli.console import BarProgress, err, out, print_json
from hytnas_host.cli.formats import (
    AnyPrecisionOption,
    ConverterOption,
    FormatOption,
    ShapeOption,
    export_target,
    read_shapes,
)
from hytnas_host.cli.options import (
    DEFAULT_STUDY,
    ClassesOption,
    DevicesOption,
    JsonOption,
    LabelsCsvOption,
    ResolutionOption,
    SeedOption,
    SpaceOption,
    StudyOption,
)

if TYPE_CHECKING:
    from hytnas_host.collect.summary import CollectionSummary, FilesSummary
    from hytnas_host.collect.until import UntilSummary

app = typer.Typer(
    help="Collect latencies and accuracies; an interrupted command goes on where it was.",
    no_args_is_help=True,
)

KeepApartOption = Annotated[
    bool,
    typer.Option(
        "--keep-apart",
        help=(
            "Let each of several devices measure every network, for a data set of its own. "
            "Use it where devices differ."
        ),
    ),
]
BoardToleranceOption = Annotated[
    float | None,
    typer.Option(
        "--board-tolerance",
        min=0.0,
        help=(
            "How far the canary's latency may differ between devices that share the work, "
            "as a share; 0.03 by default. Raise it only if you accept labels that differ as "
            "much."
        ),
        show_default=False,
    ),
]
ModelsOption = Annotated[
    Path | None,
    typer.Option(
        "--models",
        help=(
            "Measure the ONNX or TFLite files in this folder (or one file) instead of sampling a space. "
            "Those of each kind, such as fp32 and fp16, are measured by themselves."
        ),
    ),
]
InputsOption = Annotated[
    Path | None,
    typer.Option(
        "--inputs",
        help=(
            "With --models: an .npz file of arrays called like the models' inputs (numpy.savez), to run them "
            "with. Give it where made-up inputs end the run or change the work, such as token ids."
        ),
    ),
]
MEASURE_OPTIONS: Final = (
    "seed", "processes", "max_processes", "precision_target", "keep_apart", "board_tolerance",
    "drift_tolerance", "stop_on_drift",
)  # fmt: skip
DEFAULT_N: Final = 80
ProcessesOption = Annotated[
    int | None,
    typer.Option(
        "--processes",
        min=1,
        help=(
            "Minimum number of fresh processes for a model; by default 5, or 1 on a device that counts "
            "instructions. More make the interval narrower."
        ),
    ),
]
MaxProcessesOption = Annotated[
    int | None,
    typer.Option(
        "--max-processes",
        min=1,
        max=1000,
        help=(
            "Maximum number of fresh processes for a model; 20 by default. A label whose "
            "interval is still too wide then is kept as UNSTABLE; raise this to go on with "
            "it. The same number as --processes makes it fixed."
        ),
        show_default=False,
    ),
]
PrecisionTargetOption = Annotated[
    float | None,
    typer.Option(
        "--precision-target",
        min=0.0001,
        max=1.0,
        help=(
            "Measuring a model stops when half the width of its 95 % interval is this share "
            "of the latency; 0.015 by default. A smaller one costs more processes."
        ),
        show_default=False,
    ),
]
DriftToleranceOption = Annotated[
    float | None,
    typer.Option(
        "--drift-tolerance",
        min=0.0,
        help=(
            "If the canary's latency changes by more than this share, models measured since "
            "the last good canary are measured again; 0.03 by default."
        ),
        show_default=False,
    ),
]
StopOnDriftOption = Annotated[
    bool,
    typer.Option(
        "--stop-on-drift",
        help=(
            "If the canary does not come back to its former speed, give the device up. By "
            "default the collection goes on at the new speed and says so."
        ),
    ),
]
DeadlineOption = Annotated[
    float | None,
    typer.Option(
        "--deadline-s",
        min=1.0,
        max=86400.0,
        help=(
            "Seconds after which a process is ended and recorded as TIMEOUT; 120 by "
            "default. Raise it for large models on a slow board."
        ),
        show_default=False,
    ),
]


@app.command()
def latency(
    study: StudyOption = DEFAULT_STUDY,
    device: DevicesOption = None,
    keep_apart: KeepApartOption = False,
    board_tolerance: BoardToleranceOption = None,
    space: SpaceOption = "hyt",
    n: Annotated[
        int | None,
        typer.Option(
            "--n",
            min=1,
            help=(
                "Number of networks in the study that are to have a latency, those measured before included; "
                "80 by default. 20 to 40 are enough for the default predictor."
            ),
            show_default=False,
        ),
    ] = None,
    until_tau: Annotated[
        float | None,
        typer.Option(
            "--until-tau",
            help=(
                "Instead of --n: go on until a predictor of the latencies has this Kendall tau with 95 % "
                "confidence, such as 0.95. Half of the networks are chosen then because they tell much."
            ),
        ),
    ] = None,
    until_mape: Annotated[
        float | None,
        typer.Option(
            "--until-mape",
            help=(
                "Instead of --n: go on until its mean error is at most this share of the latency, such as "
                "0.05. With both options, until both are reached."
            ),
        ),
    ] = None,
    max_n: Annotated[
        int,
        typer.Option("--max-n", min=1, help="Maximum number of networks for --until-tau and --until-mape."),
    ] = 160,
    models: ModelsOption = None,
    shape: ShapeOption = None,
    inputs: InputsOption = None,
    resolution: ResolutionOption = None,
    classes: ClassesOption = None,
    model_format: FormatOption = None,
    precision: AnyPrecisionOption = None,
    converter: ConverterOption = None,
    processes: ProcessesOption = None,
    max_processes: MaxProcessesOption = None,
    precision_target: PrecisionTargetOption = None,
    drift_tolerance: DriftToleranceOption = None,
    stop_on_drift: StopOnDriftOption = False,
    deadline_s: DeadlineOption = None,
    seed: SeedOption = 0,
    csv: LabelsCsvOption = None,
    as_json: JsonOption = False,
) -> None:
    """Sample architectures, export them, and measure them on one device or on several.

    Interrupt it anywhere: the same command goes on. Devices that share the work must be alike, and their
    canaries must agree. A device that is lost is tried again while the others go on.

    Examples:

      hytnas-profile collect latency --n 200

      hytnas-profile collect latency --until-tau 0.95 --until-mape 0.05

      hytnas-profile collect latency --n 1700 --device pi1 --device pi2

      hytnas-profile collect latency --precision-target 0.01 --max-processes 40

      hytnas-profile collect latency --models ./my-onnx-files --study runs/mine

      hytnas-profile collect latency --models detector.onnx --shape images:1,3,640,640

      hytnas-profile collect latency --format tflite --precision int8 --study runs/int8
    """
    from hytnas_datasets.families import task_for
    from hytnas_datasets.spaces import get_space
    from hytnas_host.cli.devices import device_names
    from hytnas_host.cli.label_table import print_label_rows, write_label_rows
    from hytnas_host.collect.errors import CollectError
    from hytnas_host.collect.summary import FilesSummary
    from hytnas_predictors.stopping import Goal

    names = device_names(device)
    until = until_tau is not None or until_mape is not None
    if until:
        Goal(until_tau, until_mape)
        if n is not None or models is not None:
            raise CollectError(
                f"--until-tau and --until-mape do not go with {'--n' if models is None else '--models'}",
                "leave one of them out; --max-n limits the number of networks",
            )
    for option, value in (("--csv", csv), ("--shape", shape), ("--inputs", inputs)):
        if value is not None and models is None:
            raise CollectError(
                f"{option} goes with --models alone", "leave it out, or name a folder of models"
            )
    task = task_for(get_space(space), resolution, classes)
    config = {
        "device": ",".join(names),
        "keep_apart": keep_apart,
        "board_tolerance": board_tolerance,
        "space": space,
        "n": None if until else n or DEFAULT_N,
        "until_tau": until_tau,
        "until_mape": until_mape,
        "max_n": max_n if until else None,
        "models": None if models is None else str(models),
        "shape": read_shapes(shape),
        "inputs": None if inputs is None else str(inputs),
        "resolution": task.resolution,
        "classes": task.classes,
        "format": model_format,
        "precision": precision,
        "converter": converter,
        "processes": processes,
        "max_processes": max_processes,
        "precision_target": precision_target,
        "drift_tolerance": drift_tolerance,
        "stop_on_drift": stop_on_drift,
        "deadline_s": deadline_s,
        "seed": seed,
    }
    summary = _collect_latency(study, names, config)
    if csv is not None and isinstance(summary, FilesSummary):
        write_label_rows(summary.labels, csv)
    if as_json:
        print_json(summary)
        return
    out.print(summary.describe(), markup=False, soft_wrap=True)
    if isinstance(summary, FilesSummary):
        print_label_rows(summary.labels)


def _collect_latency(
    study: Path, names: Sequence[str], config: Mapping[str, Any]
) -> "CollectionSummary | FilesSummary | UntilSummary":
    """Measure on the devices of these names what the options, as the run records them, ask for."""
    from hytnas_datasets.plan import Task
    from hytnas_datasets.spaces import get_space
    from hytnas_host.cli.devices import common_method, open_devices
    from hytnas_host.collect.files import as_text
    from hytnas_host.collect.latency import collect_files, collect_latency
    from hytnas_host.collect.options import MeasureOptions
    from hytnas_host.collect.until import collect_until
    from hytnas_host.export.target import ExportTarget
    from hytnas_host.workflow.recorded import recorded_study
    from hytnas_predictors.stopping import Goal

    target = (
        export_target(config["format"], config["precision"], config["converter"])
        if config["models"] is None
        else ExportTarget()  # files are there already
    )
    chosen = {name: config[name] for name in MEASURE_OPTIONS}
    paths = {name: None if config[name] is None else as_text(config[name]) for name in ("models", "inputs")}
    recorded = {**config, **paths}
    with (
        recorded_study(study, "hytnas-profile collect latency", recorded) as opened,
        open_devices(names) as devices,
    ):
        options = MeasureOptions.of(common_method(devices), **chosen)
        if config["deadline_s"] is not None:
            settings = msgspec.structs.replace(options.settings, deadline_s=config["deadline_s"])
            options = replace(options, settings=settings)
        if config["models"] is not None:
            return collect_files(
                opened,
                devices,
                Path(config["models"]),
                model_format=config["format"],
                precision=config["precision"],
                shapes=config["shape"],
                resolution=config["resolution"],
                inputs=None if config["inputs"] is None else Path(config["inputs"]),
                options=options,
                progress=BarProgress,
            )
        if config["max_n"] is not None:
            return collect_until(
                opened,
                devices,
                get_space(config["space"]),
                Task(resolution=config["resolution"], classes=config["classes"]),
                Goal(config["until_tau"], config["until_mape"]),
                most=config["max_n"],
                options=replace(options, target=target),
                say=lambda text: err.print(text, markup=False, soft_wrap=True),
                progress=BarProgress,
            )
        return collect_latency(
            opened,
            devices,
            get_space(config["space"]),
            config["n"],
            Task(resolution=config["resolution"], classes=config["classes"]),
            options=replace(options, target=target),
            progress=BarProgress,
        )


@app.command()
def accuracy(
    study: StudyOption = DEFAULT_STUDY,
    space: SpaceOption = "hyt",
    n: Annotated[
        int,
        typer.Option(
            "--n", min=1, help="Number of networks that are to be trained; those trained before count."
        ),
    ] = 40,
    data: Annotated[
        str,
        typer.Option(
            "--data",
            help="Images to train on: digits (bundled); a folder with CLASS/*.jpg, or train/CLASS/*.jpg and "
            "val/CLASS/*.jpg; a folder of IDX files, as MNIST's; a .npz; vww:ANNOTATIONS.json,IMAGES (COCO "
            "turned into Visual Wake Words).",
        ),
    ] = "digits",
    recipe: Annotated[
        str | None,
        typer.Option(
            "--recipe",
            help="How networks are trained: digits, quick, paper, or a .toml file.",
            show_default="digits for the digits, else quick",
        ),
    ] = None,
    epochs: Annotated[int | None, typer.Option("--epochs", min=1, help="In place of the recipe's.")] = None,
    resolution: Annotated[
        int | None, typer.Option("--resolution", min=1, help="Pixels on a side, in place of the recipe's.")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option("--batch-size", min=1, help="In place of the recipe's.")
    ] = None,
    train_images: Annotated[
        int | None, typer.Option("--train-images", min=0, help="In place of the recipe's; 0: all.")
    ] = None,
    test_images: Annotated[
        int | None, typer.Option("--test-images", min=0, help="In place of the recipe's; 0: all.")
    ] = None,
    skip_unreadable: Annotated[
        bool,
        typer.Option("--skip-unreadable", help="Leave out images that cannot be decoded, and say how many."),
    ] = False,
    repeated: Annotated[
        int,
        typer.Option(
            "--repeated",
            min=0,
            help=("How many of them are trained from several seeds. This shows the noise of an accuracy."),
        ),
    ] = 5,
    seeds: Annotated[
        int, typer.Option("--seeds", min=1, help="How many seeds each of these is trained from.")
    ] = 3,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Train sampled architectures briefly on images, and store their accuracies.

    Interrupt it anywhere: the same command goes on, in the middle of a long training too. Accuracies of other
    images or of another recipe are kept apart.

    Examples:

      hytnas-profile collect accuracy --n 60 --repeated 10

      hytnas-profile collect accuracy --data photos/ --epochs 10 --resolution 96
    """
    from hytnas_datasets.spaces import get_space
    from hytnas_host.collect.accuracy import collect_accuracy
    from hytnas_host.devices.quiet import host_work
    from hytnas_host.training import load_recipe
    from hytnas_host.training.sources import DIGITS
    from hytnas_host.workflow.recorded import recorded_study

    trained = load_recipe(
        recipe or ("digits" if data == DIGITS else "quick"),
        epochs=epochs,
        resolution=resolution,
        batch_size=batch_size,
        train_images=train_images,
        test_images=test_images,
    )
    config = {
        "space": space,
        "n": n,
        "data": data,
        "recipe": trained.as_dict(),
        "repeated": repeated,
        "seeds": seeds,
        "seed": seed,
    }
    with recorded_study(study, "hytnas-profile collect accuracy", config) as opened:
        collection = collect_accuracy(
            opened,
            get_space(space),
            n,
            repeated=repeated,
            seeds=seeds,
            recipe=trained,
            source=data,
            skip_unreadable=skip_unreadable,
            seed=seed,
            progress=BarProgress,
            host_work=host_work,
        )
    if as_json:
        print_json(collection)
        return
    out.print(
        f"{collection.networks} networks trained, {collection.trainings} trainings in all", highlight=False
    )
    out.print(collection.label, markup=False, soft_wrap=True)
    out.print(collection.verdict, markup=False, soft_wrap=True)


passes.register(app)
