"""What is known of each model: its latency, or in a few words why there is none."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from hytnas_agent.label import few_words
from hytnas_agent.records import Execution, Outcome
from hytnas_datasets.store import Purpose, Study
from hytnas_datasets.store.architectures import StoredSpace, identifier
from hytnas_datasets.store.labels import StoredLabel

NOT_READ: Final = "not read"
NOT_MEASURED: Final = "not measured"
"""What stands for an outcome where there is none."""

FAILURES: Final = {NOT_READ: "file", Outcome.INVALID_MODEL.value: "model"}
"""The stage of a study's failures for each way in which a file could not be taken: unread, or no model."""


class GivenFile(msgspec.Struct, frozen=True):
    """A model file that somebody gave: the hash of its model in the study, or why there is none.

    Attributes
    ----------
    name : str
        Without its folder.
    sha256, reason : str
        One of the two is empty.
    outcome : str
        What stands for one where there is a reason: ``NOT_READ``, or INVALID_MODEL of what is no model.
    """

    name: str
    sha256: str = ""
    reason: str = ""
    outcome: str = ""


class LabelRow(msgspec.Struct, frozen=True):
    """The latency of one model on one device, in milliseconds, as tables show it.

    Attributes
    ----------
    file : str
        Name of the file, or id of the architecture.
    kind : str
        Format and precision; empty of a file that could not be read.
    shapes : str
        The shapes that inputs without fixed ones got, as ``--shape`` takes them.
    device : str
        What the person calls it; its id where that is not known, empty where none measured.
    execution : Execution or None
    outcome : str
        That of the label, or ``NOT_READ`` or ``NOT_MEASURED``.
    reason : str
        Why there is no latency, or what is to be known about it.
    median_ms, ci_low_ms, ci_high_ms, half_width, p90_ms, cold_ms : float or None
        As of ``LatencyLabel``.
    peak_rss_bytes : int or None
    processes : int
        That make the label.
    model_sha256 : str
    """

    file: str
    kind: str = ""
    shapes: str = ""
    device: str = ""
    execution: Execution | None = None
    outcome: str = NOT_MEASURED
    reason: str = ""
    median_ms: float | None = None
    ci_low_ms: float | None = None
    ci_high_ms: float | None = None
    half_width: float | None = None
    p90_ms: float | None = None
    cold_ms: float | None = None
    peak_rss_bytes: int | None = None
    processes: int = 0
    model_sha256: str = ""


def rows_of_study(study: Study) -> list[LabelRow]:
    """A row for each latency of the study, then one for each file that could not be taken into it."""
    spaces = {space.name: space for space in study.architectures.spaces()}
    devices = study.devices.names()
    rows = [
        _row(name, stored, devices)
        for stored in study.labels.all(Purpose.LATENCY)
        for name in _names(stored, spaces)
    ]
    known = {row.file for row in rows}
    failed = {
        failure.subject.rpartition("/")[2]: LabelRow(
            failure.subject.rpartition("/")[2], outcome=outcome, reason=failure.message
        )
        for outcome, stage in FAILURES.items()
        for failure in study.failures.all(stage)
    }
    return _told_apart([*rows, *(row for name, row in failed.items() if name not in known)])


def rows_of_files(
    study: Study, files: Sequence[GivenFile], device_ids: Collection[str], reasons: Mapping[str, str]
) -> list[LabelRow]:
    """A row for each of the files and each of these devices that labelled it, in the files' order.

    ``reasons`` says of a model, by its hash, why no device measured it.
    """
    devices = study.devices.names()
    labels: dict[str, list[StoredLabel]] = {}
    for stored in study.labels.all(Purpose.LATENCY):
        if stored.device_id in device_ids:
            labels.setdefault(stored.export.sha256, []).append(stored)
    exports = {record.sha256: record for record in study.exports.all()}
    rows: list[LabelRow] = []
    for file in files:
        if not file.sha256:
            rows.append(LabelRow(file.name, outcome=file.outcome, reason=file.reason))
        elif file.sha256 in labels:
            rows += [_row(file.name, stored, devices) for stored in labels[file.sha256]]
        else:
            record = exports[file.sha256]
            rows.append(
                LabelRow(
                    file.name,
                    f"{record.format} {record.precision}",
                    record.shapes_text,
                    reason=reasons.get(file.sha256, "there was no time for it"),
                    model_sha256=file.sha256,
                )
            )
    return _told_apart(rows)


def _names(stored: StoredLabel, spaces: Mapping[str, StoredSpace]) -> Iterator[str]:
    """What a label's model is called: one name for each file that it was copied from."""
    architecture = stored.architecture
    if architecture is not None and architecture.space in spaces:
        yield identifier(architecture, spaces[architecture.space])
    else:
        yield from stored.export.file_names


def _row(name: str, stored: StoredLabel, devices: Mapping[str, str]) -> LabelRow:
    label, export = stored.label, stored.export
    return LabelRow(
        file=name,
        kind=f"{export.format} {export.precision}",
        shapes=export.shapes_text,
        device=devices.get(stored.device_id, stored.device_id),
        execution=stored.context.execution if stored.context else None,
        outcome=label.outcome.value,
        reason=few_words(label.message),
        median_ms=label.median_ms,
        ci_low_ms=label.ci_low_ms,
        ci_high_ms=label.ci_high_ms,
        half_width=label.half_width,
        p90_ms=label.p90_ms,
        cold_ms=label.cold_ms,
        peak_rss_bytes=label.peak_rss_bytes,
        processes=label.processes,
        model_sha256=label.model_sha256,
    )


def _told_apart(rows: Sequence[LabelRow]) -> list[LabelRow]:
    """The rows with a part of the hash in the names that several models share."""
    models = {(row.file, row.model_sha256): row.file for row in rows}
    shared = {name for name, count in Counter(models.values()).items() if count > 1}
    return [
        msgspec.structs.replace(row, file=f"{row.file} ({row.model_sha256[:8]})")
        if row.file in shared and row.model_sha256
        else row
        for row in rows
    ]
