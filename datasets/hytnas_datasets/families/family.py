"""The interface of a family of networks."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, NamedTuple

if TYPE_CHECKING:  # at run time these modules need the registry of families
    from hytnas_datasets.plan.stages import Stage
    from hytnas_datasets.plan.task import Task
    from hytnas_datasets.spaces.space import Space
    from hytnas_datasets.spaces.variables import Choice


class RepeatVariables(NamedTuple):
    """Of a `RepeatingStage`, the variables that decide the rest, the block, and how often it is there.

    The block may depend on the map that the rest gives besides.
    """

    rest: tuple[str, ...]
    block: tuple[str, ...]
    times: tuple[str, ...]


class Family(ABC):
    """How the choices of an architecture become the stages of a network.

    Attributes
    ----------
    name : str
        What a space gives as its family.
    stages : tuple of str
        Names of the stages in the order of the network; none where the family has no networks. What is named
        "stem" or "head" is no part of the backbone, whose features other heads take.
    """

    name: ClassVar[str]
    stages: ClassVar[tuple[str, ...]]

    @property
    def has_networks(self) -> bool:
        """Whether architectures of this family are networks."""
        return bool(self.stages)

    @property
    @abstractmethod
    def default_task(self) -> "Task":
        """The task that networks are built for where nobody chooses another."""

    @abstractmethod
    def check(self, space: "Space") -> None:
        """Raise SpaceError unless every architecture of the space can be built.

        Looks at the space's variables and its channel caps.
        """

    def stage_variables(self, space: "Space") -> "tuple[tuple[str, ...], ...]":
        """For each name in ``stages``, the variables that decide what `build_stages` gives there.

        Where many networks are looked at, a stage is built once for each combination of their choices. All
        variables are a right answer, and a slow one.
        """
        everything = tuple(variable.name for variable in space.variables)
        return (everything,) * len(self.stages)

    def repeat_variables(self, space: "Space") -> tuple[RepeatVariables | None, ...]:
        """For each name in ``stages``, what decides the parts of a `RepeatingStage`; ``None`` for others.

        The parts have far fewer combinations than the whole. ``None`` is a right answer, and a slow one.
        """
        del space
        return (None,) * len(self.stages)

    @abstractmethod
    def build_stages(
        self, values: "Mapping[str, Choice]", task: "Task", channel_caps: Mapping[str, int]
    ) -> "tuple[Stage, ...]":
        """The stages of the network that these choices describe, one for each name in ``stages``.

        Parameters
        ----------
        values : mapping of variable name to choice
            Of the variables that exist in the architecture.
        task : Task
        channel_caps : mapping of stage name to int
            The largest channels of some stages, as the space gives them.

        Raises
        ------
        PlanError
            If there is no such network for the task.
        """
