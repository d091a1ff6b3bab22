"""A predictor for a device from a few labels: networks chosen, measured, and fitted with a prior."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hytnas_datasets.bundled import PREFIX, set_folder
from hytnas_datasets.errors import NotEnoughDataError, StudyError
from hytnas_datasets.families import get_family
from hytnas_datasets.labelled import LabelledSet
from hytnas_datasets.plan import Task
from hytnas_datasets.portable import DATA_SHEET, read_set
from hytnas_datasets.spaces import Architecture, Space, get_space
from hytnas_datasets.store import Purpose, Study
from hytnas_datasets.targets import LATENCY
from hytnas_host.collect.errors import CollectError
from hytnas_host.collect.latency import measure_architectures
from hytnas_host.collect.options import MeasureOptions
from hytnas_host.devices.base import Device
from hytnas_host.devices.quiet import host_work
from hytnas_host.study_files import StudyFiles
from hytnas_host.workflow.labels import LabelChoice, read_labels
from hytnas_predictors.design import choose_networks
from hytnas_predictors.persistence import FILE, load_predictor, read_info, save_predictor
from hytnas_predictors.predictor import Predictor, fit_predictor
from hytnas_predictors.progress import ProgressFactory, SilentProgress
from hytnas_predictors.transfer import check_prior, check_space, transfer_predictor

OpenDevice = Callable[[], AbstractContextManager[tuple[Device, MeasureOptions]]]


@dataclass(frozen=True)
class Transfer:
    """What a transfer made.

    Attributes
    ----------
    folder : Path
        Where the predictor is kept.
    predictor : Predictor
    measured : int
        Networks that got their label in this call.
    """

    folder: Path
    predictor: Predictor
    measured: int


def read_prior(source: str, space: str, *, seed: int = 0) -> Predictor:
    """The predictor of the other device.

    Parameters
    ----------
    source : str
        A data set (``bundled:NAME`` or its folder) or a study, to whose labels ``layerwise`` is fitted; or
        the folder of a predictor.
    space : str
        The space of a study's labels.

    Raises
    ------
    CollectError
        There is none of these.
    PredictorError
        The predictor cannot be a prior.
    DataSetError, StudyError, NotEnoughDataError
        The labels cannot be read, are of several kinds, or too few.

    Examples
    --------
    >>> read_prior("bundled:hyt-icount-a53", "hyt").info.labels
    430
    """
    folder = Path(source)
    if (folder / FILE).is_file():
        info = read_info(folder)
        prior = load_predictor(folder, space=get_space(info.space))
    else:
        with host_work():
            prior = fit_predictor("layerwise", _read_source(source, space), rng=np.random.default_rng(seed))
    check_prior(prior, LATENCY.name)
    return prior


def transfer_to_device(
    study: Study,
    prior: Predictor,
    open_device: OpenDevice,
    *,
    n: int,
    space: Space,
    task: Task | None,
    choice: LabelChoice,
    seed: int,
    progress: ProgressFactory = SilentProgress,
) -> Transfer:
    """Measure chosen networks until the study holds labels of ``n``, fit, and keep the predictor there.

    Killed anywhere and called again, it goes on where it was. Labels that the study holds count, whoever
    chose their networks; where they are enough the device is not asked.

    Parameters
    ----------
    prior : Predictor
        See `read_prior`.
    open_device : callable
        Opens the device and says how to measure on it.
    n : int
        Networks in all.
    task : Task or None
        Of the networks that are measured; by default that of the study's labels, or else the space's own.
    choice : LabelChoice
        Which labels of the study are the device's.
    seed : int
        Of the choice of networks and of the fit.

    Raises
    ------
    CollectError, DeviceError
        The device cannot be measured on.
    NotEnoughDataError
        Fewer than 4 labels came of it.
    PredictorError, StudyError
    """
    if n < 1:
        raise CollectError(f"n is {n}", "give at least one network")
    check_space(space)
    labelled = _labels_of(study, space, choice)
    held = _networks_of(labelled)
    if held < n:
        task = task or (get_family(space.family).default_task if labelled is None else labelled.context.task)
        wanted = _wanted(study, space, task, n, seed)
        with open_device() as (device, options):
            measure_architectures(
                study, [device], wanted, task, purpose=Purpose.LATENCY, options=options, progress=progress
            )
        labelled = _labels_of(study, space, choice)
    if labelled is None:
        raise NotEnoughDataError(
            f"none of the {n} chosen networks has a latency", "See why with: hytnas-profile dataset describe"
        )
    with host_work():
        predictor = transfer_predictor(prior, labelled, rng=np.random.default_rng(seed))
    folder = StudyFiles(study.folder).predictor(LATENCY.name)
    folder.parent.mkdir(parents=True, exist_ok=True)
    save_predictor(predictor, folder)
    return Transfer(folder, predictor, _networks_of(labelled) - held)


def _wanted(study: Study, space: Space, task: Task, n: int, seed: int) -> Sequence[Architecture]:
    """The study's sample, filled up to ``n`` networks with those that tell most beside it."""
    sampled = [a for a, _ in study.architectures.of(Purpose.LATENCY) if a.space == space.name]
    missing = max(n - len(sampled), 0)
    rng = np.random.default_rng([seed, len(sampled)])
    return [*sampled[:n], *choose_networks(space, task, missing, rng, measured=sampled)]


def _networks_of(labelled: LabelledSet | None) -> int:
    return 0 if labelled is None else len(set(labelled.plan_hashes))


def _labels_of(study: Study, space: Space, choice: LabelChoice) -> LabelledSet | None:
    """The labels of the device that the study holds, ``None`` where there is none."""
    known = {stored.device_id for stored in study.labels.all(Purpose.LATENCY)}
    if choice.device not in {*known, *(name for key, name in study.devices.names().items() if key in known)}:
        return None
    try:
        return study.labelled(
            LATENCY.name,
            space=space,
            device=choice.device,
            model_format=choice.model_format,
            precision=choice.precision,
            converter=choice.converter,
        )
    except NotEnoughDataError:
        return None


def _read_source(source: str, space: str) -> LabelledSet:
    """The labels of a data set or of a study."""
    folder = Path(source)
    if source.startswith(PREFIX) or (folder / DATA_SHEET).is_file():
        return read_set(set_folder(source))
    try:
        return read_labels(folder, LATENCY.name, space)
    except StudyError as error:
        if folder.exists():
            raise
        raise CollectError(
            f"there is nothing to transfer from at {source}",
            "Name a data set (bundled:hyt-icount-a53), a study, or the folder of a predictor",
        ) from error
