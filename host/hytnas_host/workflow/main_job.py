"""The main job: collect, compare, fit, search, verify, report; killed anywhere, it goes on where it was."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from hytnas_agent import __version__
from hytnas_datasets.plan import Task
from hytnas_datasets.spaces import get_space
from hytnas_datasets.targets import ACCURACY, LATENCY
from hytnas_host.collect.accuracy import collect_accuracy
from hytnas_host.collect.latency import collect_latency
from hytnas_host.collect.latency_worker import require_runtime
from hytnas_host.collect.options import MeasureOptions
from hytnas_host.devices import open_device
from hytnas_host.devices.base import Device
from hytnas_host.devices.quiet import host_work
from hytnas_host.report import write_report
from hytnas_host.study_files import StudyFiles, digest
from hytnas_host.workflow.labels import fingerprint, read_labels
from hytnas_host.workflow.leaderboards import make_leaderboard
from hytnas_host.workflow.predictors import train_predictor
from hytnas_host.workflow.recorded import recorded_study
from hytnas_host.workflow.searches import check_search_options, search_study, verify_study
from hytnas_host.workflow.stages import Stage, StageJournal
from hytnas_predictors.estimators import list_estimators
from hytnas_predictors.progress import ProgressFactory, SilentProgress

COMMAND: Final = "hytnas-profile run"
TARGETS: Final = (LATENCY.name, ACCURACY.name)
BUDGETS: Final = ("latency_n", "accuracy_n", "evaluations")
"""What of the configuration may be raised in a study that was begun with less."""
DRIFT_PAUSES_S: Final = (1.0, 2.0)
"""How long the canary is waited for each time that it has drifted."""


class RunConfig(msgspec.Struct, frozen=True):
    """What the main job does; the defaults end within 20 minutes on two busy cores.

    ``latency_n`` networks are measured in ``processes`` fresh processes each, by default as many as suit the
    device; ``accuracy_n`` are trained, ``repeated`` of them from ``training_seeds`` seeds; ``verify_front``
    members of the front and as many random controls are measured afresh.
    """

    device: str = "local"
    space: str = "hyt"
    resolution: int = 224
    classes: int = 2
    seed: int = 0
    latency_n: int = 80
    processes: int | None = None
    accuracy_n: int = 40
    repeated: int = 5
    training_seeds: int = 3
    folds: int = 5
    repeats: int = 3
    strategy: str = "hyt"
    constraints: tuple[str, ...] = ("params <= 3M",)
    evaluations: int = 200
    batch: int = 10
    verify_front: int = 8


SIZES: Final[dict[str, RunConfig]] = {
    "default": RunConfig(),
    "small": RunConfig(latency_n=24, accuracy_n=22, repeated=4, repeats=2, evaluations=60, verify_front=4),
}


def open_journal(study: Path, config: RunConfig) -> StageJournal:
    """The journal of the study's stages, once the configuration is known to make sense.

    Raises
    ------
    HytnasError
        An option is wrong, the device cannot be reached, or it has no runtime: nothing is written then.
    ConfigChangedError
        The study was begun with another configuration, budgets apart; or has a larger budget.
    """
    get_space(config.space)
    check_search_options(config.strategy, config.constraints)
    with open_device(config.device) as device:
        require_runtime(device.name, device.describe().context)
    return StageJournal(StudyFiles(study).run, _settings(config), budgets=BUDGETS)


def _settings(config: RunConfig) -> dict[str, Any]:
    """The configuration as JSON gives it back, so that it compares equal to a stored one."""
    settings: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(config))
    return settings


def stages(
    study: Path,
    config: RunConfig,
    progress: ProgressFactory = SilentProgress,
    say: Callable[[str], None] = lambda _: None,
) -> list[Stage]:
    """The stages of the main job, in order; what the collections came to is told to ``say``."""
    files = StudyFiles(study)

    def board_inputs(target: str) -> Callable[[], str]:
        return lambda: fingerprint(
            read_labels(study, target, config.space),
            __version__,
            list_estimators(),
            config.folds,
            config.repeats,
            config.seed,
        )

    boards = [files.leaderboard(target) for target in TARGETS]
    predictors = [files.predictor(target) for target in TARGETS]

    def board(target: str) -> Callable[[], None]:
        def work() -> None:
            make_leaderboard(
                study,
                target,
                config.space,
                folds=config.folds,
                repeats=config.repeats,
                seed=config.seed,
                progress=progress,
            )

        return work

    return [
        Stage("collect latency", lambda: say(_collect_latency(study, config, progress))),
        Stage("collect accuracy", lambda: say(_collect_accuracy(study, config, progress))),
        *(
            Stage(f"leaderboard {target}", board(target), board_inputs(target), (files.leaderboard(target),))
            for target in TARGETS
        ),
        Stage(
            "train",
            lambda: _train(study, config),
            lambda: digest(*boards),
            tuple(predictors),
        ),
        Stage(
            "search",
            lambda: _search(study, config, progress),
            lambda: f"{digest(*predictors)} {config.evaluations} evaluations",
            (files.search,),
        ),
        Stage(
            "verify",
            lambda: _verify(study, config, progress),
            lambda: digest(files.search),
            (files.verification,),
        ),
        Stage("report", lambda: _report(study)),
    ]


def _collect_latency(study: Path, config: RunConfig, progress: ProgressFactory) -> str:
    with recorded_study(study, COMMAND, _settings(config)) as opened, open_device(config.device) as device:
        summary = collect_latency(
            opened,
            [device],
            get_space(config.space),
            config.latency_n,
            Task(resolution=config.resolution, classes=config.classes),
            options=_measure_options(config, device),
            progress=progress,
        )
    return summary.describe()


def _collect_accuracy(study: Path, config: RunConfig, progress: ProgressFactory) -> str:
    with recorded_study(study, COMMAND, _settings(config)) as opened:
        collection = collect_accuracy(
            opened,
            get_space(config.space),
            config.accuracy_n,
            repeated=config.repeated,
            seeds=config.training_seeds,
            seed=config.seed,
            progress=progress,
            host_work=host_work,
        )
    return f"{collection.label}\n{collection.verdict}"


def _train(study: Path, config: RunConfig) -> None:
    for target in TARGETS:
        train_predictor(study, target, config.space, seed=config.seed)


def _search(study: Path, config: RunConfig, progress: ProgressFactory) -> None:
    search_study(
        study,
        config.space,
        strategy=config.strategy,
        constraints=config.constraints,
        evaluations=config.evaluations,
        batch=config.batch,
        seed=config.seed,
        progress=progress,
    )


def _verify(study: Path, config: RunConfig, progress: ProgressFactory) -> None:
    with open_device(config.device) as device:
        verify_study(
            study,
            device,
            max_front=config.verify_front,
            options=_measure_options(config, device),
            progress=progress,
        )


def _measure_options(config: RunConfig, device: Device) -> MeasureOptions:
    """A fixed number of processes, and short waits for drift: the job is to end in its time."""
    processes = config.processes or device.method.processes
    return MeasureOptions.of(
        device.method,
        seed=config.seed,
        processes=processes,
        max_processes=processes,
        drift_pauses_s=DRIFT_PAUSES_S,
    )


def _report(study: Path) -> None:
    write_report(study)
