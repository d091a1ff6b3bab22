"""The family ``hyt``: what its spaces may vary, and how their choices become stages."""

from collections.abc import Mapping
from typing import ClassVar, Final

from hytnas_datasets.families.family import Family, RepeatVariables
from hytnas_datasets.families.hyt.choices import stages_from_values
from hytnas_datasets.families.hyt.variables import STAGE_NAMES, check_variables
from hytnas_datasets.plan.stages import Stage
from hytnas_datasets.plan.task import Task
from hytnas_datasets.spaces.space import Space
from hytnas_datasets.spaces.variables import Choice


class HytFamily(Family):
    """A stem, five stages of inverted residuals or MobileViT blocks, and a classifier."""

    name: ClassVar[str] = "hyt"
    stages: ClassVar[tuple[str, ...]] = ("stem", *STAGE_NAMES, "head")

    @property
    def default_task(self) -> Task:
        """Images of 224 x 224 pixels in two classes, as in the paper."""
        return Task()

    def check(self, space: Space) -> None:
        """Raise SpaceError for variables and caps that the plan builder does not know."""
        check_variables(space)

    def stage_variables(self, space: Space) -> tuple[tuple[str, ...], ...]:
        """A stage's own variables, and those that decide the widths before it."""
        names = [variable.name for variable in space.variables]
        found: list[tuple[str, ...]] = [()]
        widths: list[str] = []
        for stage in STAGE_NAMES:
            own = [name for name in names if name.startswith(f"{stage}.")]
            absolute = f"{stage}.ratio" not in own
            found.append(tuple(own) if absolute else (*widths, *own))
            if absolute:
                widths = []
            widths += [name for name in own if name in (f"{stage}.channels", f"{stage}.ratio")]
        return (*found, ())

    def repeat_variables(self, space: Space) -> tuple[RepeatVariables | None, ...]:
        """Inverted residuals after the first, or encoder layers, are repeated; the map has their width."""
        found: list[RepeatVariables | None] = []
        for stage, names in zip(self.stages, self.stage_variables(space), strict=True):
            own = {name.removeprefix(f"{stage}.") for name in names if name.startswith(f"{stage}.")}
            in_block = {"kind", "heads", "ff_ratio", "patch"}
            if "heads" not in own or "kind" in own:
                in_block.add("expand")

            def chosen(of: set[str], names: tuple[str, ...] = names, stage: str = stage) -> tuple[str, ...]:
                return tuple(name for name in names if name in {f"{stage}.{what}" for what in of})

            rest = tuple(name for name in names if name not in chosen({"blocks", "heads", "ff_ratio"}))
            repeated = RepeatVariables(rest, chosen(in_block), chosen({"kind", "blocks"}))
            found.append(repeated if own else None)
        return tuple(found)

    def build_stages(
        self, values: Mapping[str, Choice], task: Task, channel_caps: Mapping[str, int]
    ) -> tuple[Stage, ...]:
        """The stem, the five stages and the head."""
        return stages_from_values(values, task, channel_caps)


HYT_FAMILY: Final = HytFamily()
