"""What a study's devices measured of its own sample, read for one target."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from hytnas_agent.label import alike_but_for_deadline
from hytnas_agent.records import LatencyLabel
from hytnas_datasets.label_context import LabelContext
from hytnas_datasets.quality_flags import QualityFlags, flags_of, flags_of_pass
from hytnas_datasets.spaces import Architecture
from hytnas_datasets.store.architectures import Architectures
from hytnas_datasets.store.conditions import settings_of
from hytnas_datasets.store.database import Database
from hytnas_datasets.store.labels import Labels
from hytnas_datasets.store.passes import Passes, StoredPass
from hytnas_datasets.store.records import ExportRecord, Purpose
from hytnas_datasets.targets import FromLatencyLabels, FromPass, Reading, Target

SAMPLE: Final = Purpose.LATENCY
"""The purpose of the study's own sample: what is measured for others is never learned from."""


@dataclass(frozen=True)
class StoredReading:
    """The label of an architecture on one device, with all it belongs to.

    Attributes
    ----------
    architecture : Architecture
    export : ExportRecord
    device_id : str
    context : LabelContext
    reading : Reading or None
        ``None`` where there is no valid label, and then ``reason`` says why in a few words.
    quality_flags : QualityFlags
    method : mapping of str to value
        How it was measured: the settings of the processes, and the meter of an energy.
    """

    architecture: Architecture
    export: ExportRecord
    device_id: str
    context: LabelContext
    reading: Reading | None
    reason: str
    quality_flags: QualityFlags
    method: Mapping[str, Any]

    @property
    def model_and_device(self) -> tuple[str, str]:
        """The hash of the model file and the id of the device that ran it."""
        return self.export.sha256, self.device_id


def device_readings(database: Database, target: Target) -> list[StoredReading]:
    """The labels of a target that devices measure, one for each architecture and device, in sampled order."""
    if isinstance(target.source, FromLatencyLabels):
        return _from_latency_labels(database, target, target.source)
    assert isinstance(target.source, FromPass)
    return _from_pass(database, target, target.source)


def _from_latency_labels(
    database: Database, target: Target, source: FromLatencyLabels
) -> list[StoredReading]:
    labels = Labels(database).all(SAMPLE)
    found = []
    for stored, method in zip(labels, settings_of(database, labels), strict=True):
        task = stored.export.task
        if stored.architecture is not None and task is not None:
            reading, reason = _read(stored.label, target, source)
            found.append(
                StoredReading(
                    stored.architecture,
                    stored.export,
                    stored.device_id,
                    LabelContext(task, stored.export.model_files, stored.context),
                    reading,
                    reason,
                    flags_of(stored.label) if source.timed else frozenset(),
                    method,
                )
            )
    return found


def _read(label: LatencyLabel, target: Target, source: FromLatencyLabels) -> tuple[Reading | None, str]:
    """The reading, or ``None`` and why there is none."""
    if not label.usable:
        return None, label.outcome.value
    reading = source.read(label)
    if reading is None:
        return None, f"without {target.words}"
    if not all(target.is_valid(value) for value in (reading.value, *reading.repeats)):
        return None, "not finite"
    return reading, ""


def _from_pass(database: Database, target: Target, source: FromPass) -> list[StoredReading]:
    by_network: dict[str | None, list[StoredPass]] = {}
    for stored in Passes(database).last(source.measure_pass):
        by_network.setdefault(stored.export.plan_hash, []).append(stored)
    found = []
    for architecture, plan_hash in Architectures(database).of(SAMPLE):
        for stored in by_network.get(plan_hash, ()):
            task, result = stored.export.task, stored.result
            if task is not None:
                value = source.read(result)
                valid = value is not None and target.is_valid(value)
                found.append(
                    StoredReading(
                        architecture,
                        stored.export,
                        result.identity.device_id,
                        LabelContext(task, stored.export.model_files, result.context),
                        Reading(value) if value is not None and valid else None,
                        "" if valid else f"without {target.words}",
                        flags_of_pass(result),
                        _method(stored),
                    )
                )
    return found


def _method(stored: StoredPass) -> dict[str, Any]:
    result = stored.result
    settings = msgspec.to_builtins(alike_but_for_deadline(result.settings))
    found = {f"settings {name}": value for name, value in settings.items()}
    if result.energy is not None:
        found |= {"meter": result.energy.meter, "covers": result.energy.covers}
    return found
