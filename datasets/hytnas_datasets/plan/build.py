"""Build layer plans: from an architecture of a registered space, or from choices by name.

A network is a chain of stages, and a stage depends on its specification and the shape it receives alone. So
counts and digests are remembered per stage: a search can ask for the parameters or the identity of tens of
thousands of architectures without writing out their layers.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

from msgspec.structs import replace

from hytnas_datasets import spaces
from hytnas_datasets.errors import PlanError
from hytnas_datasets.families.registry import get_family, has_networks
from hytnas_datasets.plan.fragment import ENTRY, Fragment
from hytnas_datasets.plan.layers import Counts, Layer, Shape
from hytnas_datasets.plan.plan import LayerPlan
from hytnas_datasets.plan.stages import Stage
from hytnas_datasets.plan.task import Task
from hytnas_datasets.spaces.space import Architecture, Choice


class StageSummary(NamedTuple):
    """What a stage costs, the digest of what it computes, and the shape of the map that it gives."""

    counts: Counts
    digest: str
    shape: Shape


@lru_cache(maxsize=4096)
def build_plan(architecture: Architecture, task: Task) -> LayerPlan:
    """The plan of an architecture for a task; the most recent plans are remembered.

    Raises
    ------
    PlanError
        If the network cannot be built for the task.
    SpaceError
        If the architecture's space is not registered.

    Examples
    --------
    >>> import numpy as np
    >>> from hytnas_datasets.spaces import get_space
    >>> architecture = get_space("hyt").sample(1, np.random.default_rng(0))[0]
    >>> small, large = (build_plan(architecture, Task(resolution=pixels)) for pixels in (112, 224))
    >>> small.params == large.params, small.macs < large.macs
    (True, True)
    """
    return _build(build_stages(architecture, task), task)


def plan_from_values(
    values: Mapping[str, Choice],
    task: Task,
    channel_caps: Mapping[str, int] = MappingProxyType({}),
    *,
    family: str = "hyt",
) -> LayerPlan:
    """The plan of choices given by name, with the largest channels of some stages.

    Raises
    ------
    PlanError
        If the family has no such network for the task.
    SpaceError
        For an unknown family.
    """
    return _build(get_family(family).build_stages(values, task, channel_caps), task)


def count_network(architecture: Architecture, task: Task) -> Counts:
    """``build_plan(architecture, task).counts``, without writing out the layers."""
    chain = _chain(build_stages(architecture, task), task)
    return sum((counts for counts, _, _ in chain), start=Counts())


def count_params(architecture: Architecture, task: Task) -> int:
    """``build_plan(architecture, task).params``, without writing out the layers."""
    return count_network(architecture, task).params


def network_hash(architecture: Architecture, task: Task) -> str:
    """``build_plan(architecture, task).hash``, without writing out the layers."""
    return hash_stages(digest for _, digest, _ in _chain(build_stages(architecture, task), task))


def identity(architecture: Architecture, task: Task) -> str:
    """What two architectures have in common exactly where they are the same candidate.

    That is the hash of the network; the id of the architecture in a space without networks.
    """
    space = spaces.get_space(architecture.space)
    if has_networks(space):
        return network_hash(architecture, task)
    return space.format(architecture)


@lru_cache(maxsize=4096)
def build_stages(architecture: Architecture, task: Task) -> tuple[Stage, ...]:
    """The stages of an architecture's network, before it is known what each one receives.

    The most recent ones are remembered: features and counts of the same networks are asked for together.

    Raises
    ------
    PlanError
        If the network cannot be built for the task, or the space has no networks.
    SpaceError
        If the architecture's space is not registered.
    """
    space = spaces.get_space(architecture.space)
    family = get_family(space.family)
    if not family.has_networks:
        raise PlanError(
            f"Space {space.name!r} is of family {space.family!r}: its architectures are no networks",
            "Choose a space with networks",
        )
    return family.build_stages(space.values(architecture), task, dict(space.channel_caps))


def _build(stages: tuple[Stage, ...], task: Task) -> LayerPlan:
    layers: list[Layer] = []
    counts = Counts()
    digests: list[str] = []
    shape = image_of(task)
    for stage in stages:
        fragment = build_fragment(stage, shape)
        layers.extend(_place(fragment, len(layers)))
        counts += fragment.counts
        digests.append(fragment.digest)
        shape = fragment.shape
    return LayerPlan(task, tuple(layers), hash_stages(digests), counts)


def _place(fragment: Fragment, offset: int) -> Iterator[Layer]:
    """The layers of a fragment at their position in a plan; the entry is the layer before."""
    if not offset:
        yield from fragment.layers
        return
    for layer in fragment.layers:
        inputs = tuple([offset - 1 if i == ENTRY else offset + i for i in layer.inputs])
        yield replace(layer, index=offset + layer.index, inputs=inputs)


def _chain(stages: tuple[Stage, ...], task: Task) -> Iterator[StageSummary]:
    shape = image_of(task)
    for stage in stages:
        summary = summarise(stage, shape)
        shape = summary.shape
        yield summary


@lru_cache(maxsize=65536)
def summarise(stage: Stage, entry: Shape) -> StageSummary:
    """What is remembered of a stage that receives a map of shape ``entry``."""
    fragment = build_fragment(stage, entry)
    return StageSummary(fragment.counts, fragment.digest, fragment.shape)


@lru_cache(maxsize=2048)
def build_fragment(stage: Stage, entry: Shape) -> Fragment:
    """The layers of a stage that receives a map of shape ``entry``; the most recent ones are remembered."""
    return stage.fragment(entry)


def image_of(task: Task) -> Shape:
    """Shape of what a network receives."""
    return (task.in_channels, task.resolution, task.resolution)


def hash_stages(digests: Iterable[str]) -> str:
    """The hash of a plan, from the digests of its stages in order."""
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()
