"""Collecting latencies: of a uniform sample, of given architectures, and of model files from elsewhere."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec

from hytnas_agent.records import LatencyLabel, ModelFormat
from hytnas_datasets.plan import Task, build_plan
from hytnas_datasets.spaces import Architecture, Space, get_space
from hytnas_datasets.store import Purpose, Study
from hytnas_host.collect.canary import prepare_canary
from hytnas_host.collect.collection import collect
from hytnas_host.collect.errors import CollectError, NoRuntimeError
from hytnas_host.collect.exporting import Exporter
from hytnas_host.collect.files import FileImporter, by_kind, find_models
from hytnas_host.collect.given_inputs import GivenInputs
from hytnas_host.collect.label_rows import rows_of_files
from hytnas_host.collect.model import Model
from hytnas_host.collect.options import MeasureOptions
from hytnas_host.collect.sampling import Network, sample_networks
from hytnas_host.collect.summary import CollectionSummary, FilesSummary
from hytnas_host.collect.windows import Source
from hytnas_host.devices.base import Device
from hytnas_host.export.shapes import WantedShapes
from hytnas_host.export.target import ExportTarget, ModelKind
from hytnas_predictors.progress import ProgressFactory, SilentProgress

T = TypeVar("T")


def collect_latency(
    study: Study,
    devices: Sequence[Device],
    space: Space,
    n: int,
    task: Task,
    *,
    options: MeasureOptions,
    progress: ProgressFactory = SilentProgress,
) -> CollectionSummary:
    """Sample ``n`` distinct networks uniformly, export and measure them, and store every step.

    Killed anywhere and called again, it goes on where it was: nothing that is stored, or that the agent has
    in its journal, is measured again.

    Parameters
    ----------
    study : Study
    devices : sequence of Device
        Those that measure; one, or several that share the work.
    space : Space
    n : int
        Networks in all, those of earlier calls included.
    task : Task
    options : MeasureOptions

    Raises
    ------
    CollectError, DeviceError, SpaceError, StudyError
    """
    _check_counts(n=n)
    networks = sample_networks(study, space, n, task, purpose=Purpose.LATENCY, seed=options.seed)
    return collect_sample(study, devices, networks, task, options=options, progress=progress)


def collect_sample(
    study: Study,
    devices: Sequence[Device],
    networks: Sequence[Network],
    task: Task,
    *,
    options: MeasureOptions,
    progress: ProgressFactory = SilentProgress,
) -> CollectionSummary:
    """Export and measure networks of the study's own sample; see ``collect_latency``."""
    summary, _ = collect_networks(
        study,
        devices,
        networks=networks,
        task=task,
        purpose=Purpose.LATENCY,
        options=options,
        progress=progress,
    )
    return summary


def measure_architectures(
    study: Study,
    devices: Sequence[Device],
    architectures: Sequence[Architecture],
    task: Task,
    *,
    purpose: str,
    options: MeasureOptions,
    progress: ProgressFactory = SilentProgress,
) -> list[tuple[Architecture, LatencyLabel]]:
    """Measure given architectures for a purpose of its own, e.g. to verify a front with fresh labels.

    Labels of another purpose are never taken over; a call that was interrupted goes on. See
    ``collect_latency`` for the parameters.

    Returns
    -------
    list of (Architecture, LatencyLabel)
        In the given order, failed ones with their outcome. An architecture that cannot be exported is left
        out and a failure of the study; architectures that give one network share its label.
    """
    _check_counts(architectures=len(architectures))
    hashes = [build_plan(architecture, task).hash for architecture in architectures]
    for name in dict.fromkeys(architecture.space for architecture in architectures):
        chosen = [(a, h) for a, h in zip(architectures, hashes, strict=True) if a.space == name]
        study.architectures.add(get_space(name), [a for a, _ in chosen], [h for _, h in chosen], purpose)
    networks = list({h: (a, h) for a, h in zip(architectures, hashes, strict=True)}.values())
    _, labels = collect_networks(
        study, devices, networks=networks, task=task, purpose=purpose, options=options, progress=progress
    )
    return [(a, labels[h]) for a, h in zip(architectures, hashes, strict=True) if h in labels]


