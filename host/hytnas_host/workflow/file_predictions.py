"""Predictions for model files of any origin, by the predictor that a study keeps."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hytnas_datasets.spaces import get_space
from hytnas_host.collect.files import find_models, one_kind
from hytnas_host.export.shapes import AS_THEY_ARE, WantedShapes
from hytnas_host.export.target import ModelKind
from hytnas_host.export.work import read_work
from hytnas_host.workflow.predictors import load_trained, trained_info
from hytnas_predictors.errors import PredictorMismatchError
from hytnas_predictors.estimators.layerwise import LayerwiseEstimator
from hytnas_predictors.explanation import layerwise_estimator
from hytnas_predictors.graph_predictions import (
    GraphExplanation,
    GraphPrediction,
    explain_graph,
    predict_graphs,
)
from hytnas_predictors.predictor import PredictorInfo


@dataclass(frozen=True)
class FilePredictions:
    """What was predicted of some files.

    Attributes
    ----------
    info : PredictorInfo
        Of the predictor.
    files : tuple of n Path
    predictions : tuple of n GraphPrediction
    """

    info: PredictorInfo
    files: tuple[Path, ...]
    predictions: tuple[GraphPrediction, ...]


def predict_files(
    study: Path,
    target: str,
    files: Sequence[Path],
    *,
    force: bool = False,
    wanted: WantedShapes = AS_THEY_ARE,
) -> FilePredictions:
    """Predict the label of ONNX or TFLite files, all of one format and precision, without running them.

    Parameters
    ----------
    study : Path
    target : str
    files : sequence of Path
        Folders stand for the model files in them.
    force : bool
        Predict in spite of a format or precision other than that of the labels.
    wanted : WantedShapes
        What open inputs of ONNX files are fixed to.

    Raises
    ------
    ResultFileError
        The study has no predictor for the target.
    PredictorError
        It is no layer-wise one.
    PredictorMismatchError
        The labels are of files of another format or precision.
    CollectError
        There is no such file, or they are of several kinds.
    ModelFileError
        A file cannot be read.
    """
    info, estimator, found = _open(study, target, files, force=force)
    works = [read_work(path, wanted) for path in found]
    return FilePredictions(info, tuple(found), tuple(predict_graphs(estimator, works)))


def explain_file(
    study: Path, target: str, file: Path, *, force: bool = False, wanted: WantedShapes = AS_THEY_ARE
) -> tuple[PredictorInfo, GraphExplanation]:
    """What the study's predictor was fitted to, and its prediction for one file, operator by operator.

    Raises as `predict_files`.
    """
    info, estimator, (path,) = _open(study, target, [file], force=force)
    return info, explain_graph(estimator, read_work(path, wanted))


def _open(
    study: Path, target: str, files: Sequence[Path], *, force: bool
) -> tuple[PredictorInfo, LayerwiseEstimator, list[Path]]:
    """The predictor, and the model files, which fit it."""
    info = trained_info(study, target)
    estimator = layerwise_estimator(load_trained(study, target, get_space(info.space), force=force))
    kind, chosen = one_kind(find_models(list(files)))
    if not force:
        _check_kind(info, kind)
    return info, estimator, chosen


def _check_kind(info: PredictorInfo, kind: ModelKind) -> None:
    made = info.context.model_files
    if made is not None and (made.format, made.precision) != (kind.format, kind.precision):
        raise PredictorMismatchError(
            f"the files are {kind}, and the predictor was fitted to labels of {made.format} {made.precision}",
            "Fit one to labels of such files, or use this one with --force.",
            fields=("format", "precision"),
        )
