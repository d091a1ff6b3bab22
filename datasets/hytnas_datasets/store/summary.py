"""What a study holds, in figures: counts, duplicates, outliers, noise, drift, coverage."""

from collections import Counter
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from hytnas_agent.label import counting, least_disturbed
from hytnas_agent.records import (
    EXECUTION_WORDS,
    Execution,
    MeasurePass,
    Outcome,
    ProcessResult,
)
from hytnas_datasets.store.accuracies import Accuracies
from hytnas_datasets.store.agreement import WANTED_PROCESSES
from hytnas_datasets.store.architectures import Architectures
from hytnas_datasets.store.attempts import LabelKey, attempts_of, label_key
from hytnas_datasets.store.boards import BoardAgreement, BoardCounts, Boards, count_boards
from hytnas_datasets.store.database import Database
from hytnas_datasets.store.devices import Devices
from hytnas_datasets.store.exports import Exports
from hytnas_datasets.store.labels import Labels, StoredLabel
from hytnas_datasets.store.quality import (
    LabelQuality,
    absent_probes,
    label_qualities,
    status_of,
)
from hytnas_datasets.store.records import AccuracyRecord, Purpose
from hytnas_datasets.store.results import Results, StoredResult
from hytnas_datasets.store.runs import Failures

OUTLIER_Z: Final = 3.5
"""Modified z-score above which a value is called an outlier (Iglewicz and Hoaglin, 1993)."""


class Coverage(msgspec.Struct, frozen=True):
    """How often each choice of a variable was sampled, in the order of its choices."""

    space: str
    variable: str
    choices: tuple[int | float | str, ...]
    counts: tuple[int, ...]


class Outlier(msgspec.Struct, frozen=True):
    """A process whose median stands far from those of its model's other processes."""

    job_id: str
    model_sha256: str
    purpose: str
    median_ms: float
    model_median_ms: float


class StudySummary(msgspec.Struct, frozen=True):
    """What a study holds; the canary's network is no sample of a space.

    ``repeat_noise`` is the pooled relative standard deviation of process medians within a label (a fraction),
    ``seed_noise`` the pooled standard deviation of accuracies within a network (a fraction of 1); ``None``
    where nothing was repeated. ``discarded`` counts processes that stand in no label because the canary
    showed that the device had changed speed. ``canary_drift`` is the largest departure of the canary's median
    from the median of its series, a fraction. ``duplicates`` counts architectures beyond the first of each
    network. ``verdicts`` counts timed processes that went well by what the device's health says of them, and
    ``unverified`` names the probes that a device did not have or that did not look. ``executions`` says how
    what was measured ran, from the most real to the least; ``kinds`` counts the model files of each format
    and precision. ``qualities`` says for each device what its labels rest on.
    """

    sampled: dict[str, int]
    networks: dict[str, int]
    duplicates: dict[str, int]
    exports: int
    kinds: dict[str, int]
    jobs: dict[str, int]
    outcomes: dict[str, int]
    labels: dict[str, dict[str, int]]
    trainings: int
    trained_networks: int
    failed_trainings: int
    failures: dict[str, int]
    outliers: tuple[Outlier, ...]
    repeat_noise: float | None
    repeated_models: int
    seed_noise: float | None
    repeated_trainings: int
    canaries: int
    canary_drift: float | None
    coverage: tuple[Coverage, ...]
    latency_range_ms: tuple[float, float] | None
    executions: tuple[Execution, ...]
    accuracy_range: tuple[float, float] | None
    boards: tuple[BoardCounts, ...]
    board_agreements: tuple[BoardAgreement, ...]
    discarded: int
    verdicts: dict[str, int]
    unverified: tuple[str, ...]
    qualities: tuple[LabelQuality, ...]


