"""From a study to a ``LabelledSet``: one label an architecture, all made under the same conditions."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hytnas_agent.pass_records import OperatorProfile
from hytnas_agent.records import MeasurePass
from hytnas_datasets.errors import NotEnoughDataError, StudyError
from hytnas_datasets.label_context import LabelContext
from hytnas_datasets.labelled import LabelledSet
from hytnas_datasets.plan import Task
from hytnas_datasets.spaces import Architecture, Space
from hytnas_datasets.store.accuracies import Accuracies
from hytnas_datasets.store.architectures import Architectures
from hytnas_datasets.store.conditions import (
    refuse_mixed,
    refuse_unlike_boards,
    training_conditions,
)
from hytnas_datasets.store.database import Database
from hytnas_datasets.store.devices import Devices
from hytnas_datasets.store.labels import Labels
from hytnas_datasets.store.passes import Passes
from hytnas_datasets.store.readings import StoredReading, device_readings
from hytnas_datasets.store.records import AccuracyRecord, Purpose, recipe_fingerprint
from hytnas_datasets.store.results import Results
from hytnas_datasets.targets import FromPass, FromTrainings, Target


@dataclass(frozen=True)
class Conditions:
    """Which labels to take, where a study holds several kinds; ``None`` takes any, if there is only one."""

    context_fingerprint: str | None = None
    task: Task | None = None
    recipe: str | None = None
    device: str | None = None
    model_format: str | None = None
    precision: str | None = None
    converter: str | None = None


def labelled_set(
    database: Database, target: Target, space: Space, conditions: Conditions, minimum: int
) -> LabelledSet:
    """The labels for ``target`` of the study's own sample; see ``Study.labelled``."""
    _check_space(database, space)
    if isinstance(target.source, FromTrainings):
        return _trained(database, target, space, conditions, minimum)
    return _measured(database, target, space, conditions, minimum)


def _measured(
    database: Database, target: Target, space: Space, conditions: Conditions, minimum: int
) -> LabelledSet:
    stored = _chosen(database, target, space, conditions)
    usable = [label for label in stored if label.reading is not None]
    refuse_mixed(
        (label.context.fields() | {"opset": label.export.opset} | dict(label.method) for label in usable),
        f"labels of {target.words}",
        "a device (--device), model files (--format, --precision, --converter), context_fingerprint or task",
    )
    refuse_unlike_boards(database, [(label.device_id, label.context.device) for label in usable])
    groups: dict[Architecture, list[StoredReading]] = {}
    for label in usable:
        groups.setdefault(label.architecture, []).append(label)
    if not groups:
        _explain_failures(database, target)
    _check_enough(len(groups), minimum, target, space)
    profiles = _profiles(database) if target.follows_latency else {}
    return _measured_set(target, space, groups, profiles, _count_dropped(stored))


def _chosen(database: Database, target: Target, space: Space, conditions: Conditions) -> list[StoredReading]:
    """What was measured of the study's own sample and meets the conditions, failures included."""
    chosen = None if conditions.device is None else _device_id(database, conditions.device)
    return [
        label
        for label in device_readings(database, target)
        if label.architecture.space == space.name
        if conditions.task in (None, label.context.task)
        if conditions.context_fingerprint
        in (None, label.context.device.fingerprint() if label.context.device else None)
        if chosen in (None, label.device_id)
        if conditions.model_format in (None, label.export.format)
        if conditions.precision in (None, label.export.precision)
        if conditions.converter in (None, label.export.converter)
    ]


