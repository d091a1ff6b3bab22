"""Collecting latencies until a predictor of them is good enough, of networks that tell much."""

from collections.abc import Callable, Sequence

import msgspec
import numpy as np

from hytnas_datasets.labelled import LabelledSet
from hytnas_datasets.plan import Task, build_plan, identity
from hytnas_datasets.spaces import Architecture, Space
from hytnas_datasets.store import Purpose, Study
from hytnas_datasets.targets import LATENCY
from hytnas_host.collect.errors import CollectError
from hytnas_host.collect.latency import collect_sample
from hytnas_host.collect.options import MeasureOptions
from hytnas_host.collect.sampling import Network, sample_networks
from hytnas_host.collect.summary import CollectionSummary
from hytnas_host.devices.base import Device
from hytnas_predictors.design import choose_networks
from hytnas_predictors.predictor import fit_predictor
from hytnas_predictors.progress import ProgressFactory, SilentProgress
from hytnas_predictors.recipes import default_estimator
from hytnas_predictors.stopping import (
    CANDIDATES,
    FIRST_LOOK,
    Goal,
    Look,
    choose_uncertain,
    confidence_at,
    look,
    look_sizes,
    random_share,
)


class UntilSummary(msgspec.Struct, frozen=True):
    """What came of it: the last step of the collection, and every look at the scores of this call."""

    collection: CollectionSummary
    looks: tuple[Look, ...]

    @property
    def reached(self) -> bool:
        """Whether the last look reached the goal."""
        return self.looks[-1].reached

    def describe(self) -> str:
        """The collection as it describes itself, and how it ended."""
        ending = "" if self.reached else "; the same command with a larger --max-n goes on"
        return f"{self.collection.describe()}\n{self.looks[-1].describe()}{ending}"


def collect_until(
    study: Study,
    devices: Sequence[Device],
    space: Space,
    task: Task,
    goal: Goal,
    *,
    most: int,
    options: MeasureOptions,
    say: Callable[[str], None] = lambda _: None,
    progress: ProgressFactory = SilentProgress,
) -> UntilSummary:
    """Measure ever more networks until the default predictor of them reaches the goal.

    How that is judged is said in `hytnas_predictors.stopping`.

    Half of the networks are drawn uniformly, and are what is scored on. The others fill the space at first,
    its edges included, and then are those of which the predictor is least certain. Killed anywhere and called
    again, it goes on where it was. The networks of an earlier collection count as drawn uniformly.

    Parameters
    ----------
    study : Study
    devices : sequence of Device
        Those that measure; several share the work.
    space : Space
    task : Task
    goal : Goal
    most : int
        No more networks than this are measured.
    options : MeasureOptions
    say : callable
        Is told of each look.

    Raises
    ------
    CollectError, DeviceError, SpaceError, StudyError
    PredictorError
        If ``most`` is below the first look's number.
    NotEnoughDataError
        Too few networks could be measured to score on.
    """
    if options.keep_apart:
        raise CollectError(
            "devices that are kept apart have a predictor each, which are not good enough at the same time",
            "collect with one of them at a time, each into a study of its own",
        )
    looks: list[Look] = []
    present = len(_sample(study, space))
    sizes = look_sizes(most)
    for size in [each for each in sizes if each >= present] or sizes[-1:]:
        networks = _extend(study, space, size, task, options=options, device=_only(devices))
        summary = collect_sample(study, devices, networks, task, options=options, progress=progress)
        labelled = _labelled(study, space, task, options=options, device=_only(devices))
        chosen = _chosen(study)
        random = [plan_hash not in chosen for plan_hash in labelled.plan_hashes]
        looks.append(look(labelled, random, goal, confidence=confidence_at(size), seed=options.seed))
        say(looks[-1].describe())
        if looks[-1].reached:
            break
    return UntilSummary(summary, tuple(looks))


def _sample(study: Study, space: Space) -> list[Network]:
    return [network for network in study.architectures.of(Purpose.LATENCY) if network[0].space == space.name]


def _chosen(study: Study) -> set[str]:
    """Plan hashes of the networks that were not drawn at random."""
    return {plan_hash for _, plan_hash in study.architectures.of(Purpose.CHOSEN)}


def _only(devices: Sequence[Device]) -> str | None:
    """The name of the only device; labels of several that share the work are taken together."""
    return devices[0].name if len(devices) == 1 else None


def _labelled(
    study: Study, space: Space, task: Task, *, options: MeasureOptions, device: str | None, minimum: int = 1
) -> LabelledSet:
    return study.labelled(
        LATENCY.name,
        space=space,
        task=task,
        device=device,
        model_format=options.target.format,
        precision=options.target.precision,
        minimum=minimum,
    )


def _extend(
    study: Study, space: Space, size: int, task: Task, *, options: MeasureOptions, device: str | None
) -> list[Network]:
    """The networks of the study, with as many more as make ``size``: random ones, then chosen ones."""
    present, chosen = _sample(study, space), _chosen(study)
    random = sum(plan_hash not in chosen for _, plan_hash in present)
    more = min(max(random_share(size) - random, 0), max(size - len(present), 0))
    networks = sample_networks(
        study, space, len(present) + more, task, purpose=Purpose.LATENCY, seed=options.seed
    )
    left = size - len(networks)
    if left <= 0:
        return networks
    rng = np.random.default_rng([options.seed, len(networks), size])
    known = [architecture for architecture, _ in networks]
    if size == FIRST_LOOK:
        picked = choose_networks(space, task, left, rng, measured=known)
    else:
        labelled = _labelled(study, space, task, options=options, device=device)
        predictor = fit_predictor(default_estimator(labelled.target, space), labelled, rng=rng)
        picked = choose_uncertain(predictor, _candidates(space, task, left, known, rng), left)
    hashes = [build_plan(architecture, task).hash for architecture in picked]
    study.architectures.add(space, picked, hashes, Purpose.CHOSEN)
    study.architectures.add(space, picked, hashes, Purpose.LATENCY)
    return [*networks, *zip(picked, hashes, strict=True)]


def _candidates(
    space: Space, task: Task, n: int, known: Sequence[Architecture], rng: np.random.Generator
) -> list[Architecture]:
    """Random architectures, each of another network than the others and the known ones."""
    drawn = space.sample(min(n * CANDIDATES, space.size - len(known)), rng, exclude=known)
    networks = {identity(architecture, task): architecture for architecture in drawn}
    for architecture in known:
        networks.pop(identity(architecture, task), None)
    return list(networks.values())
