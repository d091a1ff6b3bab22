"""The family without networks: its architectures are nothing but their choices."""

from collections.abc import Mapping
from typing import ClassVar, Final

from hytnas_datasets.errors import PlanError, SpaceError
from hytnas_datasets.families.family import Family
from hytnas_datasets.plan.stages import Stage
from hytnas_datasets.plan.task import Task
from hytnas_datasets.spaces.space import Space
from hytnas_datasets.spaces.variables import Choice


class NoNetworks(Family):
    """Any variables. Such a space can be sampled, encoded, learned from and searched."""

    name: ClassVar[str] = "none"
    stages: ClassVar[tuple[str, ...]] = ()

    @property
    def default_task(self) -> Task:
        """The default task; nothing depends on it."""
        return Task()

    def check(self, space: Space) -> None:
        """Raise SpaceError where the space caps channels."""
        if space.channel_caps:
            raise SpaceError(
                f"Space {space.name!r} caps channels, and its family {self.name!r} has no stages",
                "Leave channel_caps out",
            )

    def build_stages(
        self, values: Mapping[str, Choice], task: Task, channel_caps: Mapping[str, int]
    ) -> tuple[Stage, ...]:
        """There are none: raises PlanError."""
        del values, task, channel_caps
        raise PlanError("The architectures of family 'none' are no networks", "Choose a space with networks")


NO_NETWORKS: Final = NoNetworks()
