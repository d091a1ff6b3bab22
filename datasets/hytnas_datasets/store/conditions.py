"""What labels must have in common to stand in one set, and what is said of those that do not."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from hytnas_agent.label import alike_but_for_deadline
from hytnas_agent.records import DeviceContext, MeasureSettings
from hytnas_datasets.errors import StudyError
from hytnas_datasets.store.boards import Boards
from hytnas_datasets.store.database import Database
from hytnas_datasets.store.devices import Devices
from hytnas_datasets.store.labels import StoredLabel
from hytnas_datasets.store.records import AccuracyRecord, Purpose
from hytnas_datasets.store.results import Results

MEASURE_AGAIN = (
    "Choose one with --device, or have their canaries measured: hytnas-profile collect latency with all of "
    "them as --device"
)


def latency_conditions(database: Database, labels: Sequence[StoredLabel]) -> list[dict[str, Any]]:
    """Everything that must be equal for latencies to stand in one set, for each of the labels."""
    settings = _settings_of(database, labels)
    return [_of_label(stored) | settings[index] for index, stored in enumerate(labels)]


def _of_label(stored: StoredLabel) -> dict[str, Any]:
    export = stored.export
    fields: dict[str, Any] = {
        name: getattr(export, name)
        for name in (
            "resolution",
            "classes",
            "format",
            "precision",
            "opset",
            "converter",
            "converter_version",
        )
    }
    context = stored.context
    fields.update(
        {f"context {name}": getattr(context, name, None) for name in DeviceContext.__struct_fields__}
    )
    return fields


def _settings_of(database: Database, labels: Sequence[StoredLabel]) -> list[dict[str, Any]]:
    """How the processes that each label is the median of were measured; nothing where they are not stored.

    A model that was measured in two ways has results of both: the label's are those with its medians.
    """
    found: dict[tuple[str, str, float], MeasureSettings] = {}
    for stored in Results(database).all(Purpose.LATENCY):
        result = stored.result
        if result.median_ms is not None:
            key = (stored.model_sha256, result.identity.device_id, result.median_ms)
            found[key] = alike_but_for_deadline(result.settings)
    settings = [
        next(
            (
                found[label.export.sha256, label.device_id, median_ms]
                for median_ms in label.label.process_medians_ms
                if (label.export.sha256, label.device_id, median_ms) in found
            ),
            None,
        )
        for label in labels
    ]
    return [
        {f"settings {name}": value for name, value in (msgspec.to_builtins(one) if one else {}).items()}
        for one in settings
    ]


def training_conditions(record: AccuracyRecord) -> dict[str, Any]:
    """Everything that must be equal for two accuracies to stand in one set."""
    fields: dict[str, Any] = {f"recipe {name}": value for name, value in record.recipe.items()}
    return fields | {
        "resolution": record.resolution,
        "classes": record.classes,
        "data": record.data_fingerprint,
    }


def refuse_mixed(conditions: Iterable[Mapping[str, Any]], what: str, choose: str) -> None:
    """Raise StudyError, naming the fields that differ, unless all of the conditions are equal."""
    seen: dict[bytes, Mapping[str, Any]] = {
        msgspec.json.encode(fields, order="sorted"): fields for fields in conditions
    }
    if len(seen) <= 1:
        return
    variants = list(seen.values())
    names = list(dict.fromkeys(name for fields in variants for name in fields))
    differing = {name: list(dict.fromkeys(str(fields.get(name)) for fields in variants)) for name in names}
    shown = "; ".join(
        f"{name}: {' / '.join(values)}" for name, values in differing.items() if len(values) > 1
    )
    raise StudyError(
        f"the study holds {what} made under different conditions ({shown})", f"Choose one with {choose}"
    )


def refuse_unlike_boards(database: Database, usable: Sequence[StoredLabel]) -> None:
    """Raise StudyError where labels of several boards meet whose canaries do not show that they agree."""
    devices = {stored.device_id for stored in usable}
    contexts = {stored.context.fingerprint() for stored in usable if stored.context is not None}
    if len(devices) < 2:
        return
    names = Devices(database).names()
    found = [one.agreement for one in Boards(database).agreements(devices) if one.context in contexts]
    for agreement in found:
        if not agreement.agree:
            disagree = agreement.verdict == "disagree"
            raise StudyError(
                agreement.describe(names), "Choose one with --device" if disagree else MEASURE_AGAIN
            )
    if not any({board.device_id for board in agreement.boards} == devices for agreement in found):
        shown = ", ".join(sorted(names.get(device_id, device_id) for device_id in devices))
        raise StudyError(
            f"the study holds latencies of several boards ({shown}) but no canary that all of them measured "
            "twice, so nothing shows that they agree",
            MEASURE_AGAIN,
        )
