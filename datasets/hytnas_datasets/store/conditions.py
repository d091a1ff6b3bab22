"""What labels must have in common to stand in one set, and what is said of those that do not."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from hytnas_agent.label import alike_but_for_deadline, made_of
from hytnas_agent.records import DeviceContext
from hytnas_datasets.errors import StudyError
from hytnas_datasets.label_context import LabelContext
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


def settings_of(database: Database, labels: Sequence[StoredLabel]) -> list[dict[str, Any]]:
    """How the processes that make each label were measured; nothing where they are not stored.

    A model that was measured in two ways has results of both: the label's are those of its jobs.
    """
    results = Results(database).by_job(Purpose.LATENCY)
    made = [made_of(stored.label, results) for stored in labels]
    settings = [alike_but_for_deadline(processes[0].settings) if processes else None for processes in made]
    return [
        {f"settings {name}": value for name, value in (msgspec.to_builtins(one) if one else {}).items()}
        for one in settings
    ]


def training_conditions(record: AccuracyRecord) -> dict[str, Any]:
    """Everything that must be equal for two accuracies to stand in one set."""
    fields: dict[str, Any] = {f"recipe {name}": value for name, value in record.recipe.items()}
    return fields | LabelContext(record.task).fields() | {"data": record.data_fingerprint}


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


def refuse_unlike_boards(database: Database, measured: Iterable[tuple[str, DeviceContext | None]]) -> None:
    """Raise StudyError where labels of several boards meet whose canaries do not show that they agree.

    Parameters
    ----------
    measured : iterable of (device id, context)
        Where each label was measured.
    """
    pairs = list(measured)
    devices = {device_id for device_id, _ in pairs}
    contexts = {context.fingerprint() for _, context in pairs if context is not None}
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
            f"the study holds labels of several boards ({shown}) but no canary that all of them measured "
            "twice, so nothing shows that they agree",
            MEASURE_AGAIN,
        )
