"""The canary: one fixed network that every collection measures now and then, to show drift of the device."""

from hytnas_datasets.plan import Task, build_plan
from hytnas_datasets.spaces import Architecture, get_space
from hytnas_datasets.store import Purpose, Study
from hytnas_host.collect.exporting import Exporter
from hytnas_host.collect.model import Model


def canary_architecture() -> Architecture:
    """The network of the space ``hyt`` with the middle choice of every variable, the same for every study."""
    space = get_space("hyt")
    return Architecture(space.name, tuple(len(variable.choices) // 2 for variable in space.variables))


def prepare_canary(study: Study, exporter: Exporter, task: Task) -> list[Model]:
    """The canary's model at the task, recorded in the study; none where it cannot be exported."""
    canary = canary_architecture()
    plan_hash = build_plan(canary, task).hash
    study.architectures.add(get_space(canary.space), [canary], [plan_hash], Purpose.CANARY)
    return exporter.prepare([(canary, plan_hash)])
