"""Latencies of model files from elsewhere, as rows of work that a layer-wise predictor is fitted to."""

from pathlib import Path

import numpy as np

from hytnas_datasets.errors import NotEnoughDataError, StudyError
from hytnas_datasets.families import task_for
from hytnas_datasets.label_context import LabelContext, describe
from hytnas_datasets.labelled import LabelledSet
from hytnas_datasets.quality_flags import DOUBTS, flags_of
from hytnas_datasets.spaces import Space, get_space
from hytnas_datasets.store import Purpose, Study
from hytnas_datasets.store.exports import file_of
from hytnas_datasets.store.labels import StoredLabel
from hytnas_datasets.targets import LATENCY
from hytnas_host.export.work import read_work
from hytnas_host.workflow.labels import LabelChoice, read_labels
from hytnas_predictors.errors import PredictorError
from hytnas_predictors.predictor import WorkRows


def read_any_labels(
    study: Path, target: str, space: str, choice: LabelChoice, *, with_files: bool
) -> tuple[LabelledSet, WorkRows | None]:
    """The chosen labels of networks, ``with_files`` those of model files as well.

    Raises as `read_labels` and `read_labels_and_files`.
    """
    if with_files:
        return read_labels_and_files(study, target, space, choice)
    return read_labels(study, target, space, choice), None


def read_labels_and_files(
    study: Path, target: str, space: str, choice: LabelChoice
) -> tuple[LabelledSet, WorkRows]:
    """The chosen labels of networks, and those of model files (`collect latency --models`) made like them.

    A study of files alone has no labels of networks: the set is empty then, and says what the files' labels
    depend on. Files with operators that are not known are left out.

    Raises
    ------
    PredictorError
        The target is not the latency.
    StudyError
        Labels of files were made under different conditions, among each other or than those of the networks.
    NotEnoughDataError
        There is no label of a file whose operators are all known.
    ModelFileError
        A file of the study cannot be read.
    """
    if target != LATENCY.name:
        raise PredictorError(
            f"labels of model files are latencies, not {target}", f"Choose --target {LATENCY.name}."
        )
    stored = _file_labels(study, choice)
    try:
        labelled = read_labels(study, target, space, choice)
    except NotEnoughDataError:
        if not stored:
            raise
        labelled = _none_of(get_space(space), stored[0])
    for each in stored:
        _refuse_other_conditions(labelled.context, each)
    doubtful = [each for each in stored if choice.stable_only and flags_of(each.label) & DOUBTS]
    works = {
        each.export.sha256: read_work(file_of(study, each.export.path))
        for each in stored
        if each not in doubtful
    }
    known = [each for each in stored if each not in doubtful and not works[each.export.sha256].unknown]
    if not known:
        raise NotEnoughDataError(
            "the study holds no latency of a model file whose operators are all known",
            "Measure some with: hytnas-profile collect latency --models FOLDER",
        )
    return labelled, WorkRows(
        x=np.array([works[each.export.sha256].columns for each in known]),
        y=np.array([each.label.median_ms for each in known], dtype=np.float64),
        names=tuple(each.export.file_names[0] for each in known),
        repeats=tuple(np.array(each.label.process_medians_ms, dtype=np.float64) for each in known),
        quality_flags=tuple(flags_of(each.label) for each in known),
        left_out=tuple(flags_of(each.label) for each in doubtful),
    )


def _file_labels(study: Path, choice: LabelChoice) -> list[StoredLabel]:
    with Study.open(study, create=False) as opened:
        names = opened.devices.names()
        return [
            stored
            for stored in opened.labels.all(Purpose.LATENCY)
            if stored.export.plan_hash is None and stored.label.usable
            if choice.device in (None, stored.device_id, names.get(stored.device_id))
            if choice.model_format in (None, stored.export.format)
            if choice.precision in (None, stored.export.precision)
        ]


def _none_of(space: Space, stored: StoredLabel) -> LabelledSet:
    """No label of a network, in the context of a file's."""
    context = LabelContext(task_for(space), stored.export.model_files, stored.context)
    return LabelledSet(
        space=space,
        architectures=(),
        plan_hashes=(),
        y=np.empty(0),
        repeats=(),
        target=LATENCY,
        context=context,
        provenance=LATENCY.how,
    )


def _refuse_other_conditions(context: LabelContext, stored: StoredLabel) -> None:
    """Raise StudyError where the file's label contradicts the context."""
    other = LabelContext(context.task, stored.export.model_files, stored.context)
    if conflicts := context.conflicts(other):
        raise StudyError(
            f"labels of model files were made under other conditions than the rest ({describe(conflicts)})",
            "Choose some with --device, --format or --precision",
        )