def collect_files(
    study: Study,
    devices: Sequence[Device],
    folder_or_files: Path | Sequence[Path],
    *,
    model_format: ModelFormat | None = None,
    precision: str | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    resolution: int | None = None,
    inputs: Path | None = None,
    options: MeasureOptions,
    progress: ProgressFactory = SilentProgress,
) -> FilesSummary:
    """Measure the ONNX or TFLite files of a folder, or given ones, those of each kind by themselves.

    The files are copied into the study. One that is damaged or cannot be run is a record with its outcome,
    and the others go on. See ``collect_latency`` for the other parameters; ``options.target`` does not count.

    Parameters
    ----------
    model_format, precision : optional
        Measure only the files of this format and precision.
    shapes : mapping, optional
        Shapes of inputs by name, for files that leave them open; they are fixed in the study's copy.
    resolution : int, optional
        Height and width to fix an image to that is the only input and open.
    inputs : Path, optional
        An ``.npz`` of arrays called like the models' inputs, to run them with instead of made-up ones.

    Raises
    ------
    CollectError
        There is no such model file there, no input of a name in ``shapes``, or the inputs cannot be read.
    DeviceError
        As of ``collect_latency``; that a device has no runtime for one kind of several is said of its files.
    StudyError
    """
    given = GivenInputs.take(study, inputs) if inputs is not None else None
    if given is not None:
        settings = msgspec.structs.replace(options.settings, inputs_sha256=given.sha256)
        options = replace(options, settings=settings)
    named = {name: tuple(shape) for name, shape in (shapes or {}).items()}
    offered = given.shapes if given is not None else {}
    importer = FileImporter(
        study, WantedShapes(named, offered, resolution), given.path if given is not None else None
    )
    collections: list[CollectionSummary] = []
    unable: dict[str, str] = {}
    error: NoRuntimeError | None = None
    groups = by_kind(find_models(folder_or_files, model_format), precision)
    taken = {kind: importer.take(files, kind) for kind, files in groups.items()}
    importer.check_names(named)
    for kind, models in taken.items():
        try:
            if models:
                collections.append(
                    _collect_kind(study, devices, models, kind=kind, options=options, progress=progress)
                )
        except NoRuntimeError as missing:
            error = missing
            unable |= {model.sha256: missing.what for model in models}
    if error is not None and not collections:
        raise error
    device_ids = {share.device_id for collection in collections for share in collection.devices}
    return FilesSummary(tuple(collections), tuple(rows_of_files(study, importer.given, device_ids, unable)))


def _collect_kind(
    study: Study,
    devices: Sequence[Device],
    models: Sequence[Model],
    *,
    kind: ModelKind,
    options: MeasureOptions,
    progress: ProgressFactory,
) -> CollectionSummary:
    """Measure model files of one kind; the canary, where networks are exported to it, is of the kind too."""
    target = ExportTarget.of_kind(kind)
    with Exporter(study, Task(), seed=options.seed, workers=1, target=target or ExportTarget()) as exporter:
        source = Source(
            windows=[partial(list, chunk) for chunk in _chunks(models, options.window)],
            models=len(models),
            known=[model.sha256 for model in models],
            canary=partial(prepare_canary, study, exporter, Task()) if target else list,
            cancel=exporter.cancel,
            kind=kind,
        )
        collected = collect(study, devices, source, options, purpose=Purpose.LATENCY, progress=progress)
    return collected.summary(len(models), failures=(), export_s=exporter.seconds)


def collect_networks(
    study: Study,
    devices: Sequence[Device],
    *,
    networks: Sequence[Network],
    task: Task,
    purpose: str,
    options: MeasureOptions,
    progress: ProgressFactory,
) -> tuple[CollectionSummary, dict[str, LatencyLabel]]:
    """Export and measure these networks, what of them is not in the study yet.

    See ``collect_latency`` for the parameters.

    Returns
    -------
    CollectionSummary
    dict of str to LatencyLabel
        The label of each network that could be exported, by plan hash.
    """
    with Exporter(study, task, seed=options.seed, target=options.target) as exporter:
        chunks = _chunks(networks, options.window)
        source = Source(
            windows=[partial(exporter.prepare, chunk, last=chunk is chunks[-1]) for chunk in chunks],
            models=len(networks),
            known=exporter.known_hashes(networks),
            canary=partial(prepare_canary, study, exporter, task),
            cancel=exporter.cancel,
            kind=options.target.kind,
        )
        collected = collect(study, devices, source, options, purpose=purpose, progress=progress)
        asked = {plan_hash for _, plan_hash in networks}
        failures = tuple(reason for plan_hash, reason in exporter.failed.items() if plan_hash in asked)
        summary = collected.summary(len(networks), failures=failures, export_s=exporter.seconds)
        labels = collected.labels
        by_network = {
            plan_hash: labels[sha256] for plan_hash, sha256 in exporter.hashes.items() if sha256 in labels
        }
    return summary, by_network


def _chunks(items: Sequence[T], size: int) -> list[Sequence[T]]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def _check_counts(**counts: int) -> None:
    for name, count in counts.items():
        if count < 1:
            raise CollectError(f"{name} is {count}", f"give at least one of {name}")