def _measured_set(
    target: Target,
    space: Space,
    groups: Mapping[Architecture, Sequence[StoredReading]],
    profiles: Mapping[tuple[str, str], OperatorProfile],
    dropped: str,
) -> LabelledSet:
    """The set of these labels; a network measured on several boards has the median of its labels."""
    readings = [[label.reading for label in labels if label.reading] for labels in groups.values()]
    usable = [label for labels in groups.values() for label in labels]
    first = usable[0]
    device = first.context.device
    profiled = [
        next(iter([profiles[key] for label in labels if (key := label.model_and_device) in profiles]), None)
        for labels in groups.values()
    ]
    board = f"{device.board}, {device.runtime} {device.runtime_version}" if device else "an unknown device"
    return LabelledSet(
        space=space,
        architectures=tuple(groups),
        plan_hashes=tuple(labels[0].export.plan_hash or "" for labels in groups.values()),
        y=np.array([np.median([reading.value for reading in several]) for several in readings]),
        repeats=tuple(
            np.array([value for reading in several for value in reading.repeats or (reading.value,)])
            for several in readings
        ),
        target=target,
        context=first.context,
        provenance=f"{target.how}, measured on {board}{_count_boards(usable)}",
        devices=tuple(tuple(dict.fromkeys(s.device_id for s in labels)) for labels in groups.values()),
        quality_flags=tuple(
            frozenset().union(*(label.quality_flags for label in labels)) for labels in groups.values()
        ),
        profiles=tuple(profiled) if any(profiled) else (),
        extra={"dropped": dropped, **_named(first.export.converter, first.export.converter_version)},
    )


def _profiles(database: Database) -> dict[tuple[str, str], OperatorProfile]:
    """The last profile of each model on each device."""
    return {
        (stored.export.sha256, stored.result.identity.device_id): stored.result.profile
        for stored in Passes(database).last(MeasurePass.PROFILE)
        if stored.result.profile is not None
    }


def _trained(
    database: Database, target: Target, space: Space, conditions: Conditions, minimum: int
) -> LabelledSet:
    """Labels of trainings, each the mean over its seeds."""
    stored = [
        record
        for record in Accuracies(database).all()
        if record.architecture.space == space.name
        if conditions.task in (None, record.task)
        if conditions.recipe in (None, recipe_fingerprint(record.recipe))
    ]
    usable = sorted((record for record in stored if record.accuracy is not None), key=lambda r: r.seed)
    refuse_mixed((training_conditions(record) for record in usable), "accuracies", "recipe or task")
    by_network: dict[str, list[AccuracyRecord]] = {}
    for record in usable:
        by_network.setdefault(record.plan_hash, []).append(record)
    order = [item for item in Architectures(database).of(Purpose.ACCURACY) if item[0].space == space.name]
    labelled = {architecture: plan_hash for architecture, plan_hash in order if plan_hash in by_network}
    for record in usable:
        labelled.setdefault(record.architecture, record.plan_hash)
    _check_enough(len(labelled), minimum, target, space)
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
        target=target,
        context=LabelContext(first.task),
        provenance=first.label
        or f"accuracy after {first.epochs} epochs, resolution of the label 1/{first.test_images}",
        extra={"dropped": str(len(stored) - len(usable)), "label_resolution": f"1/{first.test_images}"},
    )


def _count_dropped(stored: Iterable[StoredReading]) -> str:
    counts = Counter(label.reason for label in stored if label.reading is None)
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


def _count_boards(usable: Sequence[StoredReading]) -> str:
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


def _explain_failures(database: Database, target: Target) -> None:
    """Raise NotEnoughDataError where a pass is all that can give labels and it failed: with what it said."""
    if not isinstance(target.source, FromPass):
        return
    failed = [stored.result for stored in Results(database).all(target.source.measure_pass)]
    if failed and failed[-1].message:
        raise NotEnoughDataError(
            f"the study holds no labels of {target.words}: {failed[-1].message}",
            f"Measure on a device that can, with: {target.collect}",
        )


def _check_enough(count: int, minimum: int, target: Target, space: Space) -> None:
    if count < max(minimum, 1):
        raise NotEnoughDataError(
            f"the study holds {count} {target.words} labels of the space {space.name!r}, "
            f"{max(minimum, 1)} are needed",
            f"Collect more with: {target.collect}",
        )
