"""The search over a study's predictors, and the verification of its winners on the device."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np

from hytnas_agent.label import internal_label
from hytnas_agent.records import LatencyLabel
from hytnas_datasets.families import has_networks
from hytnas_datasets.label_context import LabelContext, ModelFiles, describe
from hytnas_datasets.plan import Task, build_plan
from hytnas_datasets.spaces import Architecture, Space, get_space
from hytnas_datasets.store import Purpose, Study, verification_purpose
from hytnas_datasets.targets import ACCURACY, LATENCY, TARGETS
from hytnas_host.collect.exporting import Exporter
from hytnas_host.collect.latency import measure_architectures
from hytnas_host.collect.options import MeasureOptions
from hytnas_host.devices.base import Device
from hytnas_host.devices.quiet import host_work
from hytnas_host.export.target import ExportTarget
from hytnas_host.search import (
    STRATEGIES,
    PredictorEvaluator,
    SearchError,
    default_effort,
    exact_metrics_of,
    parse_constraint,
    parse_objectives,
    run_search,
)
from hytnas_host.search.options import Option
from hytnas_host.search.result import SearchResult, Verification
from hytnas_host.search.run import Extrapolated
from hytnas_host.search.verify import verify
from hytnas_host.study_files import StudyFiles, check_json_replaceable, digest, read_json, write_json
from hytnas_host.workflow.predictors import load_trained, measured_target
from hytnas_host.workflow.recorded import recorded_study
from hytnas_host.workflow.searched_space import check_space_replaceable, keep_space, searched_space
from hytnas_predictors.errors import PredictorMismatchError
from hytnas_predictors.predictor import Predictor
from hytnas_predictors.progress import ProgressFactory, SilentProgress

PROBES = 32
"""Architectures whose predictions tell whether predictors are the same."""
NOT_EXPORTED = internal_label("", "it could not be exported")


def check_search_options(strategy: str | None, constraints: Sequence[str]) -> None:
    """Raise SearchError for a strategy or a constraint that `search_study` would refuse."""
    if strategy is not None:
        STRATEGIES.get(strategy)
    for text in constraints:
        parse_constraint(text)


def default_objectives(space: Space) -> str:
    """What a search of a space is for where nobody says: the parameters only where there are networks."""
    return ",".join([LATENCY.name, ACCURACY.name, *(["params"] if has_networks(space) else [])])


def search_study(
    study: Path,
    space: str,
    *,
    objectives: str | None = None,
    strategy: str | None = None,
    constraints: Sequence[str] = (),
    evaluations: int | None = None,
    batch: int | None = None,
    options: Mapping[str, Option] | None = None,
    seed: int = 0,
    extrapolated: Extrapolated = "allow",
    force: bool = False,
    progress: ProgressFactory = SilentProgress,
) -> SearchResult:
    """Search with the study's predictors for the ``objectives``, see `parse_objectives`.

    Predictions are cheap: where the strategy or its numbers are not given, `default_effort` says what suits
    that. The objectives are latency, accuracy and the exact parameter count by default. The predicted ones
    come first in the result. Counts are those of the task that the predictor of the first target of a device
    was fitted for.
    The result is written to ``search.json``. A search that was interrupted, or gets a larger budget of
    ``evaluations``, goes on from its checkpoint; with a smaller budget the result is what it was after so
    many. Checkpoints of other searches are kept as long as the predictors are those that they used.

    Raises
    ------
    ResultFileError
        A predictor is missing.
    PredictorMismatchError
        Predictors were fitted to labels of other devices, tasks or model files than the first.
    SearchError
        A constraint cannot be read, or the checkpoint is another search's.
    """
    files = StudyFiles(study)
    chosen = get_space(space)
    check_space_replaceable(files, chosen)
    check_json_replaceable(files.search, SearchResult)
    wanted = parse_objectives(objectives or default_objectives(chosen))
    predictors = {
        objective.name: load_trained(study, objective.name, chosen, force=force)
        for objective in wanted
        if objective.name in TARGETS
    }
    if not predictors:
        raise SearchError(
            f"No objective of {objectives!r} is predicted", f"Name one of {', '.join(TARGETS)} as well"
        )
    context = _common_context(predictors, force=force)
    task = context.task
    evaluator = PredictorEvaluator(
        predictors,
        exact_metrics_of(chosen, task),
        exact=[objective.name for objective in wanted if objective.name not in predictors],
        sources={name: _source(predictor) for name, predictor in predictors.items()},
        directions={objective.name: objective.direction for objective in wanted},
        execution=context.execution,
        probes=chosen.sample(PROBES, np.random.default_rng(0)),
    )
    usual = default_effort(chosen, evaluator.cost_s, strategy)
    strategy, batch = usual.strategy, usual.batch if batch is None else batch
    described = (
        chosen.hash(),
        evaluator.objectives,
        strategy,
        tuple(sorted((options or {}).items())),
        tuple(constraints),
        batch,
        seed,
        extrapolated,
    )
    predicted_by = digest(files.predictor(LATENCY.name).parent)[:8]
    key = hashlib.sha256(repr((evaluator.fingerprint, described)).encode()).hexdigest()[:8]
    checkpoint = files.search_checkpoint(f"{predicted_by}-{key}")
    with host_work():
        result = run_search(
            chosen,
            evaluator,
            strategy=strategy,
            constraints=constraints,
            evaluations=evaluations,
            batch=batch,
            initial=usual.initial,
            options=options,
            seed=seed,
            task=task,
            extrapolated=extrapolated,
            checkpoint=checkpoint,
            progress=progress,
        )
    keep_space(files, chosen)
    write_json(files.search, result)
    for other in files.search_checkpoints():
        if not other.name.startswith(files.search_checkpoint(predicted_by).stem):
            other.unlink()
    return result


def _common_context(predictors: Mapping[str, Predictor], *, force: bool) -> LabelContext:
    """What the labels of a device depend on that the predictors were fitted to; the first's with ``force``.

    Accuracies may be of another task, such as a smaller picture.
    """
    contexts = {name: predictor.info.context for name, predictor in predictors.items()}
    names = [name for name in contexts if TARGETS[name].of_device] or list(contexts)
    first = contexts[names[0]]
    for name in names[1:]:
        conflicts = first.conflicts(contexts[name])
        if conflicts and not force:
            raise PredictorMismatchError(
                f"the predictors of {names[0]} and {name} were fitted to labels of different conditions "
                f"({describe(conflicts)})",
                "Fit both to labels of one device and task, or add --force",
                fields=tuple(conflicts),
            )
    return first


def verify_study(
    study: Path,
    device: Device,
    *,
    options: MeasureOptions,
    max_front: int = 10,
    progress: ProgressFactory = SilentProgress,
) -> Verification:
    """Measure the search's front and as many random controls afresh, and write ``verification.json``.

    Raises
    ------
    ResultFileError
        There is no search result, or no latency predictor.
    PredictorMismatchError
        The predictor was fitted for another device, or for model files of another converter or version.
    """
    files = StudyFiles(study)
    check_json_replaceable(files.verification, Verification)
    result = read_json(files.search, SearchResult)
    space = searched_space(files, result)
    task = result.task
    target = measured_target(study)
    description = device.describe(model_format=target.format, precision=target.precision)
    context = LabelContext(task, device=description.context)
    predictor = load_trained(study, LATENCY.name, space, context=context)
    purpose = verification_purpose(digest(files.search))
    config = {"device": device.name, "front": max_front, "processes": options.processes, "seed": options.seed}
    with recorded_study(study, "hytnas-profile verify", config) as opened:
        opened.devices.add(description, name=device.name)
        sampled = opened.architectures.of(Purpose.LATENCY)

        def measure(architectures: Sequence[Architecture]) -> list[LatencyLabel | None]:
            with progress("exporting what is to be verified", len(architectures)) as bar:
                exported = export_architectures(opened, architectures, task, target, seed=options.seed)
                bar.advance(len(architectures))
            for model_files in dict.fromkeys(exported.values()):
                made = msgspec.structs.replace(context, model_files=model_files)
                load_trained(study, LATENCY.name, space, context=made)
            measured = measure_architectures(
                opened,
                [device],
                architectures,
                task,
                purpose=purpose,
                # Labels of another device, or of model files made otherwise, are not the predicted ones.
                options=replace(options, keep_apart=True, target=target),
                progress=progress,
            )
            labels = {each: None if each in exported else NOT_EXPORTED for each in architectures}
            labels |= dict(measured)
            return [labels[each] for each in architectures]

        verification = verify(
            result,
            measure=measure,
            predictor=predictor,
            space=space,
            known={plan_hash for _, plan_hash in sampled},
            max_front=max_front,
            rng=np.random.default_rng(options.seed),
            device_name=device.name,
            execution=description.context.execution,
        )
    write_json(files.verification, verification)
    return verification


def export_architectures(
    study: Study, architectures: Sequence[Architecture], task: Task, target: ExportTarget, *, seed: int
) -> dict[Architecture, ModelFiles]:
    """Export what the study has no model file of, and say how the file of each was made.

    An architecture that cannot be exported is a failure of the study, and left out. Raises StudyError.
    """
    hashes = {each: build_plan(each, task).hash for each in architectures}
    networks = {plan_hash: each for each, plan_hash in hashes.items()}
    with Exporter(study, task, seed=seed, target=target) as exporter:
        exporter.prepare([(each, plan_hash) for plan_hash, each in networks.items()])
        files = exporter.hashes
    made = {record.sha256: record.model_files for record in study.exports.all()}
    return {each: made[files[plan_hash]] for each, plan_hash in hashes.items() if plan_hash in files}


def _source(predictor: Predictor) -> str:
    info = predictor.info
    return f"{info.name} fitted to {info.labels} labels ({info.provenance})"
