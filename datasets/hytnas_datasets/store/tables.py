"""A study as tables, CSV or Parquet, with a JSON data sheet beside them."""

import hashlib
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from hytnas_agent.whole_file import write_whole
from hytnas_datasets.claim import claim
from hytnas_datasets.errors import StudyError
from hytnas_datasets.sharing import Places
from hytnas_datasets.spaces import Architecture
from hytnas_datasets.store import schema
from hytnas_datasets.store.accuracies import Accuracies
from hytnas_datasets.store.architectures import Architectures, StoredSpace, identifier
from hytnas_datasets.store.boards import Boards
from hytnas_datasets.store.database import Database
from hytnas_datasets.store.devices import Devices
from hytnas_datasets.store.labels import Labels, StoredLabel
from hytnas_datasets.store.pass_tables import PASS_COLUMNS, pass_tables
from hytnas_datasets.store.records import RunRecord, recipe_fingerprint
from hytnas_datasets.store.results import Results
from hytnas_datasets.store.table_files import Rows, TableFormat, write_table

DATA_SHEET: Final = "datasheet.json"

COLUMNS: Final[dict[str, str]] = PASS_COLUMNS | {
    "architecture": "id of the architecture, as commands take it; its choices' positions in an unknown space",
    "model": "path of a model file that came from elsewhere, relative to the study",
    "plan_hash": "identity of the network; rows that share it are one network",
    "model_sha256": "SHA-256 of the measured model file",
    "purpose": "what it was measured for; predictors learn from 'latency' only",
    "resolution": "input height and width, pixels",
    "classes": "outputs of the network",
    "shapes": "shapes that inputs without fixed ones got, as NAME:1,3,224,224",
    "format": "format of the model file",
    "precision": "arithmetic of the model",
    "converter": "what wrote the model file, with version",
    "device_id": "hash that identifies the board",
    "device": "what the board was called when it measured; empty if that was not said",
    "context": "fingerprint of everything a latency depends on besides the model",
    "execution": "native, emulated, instruction_count or simulated; only native ones are a board's speed",
    "outcome": "how the measurement ended; only OK and UNSTABLE rows carry a label",
    "median_ms": "label: median of the medians of fresh processes, milliseconds",
    "ci_low_ms": "lower end of the 95 % interval of the label, milliseconds",
    "ci_high_ms": "upper end of the 95 % interval of the label, milliseconds",
    "mad_ms": "median absolute deviation of the pooled timed runs, milliseconds",
    "mean_ms": "mean of the pooled timed runs, milliseconds",
    "p90_ms": "90th percentile of the pooled timed runs, milliseconds",
    "p99_ms": "99th percentile of the pooled timed runs, milliseconds",
    "cold_ms": "first inference of a fresh process, milliseconds",
    "load_ms": "loading the model, milliseconds",
    "throughput_per_s": "inferences a second, one at a time",
    "peak_rss_bytes": "peak resident memory of the process, bytes, from a pass of its own",
    "model_bytes": "size of the model file, bytes",
    "processes": "fresh processes behind the label",
    "samples": "timed runs behind the label",
    "half_width": "half of the interval relative to its centre: 0.015 is +-1.5 %",
    "target_half_width": "that at which measuring stopped; empty for a fixed number of processes, "
    "exceeded by UNSTABLE labels",
    "looks": "how often the interval was looked at, for which it is corrected; 0 for a fixed number",
    "disturbed_processes": "processes that went well but for the health of the device",
    "steady": "whether the warm-up came to a steady state before its runs or its time were used up; empty: "
    "there was none",
    "verdict": "VALID, VALID_UNVERIFIED, INVALID (disturbed, and measured again), or empty: not judged",
    "disturbed_by": "what the device's health says disturbed the timed runs",
    "unverified": "probes that the device does not have or that did not look, so that nothing is known of "
    "what they look for",
    "too_few_undisturbed": "whether fewer than three others went well (or than were asked for), so that "
    "the label is of those, or of the fastest disturbed one where there is none",
    "discarded": "why the process stands in no label, where the canary showed that it must not",
    "message": "what the agent said about the outcome",
    "seed": "seed of the training",
    "accuracy": "label: fraction of the test images classified right, in [0, 1]",
    "epochs": "epochs of training",
    "test_images": "images of the test split; the resolution of the accuracy is 1/test_images",
    "recipe": "fingerprint of the training recipe, which the data sheet lists in full",
    "data": "fingerprint of the training data and its split",
    "seconds": "wall time of the training, seconds",
    "failure": "why there is no accuracy",
    "job_id": "one fresh process",
    "replicate": "number of the process among those of its model",
    "measure_pass": "timed, or what is measured apart from timing: memory, profile, energy, sustained",
    "started_unix_s": "start, seconds since 1970-01-01 UTC",
    "sample": "number of the timed run in its process",
    "duration_ms": "one timed run, milliseconds",
    "counts": "whether the run counts: the core was at its best speed beside it, or too few runs had it so",
}
"""Meaning and unit of every column that is not a variable of the space."""

