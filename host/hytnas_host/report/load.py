"""Read a study folder into report data: the store and the JSON results beside it."""

import datetime
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import msgspec
import numpy as np

from hytnas_agent import __version__
from hytnas_agent.label import made_of
from hytnas_agent.records import (
    EXECUTION_WORDS,
    EXTRA_PASSES,
    LatencyLabel,
    MeasurePass,
    Outcome,
    ProcessResult,
)
from hytnas_datasets.errors import SpaceError
from hytnas_datasets.sharing import Places
from hytnas_datasets.spaces import Architecture, Choice, Space, get_space
from hytnas_datasets.store import STUDY_FILE, Purpose, Study
from hytnas_datasets.store.records import AccuracyRecord
from hytnas_datasets.store.summary import StudySummary
from hytnas_datasets.targets import TARGETS
from hytnas_host.report.data import (
    AccuracyTraining,
    DataSheet,
    Failure,
    ModelSpread,
    ReportData,
    StageTime,
    VariableCoverage,
    behind,
)
from hytnas_host.report.drift import canary_series
from hytnas_host.report.passes import pass_data
from hytnas_host.report.words import percent, plural
from hytnas_host.search.result import SearchResult, Verification
from hytnas_host.study_files import StudyFiles, read_json_if_there
from hytnas_predictors.result import Leaderboard

NORMAL_MAD: Final = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""


class StageTimes(msgspec.Struct, frozen=True):
    """What the report reads of ``run.json``. A stage still running is the one that writes the report."""

    stages: tuple[StageTime, ...]


def load_report_data(study_folder: Path, *, keep_hostnames: bool = True) -> ReportData:
    """Everything the report shows of the study in ``study_folder``; parts that were not made yet stay empty.

    Raises
    ------
    StudyError
        There is neither a store nor a result in the folder, or the store cannot be read.
    ResultFileError
        A result file is damaged or too large; the message names it and the command that makes it again.
    """
    files = StudyFiles(study_folder)
    boards = [
        board
        for target in TARGETS
        if (board := read_json_if_there(files.leaderboard(target), Leaderboard)) is not None
    ]
    search = read_json_if_there(files.search, SearchResult)
    verification = read_json_if_there(files.verification, Verification)
    journal = read_json_if_there(files.run, StageTimes)
    derived = bool(boards or search or verification or journal)
    with _stored(study_folder, derived=derived) as study:
        summary = study.describe()
        runs = study.runs.all()
        devices = study.devices.all()
        labels = study.labels.all(Purpose.LATENCY)
        results = study.results.by_job(Purpose.LATENCY)
        accuracies = study.accuracies.all()
        discards = study.results.discards()
        timed = [result for purpose in summary.jobs for result in timed_results(study, purpose)]
        canaries = study.results.canaries()
        names = study.devices.names()
        stage_failures = study.failures.all()
        passes = {name: study.passes.last(name) for name in EXTRA_PASSES}
        measured = {s.export.sha256: s.label for s in study.labels.all()}
    spaces = Spaces(files)
    named = [(spaces.name(s.architecture, s.export.sha256), s.label) for s in labels]
    failures = [
        Failure(name, label.outcome, label.message) for name, label in named if label.median_ms is None
    ]
    failures += [Failure(f.subject, f.stage, f.message) for f in stage_failures]
    shown = [name for name, _ in named]
    shown += [name for board in boards for name in board.architectures]
    shown += [member.architecture for member in ((*search.front, *behind(search)) if search else ())]
    shown += [row.architecture for row in (verification.rows if verification else ())]
    shown += [spaces.name(s.architecture, s.export.sha256) for some in passes.values() for s in some]
    data = ReportData(
        study=study_folder.resolve().name,
        version=__version__,
        started=_date(runs[0].started_unix_s) if runs else None,
        device=devices[-1] if devices else None,
        search=search,
        verification=verification,
        leaderboards=tuple(boards),
        spreads=tuple(
            model_spread(name, label, made_of(label, results))
            for name, label in named
            if label.median_ms is not None
        ),
        canary=canary_series(canaries, names, timed, discards),
        stages=tuple(stage for stage in journal.stages if stage.status != "running") if journal else (),
        training=accuracy_training(accuracies, summary),
        sheet=data_sheet(summary, tuple(failures)),
        choices=spaces.choices(shown, _space_names(boards, search, [s.architecture for s in labels])),
        commands=tuple(dict.fromkeys(run.command for run in runs)),
        settings=_named_values(runs[-1].config) if runs else (),
        environment=_named_values(runs[-1].environment) if runs else (),
        passes=pass_data(
            passes,
            lambda stored: spaces.name(stored.architecture, stored.export.sha256),
            {sha: label.median_ms for sha, label in measured.items() if label.median_ms is not None},
            {sha for sha, label in measured.items() if label.outcome is Outcome.UNSTABLE},
        ),
        qualities=summary.qualities,
    )
    return data if keep_hostnames else _shared(data, Places(device.identity.hostname for device in devices))


