"""A study: a folder with all that one search for networks measured, and the journal it is resumed from."""

from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from hytnas_datasets.errors import StudyError
from hytnas_datasets.labelled import LabelledSet
from hytnas_datasets.plan import Task
from hytnas_datasets.spaces import Space
from hytnas_datasets.store import labelling, summary
from hytnas_datasets.store.accuracies import Accuracies
from hytnas_datasets.store.architectures import Architectures
from hytnas_datasets.store.boards import Boards
from hytnas_datasets.store.database import Database
from hytnas_datasets.store.devices import Devices
from hytnas_datasets.store.exports import Exports, file_of
from hytnas_datasets.store.labels import Labels
from hytnas_datasets.store.passes import Passes
from hytnas_datasets.store.results import Results
from hytnas_datasets.store.runs import Failures, Runs
from hytnas_datasets.targets import get_target

STUDY_FILE = "study.sqlite"


class Study:
    """A study folder (``study.sqlite``, ``models/``, ``predictors/``, results as JSON), opened.

    What it holds is reached by kind: ``study.results.add(...)``, ``study.labels.all(Purpose.LATENCY)``. Every
    ``add`` is one durable transaction and idempotent: a process may be killed between any two of them and do
    its work again. One study may be open in several threads and processes.

    Attributes
    ----------
    folder : Path
        Where the study's files lie.
    path : Path
        The SQLite file.
    runs, failures : Runs, Failures
        The commands that wrote into the study, and what did not work in them outside a measurement.
    architectures : Architectures
        What was sampled, for each purpose.
    exports : Exports
        Model files.
    devices, boards : Devices, Boards
        What devices said about themselves, and whether those of one context agree.
    results, passes : Results, Passes
        What each process measured, and what the passes beside the timed one found.
    labels : Labels
        Latency labels, made of the results.
    accuracies : Accuracies
        Trained networks.
    """

    def __init__(self, path: Path, database: Database) -> None:
        self.path = path
        self.folder = path.parent
        self._database = database
        self.runs = Runs(database)
        self.failures = Failures(database)
        self.architectures = Architectures(database)
        self.exports = Exports(database)
        self.devices = Devices(database)
        self.boards = Boards(database)
        self.results = Results(database)
        self.passes = Passes(database)
        self.labels = Labels(database)
        self.accuracies = Accuracies(database)

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
        self.runs.close()
        self._database.close()

    def file(self, path: str) -> Path:
        """The file of the study at a path that a record of it gives, relative to the folder.

        Raises StudyError as `file_of`.
        """
        return file_of(self.folder, path)

    def labelled(
        self,
        target: str,
        *,
        space: Space,
        context_fingerprint: str | None = None,
        task: Task | None = None,
        recipe: str | None = None,
        device: str | None = None,
        model_format: str | None = None,
        precision: str | None = None,
        converter: str | None = None,
        minimum: int = 1,
    ) -> LabelledSet:
        """The labels for ``target`` of this study's own sample, ready for a predictor.

        What a device measured is taken of the study's own sample alone (never a verification's), latencies
        of outcome OK or UNSTABLE; an accuracy is the mean over its seeds. Labels made under different
        conditions are never mixed.

        Parameters
        ----------
        target : str
            The name of a target, see `hytnas_datasets.targets`.
        space : Space
        context_fingerprint, task : optional
            Take only the labels of this device context and task.
        recipe : str, optional
            Take only the accuracies of this recipe fingerprint.
        device : str, optional
            Take only the labels of this device, by its name or id. Without one, labels of several boards
            are taken together where their contexts are equal and their canaries agree; a network measured on
            several has the median of its labels.
        model_format, precision, converter : str, optional
            Take only the labels of such model files.
        minimum : int
            How many labels there must be.

        Raises
        ------
        StudyError
            The study mixes contexts, tasks, converters, recipes or data: the fields that differ are named.
            Or it mixes boards that disagree, or does not know the device.
        DataSetError
            There is no such target.
        NotEnoughDataError
            Fewer than ``minimum`` labels are there.
        """
        conditions = labelling.Conditions(
            context_fingerprint,
            task,
            recipe,
            device,
            model_format,
            precision,
            converter,
        )
        return labelling.labelled_set(self._database, get_target(target), space, conditions, minimum)

    def describe(self) -> summary.StudySummary:
        """Counts, duplicates, outliers, repeat noise, canary drift and coverage of the space."""
        return summary.summarise(self._database)

    def export_tables(
        self,
        folder: Path,
        *,
        licence: str = "unspecified",
        table_format: Literal["csv", "parquet"] = "csv",
        keep_hostnames: bool = False,
    ) -> list[Path]:
        """Write the study as tables with a JSON data sheet; the files written are returned.

        Host names, user names and places on a disk are left out unless ``keep_hostnames``.
        """
        from hytnas_datasets.store import tables  # noqa: PLC0415  pandas takes a while to import

        return tables.write(
            self._database, self.runs.all(), folder, licence, table_format, keep_hostnames=keep_hostnames
        )
