"""Predictors on disk: ``predictor.json`` and the estimator's own safe files; nothing that could run code."""

import shutil
from pathlib import Path

import msgspec

from hytnas_datasets.label_context import LabelContext
from hytnas_datasets.spaces import Space
from hytnas_predictors.errors import PredictorError, PredictorMismatchError
from hytnas_predictors.estimators import estimator_class, files
from hytnas_predictors.features import make_features
from hytnas_predictors.predictor import Predictor, PredictorInfo

FILE = "predictor.json"
ESTIMATOR_FOLDER = "estimator"
FORMAT = 2
LIMIT_BYTES = 4 << 20


class _Saved(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: int
    info: PredictorInfo


def save_predictor(predictor: Predictor, folder: Path) -> None:
    """Write the predictor to ``folder``, replacing one that is there; an interruption leaves no half of it.

    Raises
    ------
    PredictorError
        If the folder holds something else, or cannot be written.

    Examples
    --------
    >>> import numpy as np
    >>> from tempfile import TemporaryDirectory
    >>> from hytnas_datasets.bundled import load
    >>> from hytnas_predictors.predictor import fit_predictor
    >>> labels = load("hyt-icount-a53")
    >>> predictor = fit_predictor("lightgbm", labels, rng=np.random.default_rng(0))
    >>> with TemporaryDirectory() as folder:
    ...     save_predictor(predictor, Path(folder) / "latency")
    ...     again = load_predictor(Path(folder) / "latency", space=labels.space)
    ...     read_info(Path(folder) / "latency").name
    'lightgbm'
    >>> some = labels.architectures[:3]
    >>> bool((again.predict(some).mean == predictor.predict(some).mean).all())
    True
    """
    folder = folder.resolve()  # a link to a folder elsewhere stays a link
    fresh = folder.with_name(f".{folder.name}.new")
    try:
        _check_replaceable(folder)
        _remove(fresh)
        fresh.mkdir(parents=True)
        saved = msgspec.json.encode(_Saved(FORMAT, predictor.info))
        (fresh / FILE).write_bytes(msgspec.json.format(saved, indent=1))
        predictor.estimator.save(fresh / ESTIMATOR_FOLDER)
        _remove(folder)
        fresh.rename(folder)
    except OSError as error:
        raise PredictorError(
            f"the predictor cannot be written to {folder} ({error.strerror})", "Make room or choose a folder."
        ) from error


def _check_replaceable(folder: Path) -> None:
    """Refuse to replace what holds something else too. Raises PredictorError and OSError."""
    found = {path.name for path in folder.iterdir()} if folder.exists() else set()
    others = found - ({FILE, ESTIMATOR_FOLDER} if FILE in found else set())
    if others:
        raise PredictorError(
            f"{folder} holds something that is no predictor: {min(others)}",
            "Choose another folder, or move that elsewhere.",
        )


def _remove(folder: Path) -> None:
    """Remove a predictor, also a part of one, and nothing else. Raises PredictorError and OSError."""
    _check_replaceable(folder)
    if folder.exists():
        if (folder / ESTIMATOR_FOLDER).exists():
            shutil.rmtree(folder / ESTIMATOR_FOLDER)
        (folder / FILE).unlink(missing_ok=True)  # the last, as it tells a part from something else
        folder.rmdir()


def load_predictor(
    folder: Path,
    *,
    space: Space,
    context: LabelContext | None = None,
    force: bool = False,
) -> Predictor:
    """Read a predictor for use in ``space`` and, where given, for labels of ``context``.

    Parameters
    ----------
    folder : Path
    space : Space
        The space that the architectures will come from.
    context : LabelContext, optional
        What the predicted labels are to hold for; what it or the predictor does not know is not compared.
    force : bool
        Load in spite of differences; ``Predictor.warnings`` then says what they are.

    Raises
    ------
    PredictorMismatchError
        If the space or the context differs; it names the fields.
    PredictorError
        If the files are damaged, or the features of this version differ from those that were fitted.
    """
    info = read_info(folder)
    differences = _differences(info, space)
    if context is not None:
        conflicts = info.context.conflicts(context)
        differences |= {name: f"{name} {old}, now {new}" for name, (old, new) in conflicts.items()}
    if differences and not force:
        raise PredictorMismatchError(
            f"the predictor in {folder} was fitted for something else: {'; '.join(differences.values())}",
            "Fit one to labels of this space and device, or use this one with --force where it is offered.",
            fields=tuple(differences),
        )
    names = make_features(space, (), info.context.task, info.features).names
    if names != info.feature_names:
        raise files.unusable(folder, "its features are not those that this version makes for the space")
    estimator = estimator_class(info.name).load(folder / ESTIMATOR_FOLDER)
    return Predictor(info, space, estimator, tuple(differences.values()))


def read_info(folder: Path) -> PredictorInfo:
    """What the predictor in ``folder`` was fitted to; raises PredictorError."""
    data = files.read_limited(folder / FILE, LIMIT_BYTES, folder)
    try:
        saved = msgspec.json.decode(data, type=_Saved)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise files.unusable(folder, f"{FILE} is not what it should be ({error})") from error
    if saved.format != FORMAT:
        raise files.unusable(folder, f"its format is {saved.format}, this version reads {FORMAT}")
    info = saved.info
    if not len(info.feature_names) == len(info.feature_low) == len(info.feature_high):
        raise files.unusable(folder, "its training range does not fit its features")
    return info


def _differences(info: PredictorInfo, space: Space) -> dict[str, str]:
    """Field and sentence where the space differs."""
    found = {}
    if space.name != info.space:
        found["space"] = f"space {info.space}, now {space.name}"
    elif space.hash() != info.space_hash:
        found["space_hash"] = (
            f"another version of the space {space.name} ({info.space_hash}, now {space.hash()})"
        )
    return found
