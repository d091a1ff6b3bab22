"""Fitted predictors of a study."""

from pathlib import Path

import msgspec
import numpy as np

from hytnas_datasets.label_context import LabelContext
from hytnas_datasets.spaces import Space
from hytnas_datasets.targets import LATENCY, get_target
from hytnas_host.devices.quiet import host_work
from hytnas_host.export.target import ExportTarget
from hytnas_host.study_files import ResultFileError, StudyFiles, read_json
from hytnas_host.workflow.file_labels import read_any_labels
from hytnas_host.workflow.labels import ANY, LabelChoice
from hytnas_predictors.persistence import load_predictor, read_info, save_predictor
from hytnas_predictors.predictor import Predictor, PredictorInfo, fit_predictor
from hytnas_predictors.recipes import LAYERWISE, default_estimator
from hytnas_predictors.result import Leaderboard


def best_predictor(study: Path, target: str, space: Space) -> str:
    """The name at the top of the study's leaderboard; the toolkit's default where there is none yet."""
    path = StudyFiles(study).leaderboard(target)
    if not path.is_file():
        return default_estimator(get_target(target), space)
    return read_json(path, Leaderboard).scores[0].predictor


def train_predictor(
    study: Path,
    target: str,
    space: str,
    *,
    name: str | None = None,
    seed: int = 0,
    choice: LabelChoice = ANY,
    with_files: bool = False,
) -> Path:
    """Fit a predictor to the chosen labels and save it; its folder is returned.

    ``with_files`` adds the labels of model files from elsewhere.

    Without a ``name`` it is the best of the leaderboard, and where there is none, `default_estimator`'s. It
    replaces one of the same target.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from hytnas_datasets.spaces import get_space
    >>> bundled = LabelChoice(data="bundled:hyt-icount-a53")
    >>> with TemporaryDirectory() as study:
    ...     _ = train_predictor(Path(study), "latency_ms", "hyt", name="lightgbm", choice=bundled)
    ...     load_trained(Path(study), "latency_ms", get_space("hyt")).info.labels
    430
    """
    labels, more = read_any_labels(study, target, space, choice, with_files=with_files)
    chosen = name or (LAYERWISE if with_files else best_predictor(study, target, labels.space))
    with host_work():
        predictor = fit_predictor(chosen, labels, rng=np.random.default_rng(seed), more=more)
    folder = StudyFiles(study).predictor(target)
    folder.parent.mkdir(parents=True, exist_ok=True)
    save_predictor(predictor, folder)
    return folder


def measured_target(study: Path) -> ExportTarget:
    """What the networks were exported to whose latencies the study's predictor was fitted to.

    That is ONNX where the predictor does not say; `load_trained` says what is wrong where there is none.
    """
    folder = StudyFiles(study).predictor(LATENCY.name)
    made = read_info(folder).context.model_files if folder.is_dir() else None
    if made is None:
        return ExportTarget()
    return msgspec.convert(
        {"format": made.format, "precision": made.precision, "converter": made.converter}, ExportTarget
    )


def load_trained(
    study: Path,
    target: str,
    space: Space,
    *,
    context: LabelContext | None = None,
    force: bool = False,
) -> Predictor:
    """The predictor that `train_predictor` saved; see `load_predictor` for what it is compared with.

    Raises
    ------
    ResultFileError
        There is none.
    PredictorMismatchError
        It was fitted for another space, task or device, or for model files made otherwise.
    """
    trained_info(study, target)
    folder = StudyFiles(study).predictor(target)
    return load_predictor(folder, space=space, context=context, force=force)


def trained_info(study: Path, target: str) -> PredictorInfo:
    """What the study's predictor for ``target`` was fitted to; raises ResultFileError where there is none."""
    folder = StudyFiles(study).predictor(get_target(target).name)
    if not folder.is_dir():
        raise ResultFileError(
            f"The study {study} has no predictor for {target}",
            f"Fit one with: hytnas-profile train --study {study} --target {target}",
        )
    return read_info(folder)