def summarise(database: Database) -> StudySummary:
    """Read the whole study once and count."""
    counts = Architectures(database).counts()
    purposes = {purpose: count for purpose, count in counts.items() if purpose != Purpose.CANARY}
    hashes = {purpose: [plan for _, plan in Architectures(database).of(purpose)] for purpose in purposes}
    results = Results(database).all()
    standing = Results(database).standing()
    exports = Exports(database).all()
    labels = Labels(database).all()
    trainings = Accuracies(database).all()
    failures = Failures(database).all()
    by_label = _medians_by_label(standing)
    by_network = _accuracies_by_network(trainings)
    noise, repeated_models = _pooled_spread([np.log(values) for values in by_label.values()])
    seed_noise, repeated_trainings = _pooled_spread(list(by_network.values()))
    drift = _canary_drift(standing)
    return StudySummary(
        sampled=purposes,
        networks={purpose: len(set(plans)) for purpose, plans in hashes.items()},
        duplicates={purpose: len(plans) - len(set(plans)) for purpose, plans in hashes.items()},
        exports=len(exports),
        kinds=dict(Counter(f"{export.format} {export.precision}" for export in exports)),
        jobs=dict(Counter(stored.purpose for stored in results)),
        outcomes=dict(Counter(stored.result.outcome.value for stored in results)),
        labels=_count_labels(labels),
        trainings=len(trainings),
        trained_networks=len(by_network),
        failed_trainings=sum(record.accuracy is None for record in trainings),
        failures=dict(sorted(Counter(failure.stage for failure in failures).items())),
        outliers=_outliers(standing),
        repeat_noise=noise,
        repeated_models=repeated_models,
        seed_noise=seed_noise,
        repeated_trainings=repeated_trainings,
        canaries=sum(stored.purpose == Purpose.CANARY for stored in results),
        canary_drift=drift,
        coverage=_coverage(database),
        latency_range_ms=_range(
            [
                stored.label.median_ms
                for stored in labels
                if stored.purpose == Purpose.LATENCY and stored.label.median_ms
            ]
        ),
        executions=_executions(results),
        accuracy_range=_range([record.accuracy for record in trainings if record.accuracy is not None]),
        boards=count_boards(database, results, labels),
        board_agreements=Boards(database).agreements(),
        discarded=len(results) - len(standing),
        verdicts=_verdicts(results),
        unverified=absent_probes(stored.result for stored in results),
        qualities=label_qualities(
            results, labels, Results(database).discards(), failures, Devices(database).names()
        ),
    )


def _verdicts(results: list[StoredResult]) -> dict[str, int]:
    """How many timed processes that went well the device's health lets stand in a label, and how many not."""
    timed = [stored.result for stored in results if stored.result.measure_pass == MeasurePass.TIMED]
    well = [result for result in timed if result.outcome is Outcome.OK]
    return dict(Counter(status_of(result) for result in well))


def _executions(results: list[StoredResult]) -> tuple[Execution, ...]:
    found = {stored.result.context.execution for stored in results if stored.result.context is not None}
    return tuple(execution for execution in EXECUTION_WORDS if execution in found)


def _timed_medians(results: list[StoredResult]) -> list[tuple[StoredResult, float]]:
    """Timed processes that went well, one of each, however often it was measured again.

    Of a model those that make its label. Of the canary the disturbed ones, too, where too few were not: a
    single one would show no drift.
    """
    groups: dict[LabelKey, list[ProcessResult]] = {}
    for stored in _of_processes(results):
        result = stored.result
        median_ms = result.median_ms
        if result.measure_pass != MeasurePass.TIMED or result.outcome is not Outcome.OK or median_ms is None:
            continue
        if np.isfinite(median_ms) and median_ms > 0:
            groups.setdefault(label_key(stored), []).append(result)
    standing: set[int] = set()
    for (_, purpose, *_), group in groups.items():
        few = sum(not result.is_disturbed for result in group) < WANTED_PROCESSES
        chosen = group if purpose == Purpose.CANARY and few else counting(group)
        standing.update(id(result) for result in chosen)
    return [
        (stored, stored.result.median_ms)
        for stored in results
        if id(stored.result) in standing and stored.result.median_ms is not None
    ]


def _of_processes(results: list[StoredResult]) -> list[StoredResult]:
    """What the attempts of each timed process came to."""
    chosen = {id(least_disturbed([s.result for s in of_one])) for of_one in attempts_of(results)}
    return [stored for stored in results if id(stored.result) in chosen]