def _shared(data: ReportData, places: Places) -> ReportData:
    """The data without host names, user names and places on a disk."""
    failures = tuple(
        replace(failure, model=places.text(failure.model), message=places.text(failure.message))
        for failure in data.sheet.failures
    )
    device = data.device
    if device is not None:
        identity = msgspec.structs.replace(device.identity, hostname="")
        device = msgspec.structs.replace(device, identity=identity, spool_path="")
    return replace(
        data,
        device=device,
        sheet=replace(data.sheet, failures=failures),
        commands=tuple(places.text(command) for command in data.commands),
        settings=tuple((name, places.text(value)) for name, value in data.settings),
        environment=tuple((name, places.text(value)) for name, value in data.environment),
    )


@contextmanager
def _stored(study_folder: Path, *, derived: bool) -> Iterator[Study]:
    """The study's store; an empty one where its results were ``derived`` from data sets alone."""
    if derived and not (study_folder / STUDY_FILE).is_file():
        with TemporaryDirectory() as folder, Study.open(folder) as study:
            yield study
        return
    with Study.open(study_folder, create=False) as study:
        yield study


def _named_values(values: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """Names and values of a configuration as text, lists joined by commas."""
    return tuple(
        (name.replace("_", " "), ", ".join(map(str, value)) if isinstance(value, list) else str(value))
        for name, value in values.items()
    )


def _date(unix_s: float) -> str:
    return datetime.datetime.fromtimestamp(unix_s, tz=datetime.UTC).date().isoformat()


def _space_names(
    boards: Sequence[Leaderboard], search: SearchResult | None, architectures: Sequence[Architecture | None]
) -> list[str]:
    names = [board.space for board in boards] + ([search.space] if search else [])
    names += [architecture.space for architecture in architectures if architecture is not None]
    return list(dict.fromkeys(names))


class Spaces:
    """The spaces of a study by name, the one that was searched from the study's own file.

    One that this machine does not know any more is no reason to fail.
    """

    def __init__(self, files: StudyFiles) -> None:
        self._known: dict[str, Space | None] = {}
        if files.searched_space.is_file():
            with suppress(SpaceError):
                get_space(files.searched_space)

    def get(self, name: str) -> Space | None:
        """The space, or ``None`` where this machine does not know it."""
        if name not in self._known:
            try:
                self._known[name] = get_space(name)
            except SpaceError:
                self._known[name] = None
        return self._known[name]

    def name(self, architecture: Architecture | None, sha256: str) -> str:
        """The architecture's id, or the beginning of the file's hash."""
        space = self.get(architecture.space) if architecture is not None else None
        if architecture is None or space is None:
            return f"file {sha256[:12]}"
        return space.format(architecture)

    def choices(self, names: Sequence[str], spaces: Sequence[str]) -> dict[str, tuple[tuple[str, str], ...]]:
        """The choices of every id that one of the spaces can read."""
        found: dict[str, tuple[tuple[str, str], ...]] = {}
        for name in dict.fromkeys(names):
            for space in filter(None, map(self.get, spaces)):
                try:
                    found[name] = describe_choices(space, space.parse(name))
                except SpaceError:
                    continue
                break
        return found


def describe_choices(space: Space, architecture: Architecture) -> tuple[tuple[str, str], ...]:
    """One (stage, choices) line a stage, in the order of the space: ``("stage1", "blocks 2, expand 4")``."""
    stages: dict[str, list[str]] = {}
    for name, value in space.values(architecture).items():
        stage, _, variable = name.rpartition(".")
        stages.setdefault(stage, []).append(f"{variable.replace('_', ' ')} {choice_words(value)}")
    return tuple((stage or "all", ", ".join(words)) for stage, words in sorted(stages.items()))


def choice_words(value: Choice) -> str:
    """A choice without superfluous decimals."""
    return value if isinstance(value, str) else f"{value:g}"


def model_spread(name: str, label: LatencyLabel, processes: Sequence[ProcessResult]) -> ModelSpread:
    """Spread inside and between the processes that make a label. See ``ModelSpread`` for the definitions."""
    assert label.median_ms is not None
    inside = []
    for result in processes:
        samples = np.array(result.counted_ms)
        if samples.size >= 2 and np.median(samples) > 0:
            mad = np.median(np.abs(samples - np.median(samples)))
            inside.append(100 * NORMAL_MAD * float(mad) / float(np.median(samples)))
    medians = np.array(label.process_medians_ms)
    between = 100 * float(np.std(np.log(medians), ddof=1)) if medians.size >= 2 else None
    half = None
    if label.ci_low_ms is not None and label.ci_high_ms is not None:
        half = 100 * (label.ci_high_ms - label.ci_low_ms) / 2 / label.median_ms
    within = float(np.median(inside)) if inside else None
    return ModelSpread(
        name, label.median_ms, within, between, half, label.outcome.value, label.too_few_undisturbed
    )


def timed_results(study: Study, purpose: str) -> list[ProcessResult]:
    """What the timed processes of a purpose measured."""
    stored = (result for results in study.results.by_model(purpose).values() for _, result in results)
    return [result for result in stored if result.measure_pass == MeasurePass.TIMED]


def accuracy_training(records: Sequence[AccuracyRecord], summary: StudySummary) -> AccuracyTraining | None:
    """What the accuracy labels are, in the words of the recipe that made the newest of them."""
    good = [record for record in records if record.accuracy is not None]
    if not good:
        return None
    last = good[-1]
    facts = [
        ("Trainings", f"{len(good)}, {sum(record.seconds for record in good) / 60:.1f} minutes together"),
        ("Epochs", str(last.epochs)),
        ("Resolution", f"{last.task.resolution} \u00d7 {last.task.resolution} pixels"),
        ("Classes", str(last.task.classes)),
        ("Tested on", plural(last.test_images, "image")),
        ("Data fingerprint", last.data_fingerprint[:16]),
    ]
    if summary.accuracy_range is not None:
        low, high = summary.accuracy_range
        facts.insert(1, ("Accuracies", f"{percent(100 * low)} to {percent(100 * high)}"))
    return AccuracyTraining(
        last.label or "an unnamed recipe",
        summary.trained_networks,
        summary.repeated_trainings,
        summary.seed_noise,
        1 / last.task.classes,
        tuple(facts),
    )


def data_sheet(summary: StudySummary, failures: tuple[Failure, ...]) -> DataSheet:
    """Counts, duplicates, noise and coverage, in words."""
    facts = [
        (
            f"Sampled for {purpose}",
            f"{plural(number, 'architecture')}, {summary.networks[purpose]} distinct networks",
        )
        for purpose, number in summary.sampled.items()
    ]
    facts.append(("Model files", str(summary.exports)))
    facts += [(f"Processes for {purpose}", str(number)) for purpose, number in summary.jobs.items()]
    if summary.latency_range_ms is not None:
        low, high = summary.latency_range_ms
        words = " and ".join(EXECUTION_WORDS[execution] for execution in summary.executions)
        facts.append(("Latencies", f"{low:.3g} to {high:.3g} ms, {words}"))
    if summary.repeat_noise is not None:
        words = f"{percent(100 * summary.repeat_noise)} between processes, {summary.repeated_models} models"
        facts.append(("Repeat noise", words))
    if summary.canary_drift is not None:
        facts.append(("Canary drift", f"{percent(100 * summary.canary_drift)}, discarded ones left out"))
    facts.append(("Outlying processes", str(len(summary.outliers))))
    if summary.trainings:
        failed = f", {summary.failed_trainings} failed" if summary.failed_trainings else ""
        facts.append(("Trainings", f"{summary.trainings} of {summary.trained_networks} networks{failed}"))
    return DataSheet(
        facts=tuple(facts),
        outcomes=tuple(sorted(summary.outcomes.items(), key=lambda item: -item[1])),
        failures=failures,
        coverage=tuple(
            VariableCoverage(c.variable, tuple(choice_words(v) for v in c.choices), c.counts)
            for c in summary.coverage
        ),
    )
