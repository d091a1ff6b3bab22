"""From a study to a ``LabelledSet``: one label an architecture, all made under the same conditions."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hytnas_datasets.caveats import caveats_of
from hytnas_datasets.errors import NotEnoughDataError, StudyError
from hytnas_datasets.labelled import LabelledSet, ModelFiles
from hytnas_datasets.spaces import Architecture, Space
from hytnas_datasets.store.accuracies import Accuracies
from hytnas_datasets.store.architectures import Architectures
from hytnas_datasets.store.conditions import (
    latency_conditions,
    refuse_mixed,
    refuse_unlike_boards,
    training_conditions,
)
from hytnas_datasets.store.database import Database
from hytnas_datasets.store.devices import Devices
from hytnas_datasets.store.labels import Labels, StoredLabel
from hytnas_datasets.store.records import AccuracyRecord, Purpose, recipe_fingerprint


@dataclass(frozen=True)
class Conditions:
    """Which labels to take, where a study holds several kinds; ``None`` takes any, if there is only one."""

    context_fingerprint: str | None = None
    resolution: int | None = None
    classes: int | None = None
    recipe: str | None = None
    device: str | None = None
    model_format: str | None = None
    precision: str | None = None
    converter: str | None = None


def latency(database: Database, space: Space, conditions: Conditions, minimum: int) -> LabelledSet:
    """Latency labels for the study's own sample, of outcome OK or UNSTABLE; see ``Study.labelled``."""
    _check_space(database, space)
    stored = _chosen(database, space, conditions)
    usable = [label for label in stored if _usable(label)]
    refuse_mixed(
        latency_conditions(database, usable),
        "latencies",
        "a device (--device), model files (--format, --precision, --converter), context_fingerprint, "
        "resolution or classes",
    )
    refuse_unlike_boards(database, usable)
    groups: dict[Architecture, list[StoredLabel]] = {}
    for label in usable:
        assert label.architecture is not None
        groups.setdefault(label.architecture, []).append(label)
    _check_enough(len(groups), minimum, "latency labels", space, "hytnas-profile collect latency")
    return _latency_set(space, groups, _count_dropped(stored))


def _chosen(database: Database, space: Space, conditions: Conditions) -> list[StoredLabel]:
    """The labels of the study's own sample that meet the conditions, whatever their outcome."""
    chosen = None if conditions.device is None else _device_id(database, conditions.device)
    return [
        label
        for label in Labels(database).all(Purpose.LATENCY)
        if label.architecture is not None and label.architecture.space == space.name
        if conditions.resolution in (None, label.export.resolution)
        if conditions.classes in (None, label.export.classes)
        if conditions.context_fingerprint in (None, label.context.fingerprint() if label.context else None)
        if chosen in (None, label.device_id)
        if conditions.model_format in (None, label.export.format)
        if conditions.precision in (None, label.export.precision)
        if conditions.converter in (None, label.export.converter)
    ]


def _latency_set(
    space: Space, groups: Mapping[Architecture, Sequence[StoredLabel]], dropped: str
) -> LabelledSet:
    """The set of these labels, grouped by architecture."""
    repeats = tuple(
        np.array(
            [
                value
                for label in labels
                for value in label.label.process_medians_ms or (label.label.median_ms,)
            ]
        )
        for labels in groups.values()
    )
    usable = [stored for labels in groups.values() for stored in labels]
    first = usable[0]
    context = first.context
    board = (
        f"{context.board}, {context.runtime} {context.runtime_version}" if context else "an unknown device"
    )
    return LabelledSet(
        space=space,
        architectures=tuple(groups),
        plan_hashes=tuple(labels[0].export.plan_hash or "" for labels in groups.values()),
        y=np.array([_median_ms(labels) for labels in groups.values()]),
        repeats=repeats,
        target="latency_ms",
        resolution=first.export.resolution or 0,
        classes=first.export.classes or 0,
        context=context,
        execution=context.execution if context else "native",
        provenance=f"median of the medians of fresh processes, measured on {board}{_count_boards(usable)}",
        devices=tuple(tuple(dict.fromkeys(s.device_id for s in labels)) for labels in groups.values()),
        caveats=tuple(
            frozenset().union(*(caveats_of(s.label) for s in labels)) for labels in groups.values()
        ),
        extra={"dropped": dropped, **_named(first.export.converter, first.export.converter_version)},
        model_files=ModelFiles(
            first.export.format,
            first.export.precision,
            first.export.converter,
            first.export.converter_version,
        ),
    )