_LABEL_FIELDS: Final = (
    "median_ms", "ci_low_ms", "ci_high_ms", "mad_ms", "mean_ms", "p90_ms", "p99_ms", "cold_ms", "load_ms",
    "throughput_per_s", "peak_rss_bytes", "model_bytes", "processes", "samples", "half_width",
    "target_half_width", "looks", "disturbed_processes", "too_few_undisturbed",
    "message",
)  # fmt: skip


def write(
    database: Database,
    runs: Sequence[RunRecord],
    folder: Path,
    licence: str,
    table_format: TableFormat = "csv",
    *,
    keep_hostnames: bool = False,
) -> list[Path]:
    """Write ``latency-<space>``, ``accuracy-<space>``, processes, samples and the data sheet.

    What the passes beside the timed one found is in ``profile*``, ``energy`` and ``sustained*``. Each file
    replaces the one before it in one step. Host names, user names and places on a disk are left out unless
    ``keep_hostnames``. Raises StudyError where the folder cannot be written.
    """
    hostnames = [device.identity.hostname for device in Devices(database).all()]
    places = None if keep_hostnames else Places(hostnames)
    spaces = {space.name: space for space in Architectures(database).spaces()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tables = _tables(database, spaces)
        claim(folder, [f"{name}.{table_format}" for name, _ in tables], DATA_SHEET)
        files = [write_table(folder, name, _shared(rows, places), table_format) for name, rows in tables]
        sheet = _data_sheet(database, runs, files, licence, spaces, places=places)
        content = msgspec.json.format(msgspec.json.encode(sheet), indent=2)
        write_whole(folder / DATA_SHEET, content + b"\n")
        files.append(folder / DATA_SHEET)
    except OSError as error:
        raise StudyError(
            f"the tables cannot be written to {folder} ({error.strerror})",
            "Free space, or name another folder",
        ) from error
    return files


def _tables(database: Database, spaces: Mapping[str, StoredSpace]) -> list[tuple[str, Rows]]:
    """The name and the rows of each table that there is anything for."""
    labels = Labels(database).all()
    device_names = Devices(database).names()
    names = dict.fromkeys(
        None if label.architecture is None else label.architecture.space for label in labels
    )
    tables: list[tuple[str, Rows]] = [
        (f"latency-{name or 'files'}", _latency_rows(labels, name, spaces.get(name or ""), device_names))
        for name in names
    ]
    for name, space in spaces.items():
        rows = _accuracy_rows(database, name, space)
        if rows:
            tables.append((f"accuracy-{name}", rows))
    if labels or Results(database).all():
        tables += [("processes", _process_rows(database)), ("samples", _sample_rows(database))]
    return [*tables, *pass_tables(database)]


def _shared(rows: Rows, places: Places | None) -> Rows:
    """The rows without places in what devices and trainings said in words."""
    for row in rows:
        said = {name: row[name] for name in ("message", "failure") if name in row}
        yield row | {name: places.text(text) for name, text in said.items()} if places else row


def _choices(architecture: Architecture, space: StoredSpace | None) -> dict[str, Any]:
    if space is None:
        return {}
    row: dict[str, Any] = {"architecture": identifier(architecture, space)}
    for index, variable in zip(architecture.indices, space.variables, strict=True):
        row[variable.name] = variable.value(index)
    return row


def _latency_rows(
    labels: list[StoredLabel], name: str | None, space: StoredSpace | None, names: Mapping[str, str]
) -> list[dict[str, Any]]:
    rows = []
    for stored in labels:
        if (stored.architecture.space if stored.architecture else None) != name:
            continue
        export, label, context = stored.export, stored.label, stored.context
        rows.append(
            (_choices(stored.architecture, space) if stored.architecture else {"model": export.path})
            | {
                "plan_hash": export.plan_hash,
                "model_sha256": export.sha256,
                "purpose": stored.purpose,
                "resolution": export.task.resolution if export.task else None,
                "classes": export.task.classes if export.task else None,
                "shapes": export.shapes_text,
                "format": export.format,
                "precision": export.precision,
                "converter": f"{export.converter} {export.converter_version}".strip(),
                "device_id": stored.device_id,
                "device": names.get(stored.device_id, ""),
                "context": context.fingerprint() if context else None,
                "execution": context.execution if context else "unknown",
                "outcome": label.outcome.value,
            }
            | {field: getattr(label, field) for field in _LABEL_FIELDS}
        )
    return rows


def _accuracy_rows(database: Database, name: str, space: StoredSpace) -> list[dict[str, Any]]:
    return [
        _choices(record.architecture, space)
        | {
            "plan_hash": record.plan_hash,
            "seed": record.seed,
            "accuracy": record.accuracy,
            "resolution": record.task.resolution,
            "classes": record.task.classes,
            "epochs": record.epochs,
            "test_images": record.test_images,
            "recipe": recipe_fingerprint(record.recipe),
            "data": record.data_fingerprint,
            "seconds": record.seconds,
            "failure": record.failure,
        }
        for record in Accuracies(database).all()
        if record.architecture.space == name
    ]


def _process_rows(database: Database) -> Iterable[dict[str, Any]]:
    discarded = Results(database).discarded()
    for stored in Results(database).all():
        result = stored.result
        yield {
            "job_id": result.job_id,
            "model_sha256": stored.model_sha256,
            "purpose": stored.purpose,
            "replicate": stored.replicate,
            "measure_pass": result.measure_pass,
            "outcome": result.outcome.value,
            "execution": result.context.execution if result.context else "unknown",
            "device_id": result.identity.device_id,
            "started_unix_s": result.started_unix_s,
            "median_ms": result.median_ms,
            "cold_ms": result.cold_ms,
            "load_ms": result.load_ms,
            "peak_rss_bytes": result.peak_rss_bytes,
            "steady": result.steady,
            "verdict": result.verdict.status if result.verdict else "",
            "disturbed_by": "; ".join(result.verdict.reasons) if result.verdict else "",
            "unverified": "; ".join(result.verdict.unverified) if result.verdict else "",
            "discarded": discarded.get(result.job_id, ""),
            "message": result.message,
        }


def _sample_rows(database: Database) -> Iterable[dict[str, Any]]:
    for stored in Results(database).all():
        result = stored.result
        for index, (duration_ms, counts) in enumerate(zip(result.samples_ms, result.counts, strict=True)):
            yield {
                "job_id": result.job_id,
                "sample": index,
                "duration_ms": duration_ms,
                "counts": counts,
            }


def _data_sheet(
    database: Database,
    runs: Sequence[RunRecord],
    files: Sequence[Path],
    licence: str,
    spaces: dict[str, StoredSpace],
    *,
    places: Places | None,
) -> dict[str, Any]:
    """What a reader of the tables must know: where from, in which units, made how, and which bytes."""
    recipes = {
        msgspec.json.encode(record.recipe, order="sorted"): {"label": record.label, **record.recipe}
        for record in Accuracies(database).all()
    }
    names = Devices(database).names()
    shared = msgspec.to_builtins if places is None else places.out_of
    return {
        "schema_version": len(schema.MIGRATIONS),
        "written_unix_s": time.time(),
        "licence": licence,
        "files": {
            path.name: {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "bytes": path.stat().st_size}
            for path in files
        },
        "columns": COLUMNS,
        "spaces": [msgspec.to_builtins(space) for space in spaces.values()],
        "devices": [
            {"name": names.get(device.identity.device_id, ""), **shared(device)}
            for device in Devices(database).all()
        ],
        "board_agreements": msgspec.to_builtins(Boards(database).agreements()),
        "contexts": {
            name: msgspec.to_builtins(context) for name, context in Devices(database).contexts().items()
        },
        "recipes": shared(list(recipes.values())),
        "provenance": [shared(run) for run in runs],
    }
