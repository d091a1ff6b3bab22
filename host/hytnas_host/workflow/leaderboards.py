"""Leaderboards of a study."""

import errno
from collections.abc import Callable, Sequence
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

NOT_TO_BE_WRITTEN: Final = (errno.EROFS, errno.EACCES, errno.EPERM)


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
    say: Callable[[str], None] | None = None,
) -> Leaderboard:
    """Compare the predictors on the chosen labels and write ``leaderboard-<target>.json``.

    ``with_files`` adds the labels of model files from elsewhere. ``say`` is told in a line where the study is
    not to be written, so that the leaderboard is not kept; without it that is an error.

    Raises
    ------
    StudyError, NotEnoughDataError, DataSetError
        See `read_any_labels` and `build_leaderboard`.
    ResultFileError
        A file of that name is there that is no leaderboard.
    OSError
        It cannot be written.
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
            feature_sets=True,
            progress=progress,
        )
    try:
        write_json(path, board)
    except OSError as error:
        if say is None or error.errno not in NOT_TO_BE_WRITTEN:
            raise
        say(f"{path} is not kept: {error.strerror}")
    return board
