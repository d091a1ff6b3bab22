"""Leaderboards of a study."""

from pathlib import Path

from hytnas_datasets.labelled import Target
from hytnas_host.devices.quiet import host_work
from hytnas_host.progress import ProgressFactory, SilentProgress
from hytnas_host.workflow.files import StudyFiles, write_json
from hytnas_host.workflow.labels import read_labels
from hytnas_predictors.leaderboard import build_leaderboard
from hytnas_predictors.result import Leaderboard


def make_leaderboard(
    study: Path,
    target: Target,
    space: str,
    *,
    folds: int = 5,
    repeats: int = 3,
    seed: int = 0,
    device: str | None = None,
    data: str | None = None,
    progress: ProgressFactory = SilentProgress,
) -> Leaderboard:
    """Compare the predictors on the study's labels (of ``device``) and write ``leaderboard-<target>.json``.

    With ``data`` the labels are those of a data set in files; see `read_labels`.

    Raises
    ------
    StudyError, NotEnoughDataError, DataSetError
        See `read_labels` and `build_leaderboard`.
    """
    labels = read_labels(study, target, space, device, data=data)
    with host_work():
        board = build_leaderboard(labels, folds=folds, repeats=repeats, seed=seed, progress=progress)
    write_json(StudyFiles(study).leaderboard(target), board)
    return board
