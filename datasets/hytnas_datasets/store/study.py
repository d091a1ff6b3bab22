"""A study: a folder with all that one search for networks measured, and the journal it is resumed from."""

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from hytnas_agent.protocol import DeviceDescription
from hytnas_agent.records import DeviceContext, LatencyLabel, MeasurePass, MeasureSettings, ProcessResult
from hytnas_datasets.errors import StudyError
from hytnas_datasets.labelled import LabelledSet, Target
from hytnas_datasets.spaces import Architecture, Space
from hytnas_datasets.store import boards, labelling, measured, sampled, summary, tables, trained
from hytnas_datasets.store.database import Database
from hytnas_datasets.store.measured import StoredLabel
from hytnas_datasets.store.passed import StoredPass, stored_passes
from hytnas_datasets.store.records import (
    AccuracyRecord,
    DiscardRecord,
    ExportRecord,
    FailureRecord,
    RunRecord,
)

STUDY_FILE = "study.sqlite"


class Study:
    """A study folder (``study.sqlite``, ``models/``, ``predictors/``, results as JSON), opened.

    Every ``add_*`` is one durable transaction and idempotent: a process may be killed between any two of them
    and do its work again. One study may be open in several threads and processes.

    Attributes
    ----------
    folder : Path
        Where the study's files lie.
    path : Path
        The SQLite file.
    """

    def __init__(self, path: Path, database: Database) -> None:
        self.path = path
        self.folder = path.parent
        self._database = database
        self._run_id: int | None = None

    @classmethod
    def open(cls, folder_or_file: Path | str, *, create: bool = True) -> "Study":
        """Open the study in a folder (or its ``.sqlite`` file), making it where it is missing and ``create``.

        Raises
        ------
        SchemaVersionError
            The study was written by a newer version of the toolkit.
        StudyError
            There is no study there, it is not one, or it cannot be read or written.
        """
        given = Path(folder_or_file)
        path = given if given.is_file() or given.suffix == ".sqlite" else given / STUDY_FILE
        if not create and not path.is_file():
            raise StudyError(f"there is no study at {given}", "Make one with: hytnas-profile collect latency")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StudyError(
                f"the study folder {path.parent} cannot be made ({error.strerror})", "Name another folder"
            ) from error
        return cls(path, Database(path))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the study file."""
        self._database.close()

    def begin_run(self, command: str, config: dict[str, Any], environment: dict[str, Any]) -> int:
        """Register the command that writes from here on; all that is added next carries its id."""
        with self._database.transaction() as connection:
            cursor = connection.execute(
                "INSERT INTO run (command, config, environment, status, started_unix_s) "
                "VALUES (?, ?, ?, ?, ?)",
                (
                    command,
                    msgspec.json.encode(config).decode(),
                    msgspec.json.encode(environment).decode(),
                    "running",
                    time.time(),
                ),
            )
            self._run_id = cursor.lastrowid
        if self._run_id is None:
            raise StudyError("the run could not be registered")
        return self._run_id

    def end_run(self, run_id: int, status: str) -> None:
        """Say how a run ended, e.g. "done", "failed" or "interrupted"."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE run SET status = ?, ended_unix_s = ? WHERE id = ?", (status, time.time(), run_id)
            )
        if self._run_id == run_id:
            self._run_id = None

    def runs(self) -> list[RunRecord]:
        """Every command that wrote into the study, oldest first."""
        return [
            RunRecord(
                row["id"],
                row["command"],
                msgspec.json.decode(row["config"]),
                msgspec.json.decode(row["environment"]),
                row["status"],
                row["started_unix_s"],
                row["ended_unix_s"],
            )
            for row in self._database.query("SELECT * FROM run ORDER BY id")
        ]

    def add_architectures(
        self, space: Space, architectures: Sequence[Architecture], plan_hashes: Sequence[str], purpose: str
    ) -> None:
        """Append architectures to the sample of ``purpose``, all or nothing; known ones keep their place.

        Raises StudyError if the study holds another definition of the space.
        """
        sampled.add(self._database, space, architectures, plan_hashes, purpose=purpose, run_id=self._run_id)

    def architectures(self, purpose: str) -> list[tuple[Architecture, str]]:
        """(architecture, plan hash) in sampled order: the resume journal of ``purpose``."""
        return sampled.of_purpose(self._database, purpose)

    def purposes(self) -> dict[str, int]:
        """How many architectures were sampled for each purpose."""
        return sampled.purposes(self._database)

    def add_export(self, record: ExportRecord) -> None:
        """Store a model file's record; the same file again replaces it."""
        measured.add_export(self._database, record, self._run_id)

    def export_for(
        self, plan_hash: str, resolution: int, classes: int, *, format: str, precision: str, converter: str
    ) -> ExportRecord | None:
        """The newest model file of a network for a task, made like this, or ``None``."""
        return measured.export_for(
            self._database,
            plan_hash=plan_hash,
            resolution=resolution,
            classes=classes,
            model_format=format,
            precision=precision,
            converter=converter,
        )

    def exports(self) -> list[ExportRecord]:
        """Every model file of the study, in the order they were stored."""
        return measured.exports(self._database)

    def add_device(self, description: DeviceDescription, *, name: str = "") -> None:
        """Store what a device says about itself and is called, once for each context it was seen in."""
        measured.add_device(self._database, description, time.time(), name)

    def device_names(self) -> dict[str, str]:
        """What the person calls each device, by device id."""
        return measured.device_names(self._database)

    def set_board_tolerance(self, context: DeviceContext, tolerance: float) -> None:
        """Store how far canaries of boards of this context may differ for their labels to be read together.

        ``tolerance`` is the ratio, less 1; without a stored one it is ``agreement.TOLERANCE``.
        """
        boards.set_tolerance(self._database, context, tolerance)

    def comparable_canaries_ms(
        self, context: DeviceContext, model_sha256: str, settings: MeasureSettings
    ) -> dict[str, list[float]]:
        """Medians of a canary model that boards of this context are compared by, by device id.

        In milliseconds, of processes with these settings, whatever their deadline; discarded ones left out.
        """
        return boards.comparable_canaries_ms(self._database, context, model_sha256, settings)

    def devices(self) -> list[DeviceDescription]:
        """Every device and context seen, oldest first."""
        return measured.devices(self._database)

    def contexts(self) -> dict[str, DeviceContext]:
        """Every context of the study by its fingerprint."""
        return measured.contexts(self._database)

    def add_result(self, result: ProcessResult, *, model_sha256: str, purpose: str, replicate: int) -> None:
        """Store what one process measured, raw samples included; a known ``job_id`` is left as it is.

        Raises StudyError if the model's export is not stored yet.
        """
        measured.add_result(
            self._database,
            result,
            model_sha256=model_sha256,
            purpose=purpose,
            replicate=replicate,
            run_id=self._run_id,
        )

    def results(self, model_sha256: str, purpose: str) -> list[ProcessResult]:
        """What the processes of a model measured for ``purpose``, in the order they started."""
        return [stored.result for stored in measured.results(self._database, model_sha256, purpose)]

    def results_by_model(self, purpose: str) -> dict[str, list[tuple[int, ProcessResult]]]:
        """(replicate, result) of every job of ``purpose`` by model hash, in the order they were stored."""
        grouped: dict[str, list[tuple[int, ProcessResult]]] = {}
        for stored in measured.results(self._database, purpose=purpose):
            grouped.setdefault(stored.model_sha256, []).append((stored.replicate, stored.result))
        return grouped

    def discard(self, job_ids: Iterable[str], reason: str) -> None:
        """Keep stored results out of every label made from here on, and say why; they are not deleted."""
        measured.discard(self._database, job_ids, reason, time.time())

    def discarded(self) -> dict[str, str]:
        """Why each discarded result was, by job id."""
        return measured.discarded(self._database)

    def discards(self) -> list[DiscardRecord]:
        """Every discarded result with the reason and the time, in the order they were discarded."""
        return measured.discards(self._database)

    def add_label(
        self, label: LatencyLabel, purpose: str, device_id: str, context: DeviceContext | None
    ) -> None:
        """Store the label made of a model's results; it replaces one of the same purpose and context."""
        measured.add_label(
            self._database, label, purpose=purpose, device_id=device_id, context=context, run_id=self._run_id
        )

    def latency_labels(self, purpose: str = "latency") -> list[tuple[Architecture | None, LatencyLabel]]:
        """Labels of every outcome, in sampled order; ``None`` stands for a file without a layer plan."""
        return [(stored.architecture, stored.label) for stored in self.stored_labels(purpose)]

    def stored_labels(self, purpose: str | None = "latency") -> list[StoredLabel]:
        """Labels with their export, device and context; ``None``: of every purpose."""
        return measured.labels(self._database, purpose)

    def add_accuracy(self, record: AccuracyRecord) -> None:
        """Store one training; the same network, seed, recipe and data again is left as it was.

        Raises StudyError for an accuracy outside [0, 1], and where no architecture of the space is known.
        """
        trained.add(self._database, record, self._run_id)

    def accuracies(self) -> list[AccuracyRecord]:
        """Every training, failed ones too, in the order they were stored."""
        return trained.records(self._database)

    def accuracy_keys(self) -> set[tuple[str, int, str, str]]:
        """(plan hash, seed, recipe fingerprint, data fingerprint) of every training."""
        return trained.keys(self._database)

    def add_failure(self, stage: str, subject: str, message: str) -> None:
        """Store what did not work outside a measurement, e.g. an export, by the hash of its subject."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO failure (stage, subject, message, at_unix_s, run_id) VALUES (?, ?, ?, ?, ?)",
                (stage, subject, message, time.time(), self._run_id),
            )

    def failures(self, stage: str | None = None) -> list[FailureRecord]:
        """What did not work (in ``stage``), oldest first."""
        return measured.failures(self._database, stage)

    def canaries(self) -> list[ProcessResult]:
        """The canary's series: every result stored for the purpose "canary", in the order they started."""
        return [stored.result for stored in measured.results(self._database, purpose="canary")]

    def passes(self, measure_pass: MeasurePass) -> list[StoredPass]:
        """What "profile", "energy" or "sustained" last found, for each model and device."""
        return stored_passes(self._database, measure_pass)

    def labelled(
        self,
        target: Target,
        *,
        space: Space,
        context_fingerprint: str | None = None,
        resolution: int | None = None,
        classes: int | None = None,
        recipe: str | None = None,
        device: str | None = None,
        model_format: str | None = None,
        precision: str | None = None,
        converter: str | None = None,
        minimum: int = 1,
    ) -> LabelledSet:
        """The labels for ``target`` of this study's own sample, ready for a predictor.

        Latencies are those of outcome OK or UNSTABLE measured for the purpose "latency" (never a
        verification's); an accuracy is the mean over its seeds. Labels made under different conditions are
        never mixed.

        Parameters
        ----------
        target : "latency_ms" or "accuracy"
        space : Space
        context_fingerprint, resolution, classes : optional
            Take only the labels of this device context and task.
        recipe : str, optional
            Take only the accuracies of this recipe fingerprint.
        device : str, optional
            Take only the latencies of this device, by its name or id. Without one, labels of several boards
            are taken together where their contexts are equal and their canaries agree; a network measured on
            several has the median of its labels.
        model_format, precision, converter : str, optional
            Take only the latencies of such model files.
        minimum : int
            How many labels there must be.

        Raises
        ------
        StudyError
            The study mixes contexts, tasks, converters, recipes or data: the fields that differ are named.
            Or it mixes boards that disagree, or does not know the device.
        NotEnoughDataError
            Fewer than ``minimum`` labels are there.
        """
        conditions = labelling.Conditions(
            context_fingerprint,
            resolution,
            classes,
            recipe,
            device,
            model_format,
            precision,
            converter,
        )
        if target == "latency_ms":
            return labelling.latency(self._database, space, conditions, minimum)
        return labelling.accuracy(self._database, space, conditions, minimum)

    def describe(self) -> summary.StudySummary:
        """Counts, duplicates, outliers, repeat noise, canary drift and coverage of the space."""
        return summary.summarise(self._database)

    def export_csv(self, folder: Path, *, licence: str = "unspecified") -> list[Path]:
        """Write the study as CSV tables with a JSON data sheet; the files written are returned."""
        return tables.write(self._database, self.runs(), folder, licence)
