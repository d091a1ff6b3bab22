"""The main job: collect, compare, fit, search, verify, report; killed anywhere, it goes on where it was."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import msgspec

from hytnas_agent import __version__
from hytnas_agent.records import Outcome
from hytnas_datasets.errors import NotEnoughDataError
from hytnas_datasets.plan import Task
from hytnas_datasets.spaces import get_space
from hytnas_datasets.targets import ACCURACY, LATENCY
from hytnas_datasets.targets import TARGETS as ALL_TARGETS
from hytnas_host.collect.accuracy import collect_accuracy
from hytnas_host.collect.budget import TimeBudget
from hytnas_host.collect.latency import collect_latency
from hytnas_host.collect.latency_worker import require_runtime
from hytnas_host.collect.options import MeasureOptions
from hytnas_host.devices import open_device
from hytnas_host.devices.base import Device
from hytnas_host.devices.quiet import host_work
from hytnas_host.report import write_report
from hytnas_host.search import SearchError, parse_objectives
from hytnas_host.search.effort import MANY
from hytnas_host.search.run import Extrapolated
from hytnas_host.study_files import StudyFiles, digest
from hytnas_host.workflow.labels import fingerprint, read_labels
from hytnas_host.workflow.leaderboards import make_leaderboard
from hytnas_host.workflow.predictors import train_predictor
from hytnas_host.workflow.recorded import recorded_study
from hytnas_host.workflow.searches import check_search_options, search_study, verify_study
from hytnas_host.workflow.stages import Stage, StageJournal
from hytnas_predictors.estimators import list_estimators
from hytnas_predictors.estimators.base import MINIMUM_ROWS
from hytnas_predictors.leaderboard import FOLDED_FROM
from hytnas_predictors.progress import ProgressFactory, SilentProgress

COMMAND: Final = "hytnas-profile run"
TARGETS: Final = (LATENCY.name, ACCURACY.name)
BUDGETS: Final = ("latency_n", "accuracy_n", "evaluations")
"""What of the configuration may be raised in a study that was begun with less."""
FREE: Final = ("measure_budget_s", "train_budget_s", "verify_budget_s", "strategy", "batch")
"""What of it may change in any way: searches of other ways have checkpoints of their own."""
WINDOW: Final = 10
"""Networks that are exported at once, and then measured by turns."""
DRIFT_PAUSES_S: Final = (1.0, 2.0)
"""How long the canary is waited for each time that it has drifted."""


class RunConfig(msgspec.Struct, frozen=True):
    """What the main job does; the defaults are laid out for 8 minutes on two quiet cores.

    ``latency_n`` networks are measured in ``processes`` fresh processes each, by default as many as suit the
    device; ``accuracy_n`` are trained, ``repeated`` of them from ``training_seeds`` seeds; ``verify_front``
    members of the front and as many random controls are measured afresh. After ``measure_budget_s``,
    ``train_budget_s`` and ``verify_budget_s`` seconds no more networks are begun; those that are may
    take half as long again, and are left out if they are not finished then. So the whole takes 15 minutes
    at most, whatever else uses the cores.

    20 latencies give the default predictor a tau of 0.98 and a mean error of 1.4 % on instruction counts, 40
    give 0.99 and 1.0 %, 80 0.99 and 0.7 % (``benchmarks/few_labels.py``).
    """

    device: str = "local"
    space: str = "hyt"
    resolution: int = 224
    classes: int = 2
    seed: int = 0
    latency_n: int = 40
    processes: int | None = None
    accuracy_n: int = 24
    repeated: int = 4
    training_seeds: int = 2
    folds: int = 5
    repeats: int = 3
    curve_samples: int = 2
    strategy: str | None = None
    objectives: str | None = None
    constraints: tuple[str, ...] = ("params <= 3M",)
    extrapolated: Extrapolated = "allow"
    evaluations: int = MANY
    batch: int | None = None
    verify_front: int = 8
    measure_budget_s: float = 210.0
    train_budget_s: float = 150.0
    verify_budget_s: float = 150.0


SIZES: Final[dict[str, RunConfig]] = {
    "default": RunConfig(),
    "small": RunConfig(latency_n=20, processes=3, accuracy_n=20, repeats=2, evaluations=2000, verify_front=4),
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
    _check_objectives(config.objectives)
    with open_device(config.device) as device:
        require_runtime(device.name, device.describe().context)
    return StageJournal(StudyFiles(study).run, _settings(config), budgets=BUDGETS, free=FREE)


def _check_objectives(objectives: str | None) -> None:
    """Raise SearchError for objectives that the main job collects no labels of."""
    wanted = [] if objectives is None else [objective.name for objective in parse_objectives(objectives)]
    missing = [name for name in wanted if name in ALL_TARGETS and name not in TARGETS]
    if missing:
        raise SearchError(
            f"The main job predicts {' and '.join(TARGETS)}, not {', '.join(missing)}",
            "Leave it out, or run the stages one by one: see hytnas-profile --help",
        )
    if wanted and not set(wanted) & set(TARGETS):
        raise SearchError(f"No objective of {objectives!r} is predicted", f"Name one of {', '.join(TARGETS)}")


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

    predictors = [files.predictor(target) for target in TARGETS]

    def board(target: str) -> Callable[[], str | None]:
        def work() -> str | None:
            try:
                make_leaderboard(
                    study,
                    target,
                    config.space,
                    folds=config.folds,
                    repeats=config.repeats,
                    curve_samples=config.curve_samples,
                    seed=config.seed,
                    progress=progress,
                )
            except NotEnoughDataError as error:
                files.leaderboard(target).unlink(missing_ok=True)
                return f"skipped: {error.what}; the default predictor is fitted"
            return None

        return work

    return [
        Stage("collect latency", lambda: _collect_latency(study, config, progress, say)),
        Stage("collect accuracy", lambda: _collect_accuracy(study, config, progress, say)),
        *(
            Stage(f"leaderboard {target}", board(target), board_inputs(target), (files.leaderboard(target),))
            for target in TARGETS
        ),
        Stage(
            "train",
            lambda: _train(study, config),
            lambda: " ".join(digest(files.leaderboard(each)) or board_inputs(each)() for each in TARGETS),
            tuple(predictors),
        ),
        Stage(
            "search",
            lambda: _search(study, config, progress),
            lambda: f"{digest(*predictors)} {config.evaluations} evaluations by {config.strategy}",
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


def _collect_latency(
    study: Path, config: RunConfig, progress: ProgressFactory, say: Callable[[str], None]
) -> str:
    with recorded_study(study, COMMAND, _settings(config)) as opened, open_device(config.device) as device:
        summary = collect_latency(
            opened,
            [device],
            get_space(config.space),
            config.latency_n,
            Task(resolution=config.resolution, classes=config.classes),
            options=replace(
                _measure_options(config, device),
                budget_s=config.measure_budget_s,
                least_models=min(config.latency_n, FOLDED_FROM),
            ),
            progress=progress,
        )
    say(summary.describe())
    labelled = sum(summary.outcomes.get(outcome, 0) for outcome in (Outcome.OK, Outcome.UNSTABLE))
    return _left_out(summary.left_out, labelled, "measured", "measure_budget_s", config)


def _collect_accuracy(
    study: Path, config: RunConfig, progress: ProgressFactory, say: Callable[[str], None]
) -> str:
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
            budget=TimeBudget(config.train_budget_s, least=min(config.accuracy_n, FOLDED_FROM)),
        )
    say(f"{collection.label}\n{collection.verdict}")
    return _left_out(collection.left_out, collection.networks, "trained", "train_budget_s", config)


def _left_out(count: int, labelled: int, done: str, budget: str, config: RunConfig) -> str:
    """What is said of networks that there was no time for; empty where there are none.

    Raises NotEnoughDataError where too few others are labelled to fit a predictor to.
    """
    if not count:
        return ""
    seconds = getattr(config, budget)
    if labelled < MINIMUM_ROWS:
        raise NotEnoughDataError(
            f"{labelled} networks could be {done} in {seconds:g} s, and a predictor takes {MINIMUM_ROWS}",
            "Run the same command again, best while less else runs there: it goes on where it was. Or give a "
            f"longer --{budget.replace('_', '-')}",
        )
    return f"{count} networks were not {done}: the {seconds:g} s for that were over"


def _train(study: Path, config: RunConfig) -> None:
    for target in TARGETS:
        train_predictor(study, target, config.space, seed=config.seed)


def _search(study: Path, config: RunConfig, progress: ProgressFactory) -> None:
    search_study(
        study,
        config.space,
        objectives=config.objectives,
        strategy=config.strategy,
        constraints=config.constraints,
        extrapolated=config.extrapolated,
        evaluations=config.evaluations,
        batch=config.batch,
        seed=config.seed,
        progress=progress,
    )


def _verify(study: Path, config: RunConfig, progress: ProgressFactory) -> str:
    with open_device(config.device) as device:
        verification = verify_study(
            study,
            device,
            max_front=config.verify_front,
            options=replace(
                _measure_options(config, device), memory_pass=False, budget_s=config.verify_budget_s
            ),
            progress=progress,
        )
    if not verification.left_out:
        return ""
    return f"{verification.left_out} networks were not measured: the {config.verify_budget_s:g} s were over"


def _measure_options(config: RunConfig, device: Device) -> MeasureOptions:
    """A fixed number of processes, short waits for drift, little prepared in vain: the job has its times."""
    processes = config.processes or device.method.processes
    return MeasureOptions.of(
        device.method,
        seed=config.seed,
        processes=processes,
        max_processes=processes,
        drift_pauses_s=DRIFT_PAUSES_S,
        window=WINDOW,
    )


def _report(study: Path) -> None:
    write_report(study)