def accuracy(database: Database, space: Space, conditions: Conditions, minimum: int) -> LabelledSet:
    """Accuracy labels, each the mean over its training seeds; see ``Study.labelled``."""
    _check_space(database, space)
    stored = [
        record
        for record in Accuracies(database).all()
        if record.architecture.space == space.name
        if conditions.resolution in (None, record.resolution)
        if conditions.classes in (None, record.classes)
        if conditions.recipe in (None, recipe_fingerprint(record.recipe))
    ]
    usable = sorted((record for record in stored if record.accuracy is not None), key=lambda r: r.seed)
    refuse_mixed(
        (training_conditions(record) for record in usable), "accuracies", "recipe, resolution or classes"
    )
    by_network: dict[str, list[AccuracyRecord]] = {}
    for record in usable:
        by_network.setdefault(record.plan_hash, []).append(record)
    order = [item for item in Architectures(database).of(Purpose.ACCURACY) if item[0].space == space.name]
    labelled = {architecture: plan_hash for architecture, plan_hash in order if plan_hash in by_network}
    for record in usable:
        labelled.setdefault(record.architecture, record.plan_hash)
    _check_enough(len(labelled), minimum, "accuracy labels", space, "hytnas-profile collect accuracy")
    repeats = tuple(
        np.array([record.accuracy for record in by_network[plan_hash]], dtype=np.float64)
        for plan_hash in labelled.values()
    )
    first = usable[0]
    return LabelledSet(
        space=space,
        architectures=tuple(labelled),
        plan_hashes=tuple(labelled.values()),
        y=np.array([np.mean(values) for values in repeats]),
        repeats=repeats,
        target="accuracy",
        resolution=first.resolution,
        classes=first.classes,
        provenance=first.label
        or f"accuracy after {first.epochs} epochs, resolution of the label 1/{first.test_images}",
        extra={"dropped": str(len(stored) - len(usable)), "label_resolution": f"1/{first.test_images}"},
    )


def _usable(stored: StoredLabel) -> bool:
    label = stored.label
    values = (label.median_ms, *label.process_medians_ms)
    return label.usable and all(value is not None and math.isfinite(value) and value > 0 for value in values)


def _median_ms(labels: Sequence[StoredLabel]) -> float:
    """A network measured on several boards of one context: the median over its boards' labels."""
    return float(
        np.median([stored.label.median_ms for stored in labels if stored.label.median_ms is not None])
    )


def _count_dropped(stored: Iterable[StoredLabel]) -> str:
    counts: dict[str, int] = {}
    for label in stored:
        if not _usable(label):
            reason = "not finite" if label.label.usable else label.label.outcome.value
            counts[reason] = counts.get(reason, 0) + 1
    return ", ".join(f"{count} {reason}" for reason, count in sorted(counts.items())) or "0"


def _named(converter: str, version: str) -> dict[str, str]:
    return {"converter": f"{converter} {version}"} if converter else {}


def _device_id(database: Database, device: str) -> str:
    """The id of a device of this name or id; raises StudyError where the study holds none."""
    names = Devices(database).names()
    known = dict.fromkeys(stored.identity.device_id for stored in Devices(database).all())
    known |= dict.fromkeys(stored.device_id for stored in Labels(database).all(Purpose.LATENCY))
    found = [device_id for device_id in known if device in (device_id, names.get(device_id))]
    if len(found) != 1:
        shown = ", ".join(f"{names[d]} ({d})" if d in names else d for d in known)
        what = f"{len(found)} devices called {device!r}" if found else f"no device {device!r}"
        raise StudyError(f"the study holds {what}", f"Name one of its devices: {shown or 'there is none'}")
    return found[0]


def _count_boards(usable: Sequence[StoredLabel]) -> str:
    count = len({stored.device_id for stored in usable})
    return f" ({count} boards)" if count > 1 else ""


def _check_space(database: Database, space: Space) -> None:
    for stored in Architectures(database).spaces():
        if stored.name == space.name and stored.hash != space.hash():
            raise StudyError(
                f"this study was made with another definition of the space {space.name!r} "
                f"({stored.hash}, now {space.hash()})",
                "Use the definition it was made with",
            )


def _check_enough(count: int, minimum: int, what: str, space: Space, command: str) -> None:
    if count < max(minimum, 1):
        raise NotEnoughDataError(
            f"the study holds {count} {what} of the space {space.name!r}, {max(minimum, 1)} are needed",
            f"Collect more with: {command}",
        )