def _medians_by_label(results: list[StoredResult]) -> dict[LabelKey, NDArray[np.float64]]:
    """Medians of OK timed processes by the label that they may stand in; the canary is apart."""
    groups: dict[LabelKey, list[float]] = {}
    for stored, median_ms in _timed_medians(results):
        if stored.purpose != Purpose.CANARY:
            groups.setdefault(label_key(stored), []).append(median_ms)
    return {key: np.array(values) for key, values in groups.items()}


def _accuracies_by_network(
    trainings: list[AccuracyRecord],
) -> dict[tuple[str, bytes, str], NDArray[np.float64]]:
    groups: dict[tuple[str, bytes, str], list[float]] = {}
    for record in trainings:
        if record.accuracy is not None:
            recipe = msgspec.json.encode(record.recipe, order="sorted")
            groups.setdefault((record.plan_hash, recipe, record.data_fingerprint), []).append(record.accuracy)
    return {key: np.array(values) for key, values in groups.items()}


def _pooled_spread(groups: list[NDArray[np.float64]]) -> tuple[float | None, int]:
    """Square root of the pooled within-group variance, and how many groups had repeats."""
    repeated = [values for values in groups if len(values) > 1]
    degrees = sum(len(values) - 1 for values in repeated)
    if not degrees:
        return None, 0
    squares = sum(float(np.sum((values - values.mean()) ** 2)) for values in repeated)
    return float(np.sqrt(squares / degrees)), len(repeated)


def _outliers(results: list[StoredResult]) -> tuple[Outlier, ...]:
    """Processes far from their label's median on the scale of the whole study's repeats (log ratio, MAD)."""
    medians = _medians_by_label(results)
    rows = []
    for stored, median_ms in _timed_medians(results):
        own = medians.get(label_key(stored))
        if own is not None and len(own) > 2:
            rows.append((stored, median_ms, float(np.median(own))))
    if not rows:
        return ()
    ratios = np.array([np.log(median_ms / model_ms) for _, median_ms, model_ms in rows])
    scale = float(np.median(np.abs(ratios)))
    if scale == 0.0:
        return ()
    scores = 0.6745 * np.abs(ratios) / scale
    return tuple(
        Outlier(stored.result.job_id, stored.model_sha256, stored.purpose, median_ms, model_ms)
        for (stored, median_ms, model_ms), score in zip(rows, scores, strict=True)
        if score > OUTLIER_Z
    )


def _canary_drift(results: list[StoredResult]) -> float | None:
    """Largest departure from its series' median, over those of each canary measured alike on each device."""
    series: dict[LabelKey, list[float]] = {}
    for stored, median_ms in _timed_medians(results):
        if stored.purpose == Purpose.CANARY:
            series.setdefault(label_key(stored), []).append(median_ms)
    drifts = [float(np.max(np.abs(np.array(s) / np.median(s) - 1.0))) for s in series.values() if len(s) > 1]
    return max(drifts, default=None)


def _count_labels(labels: list[StoredLabel]) -> dict[str, dict[str, int]]:
    """Outcomes by purpose; architectures that share a network share its label, which counts once."""
    counts: dict[str, Counter[str]] = {}
    distinct = {
        (stored.purpose, stored.export.sha256, stored.device_id, stored.context): stored for stored in labels
    }
    for stored in distinct.values():
        counts.setdefault(stored.purpose, Counter())[stored.label.outcome.value] += 1
    return {purpose: dict(counter) for purpose, counter in counts.items()}


def _coverage(database: Database) -> tuple[Coverage, ...]:
    """Counts over the distinct architectures of the study but for the canary, of spaces with any."""
    architectures = Architectures(database).all()
    covered = []
    for space in Architectures(database).spaces():
        codes = [architecture.indices for architecture in architectures if architecture.space == space.name]
        if not codes:
            continue
        for position, variable in enumerate(space.variables):
            counter = Counter(indices[position] for indices in codes if position < len(indices))
            counts = tuple(counter[index] for index in range(len(variable.choices)))
            covered.append(Coverage(space.name, variable.name, variable.choices, counts))
    return tuple(covered)


def _range(values: list[float]) -> tuple[float, float] | None:
    return (min(values), max(values)) if values else None
