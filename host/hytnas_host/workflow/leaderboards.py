"""Leaderboards of a study."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from hytnas_host.devices.quiet import host_work
from hytnas_host.study_files import StudyFiles, check_json_replaceable, write_json
from hytnas_host.workflow.file_labels import read_any_labels
from hytnas_host.workflow.labels import ANY, LabelChoice
from hytnas_predictors.leaderboard import build_leaderboard
from hytnas_predictors.progress import ProgressFactory, SilentProgress
from hytnas_predictors.result import Leaderboard

CURVE_SAMPLES: Final = 5
"""Random samples for each point of a learning curve, where nobody asks for another number."""


def make_leaderboard(
    study: Path,
    target: str,
    space: str,
    *,
    estimators: Sequence[str] | None = None,
    folds: int = 5,
    repeats: int = 3,
    seed: int = 0,
    choice: LabelChoice = ANY,
    with_files: bool = False,
    curve_samples: int = CURVE_SAMPLES,
    progress: ProgressFactory = SilentProgress,
) -> Leaderboard:
    """Compare the predictors on the chosen labels and write ``leaderboard-<target>.json``.

    ``with_files`` adds the labels of model files from elsewhere.

    Raises
    ------
    StudyError, NotEnoughDataError, DataSetError
        See `read_any_labels` and `build_leaderboard`.
    ResultFileError
        A file of that name is there that is no leaderboard.
    """
    path = StudyFiles(study).leaderboard(target)
    check_json_replaceable(path, Leaderboard)
    labels, more = read_any_labels(study, target, space, choice, with_files=with_files)
    with host_work():
        board = build_leaderboard(
            labels,
            more=more,
            estimators=estimators,
            folds=folds,
            repeats=repeats,
            seed=seed,
            edges=True,
            curve_samples=curve_samples,
            progress=progress,
        )
    write_json(path, board)
    return board
