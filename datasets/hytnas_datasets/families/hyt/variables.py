"""What the plan builder of the family ``hyt`` needs of a space: its variables and its channel caps."""

import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from hytnas_agent.registry import suggestion
from hytnas_datasets.errors import SpaceError
from hytnas_datasets.spaces.bundled import ATTENTION, CONVOLUTION
from hytnas_datasets.spaces.space import Space
from hytnas_datasets.spaces.variables import Choice, Variable

STAGE_NAMES: Final = ("stage1", "stage2", "stage3", "stage4", "stage5")
CHANNEL_MULTIPLE: Final = 4
"""Widths are multiples of this, so that heads divide them."""

_CONVOLUTION_STAGES: Final = 2
_MAX_SITUATIONS: Final = 4096
_NAME = re.compile(r"stage([1-5])\.([a-z_]+)")


def _whole(most: int) -> Callable[[Choice], bool]:
    return lambda value: isinstance(value, int) and 1 <= value <= most


def _ratio(value: Choice) -> bool:
    return not isinstance(value, str) and 0 < value <= 16


# What each variable of family "hyt" may be: a check of a choice, and its words.
_HYT: Final[Mapping[str, tuple[Callable[[Choice], bool], str]]] = {
    "kind": (lambda value: value in (CONVOLUTION, ATTENTION), f"{CONVOLUTION!r} or {ATTENTION!r}"),
    "blocks": (_whole(32), "a whole number from 1 to 32"),
    "expand": (_whole(16), "a whole number from 1 to 16"),
    "channels": (_whole(4096), "a whole number from 1 to 4096"),
    "ratio": (_ratio, "a number above 0, up to 16"),
    "heads": (lambda value: value in (1, 2, 4), "1, 2 or 4: they divide widths rounded to multiples of 4"),
    "ff_ratio": (_ratio, "a number above 0, up to 16"),
    "patch": (_whole(64), "a whole number from 1 to 64"),
}


def check_variables(space: Space) -> None:
    """Raise SpaceError unless the plan builder can build every architecture of the space."""
    for variable in space.variables:
        _check_variable(variable)
    for name, cap in space.channel_caps:
        _check_cap(name, cap)
    for stage in range(1, len(STAGE_NAMES) + 1):
        for values in _situations(space.variables, f"stage{stage}."):
            _check_stage(stage, values)


def _check_variable(variable: Variable) -> None:
    match = _NAME.fullmatch(variable.name)
    if match is None or match[2] not in _HYT:
        known = [f"{stage}.{what}" for stage in STAGE_NAMES for what in _HYT]
        raise SpaceError(f"Family 'hyt' has no variable {variable.name!r}", suggestion(variable.name, known))
    fits, words = _HYT[match[2]]
    for choice in variable.choices:
        if not fits(choice):
            raise SpaceError(f"{choice!r} cannot be a choice of {variable.name!r}", f"It takes {words}")


def _check_cap(name: str, cap: int) -> None:
    if name not in STAGE_NAMES:
        raise SpaceError(f"Family 'hyt' has no stage {name!r} to cap", suggestion(name, STAGE_NAMES))
    if cap % CHANNEL_MULTIPLE:
        raise SpaceError(
            f"The channel cap of {name!r} is {cap}",
            f"It takes a multiple of {CHANNEL_MULTIPLE}, as widths are",
        )


def _situations(variables: Sequence[Variable], prefix: str) -> Iterator[dict[str, Choice]]:
    """The stage's existing variables under every combination of the values that others depend on.

    Variables on which nothing depends stand at their first choice. Constraints are not looked at.
    """
    wanted = {variable.name for variable in variables if variable.name.startswith(prefix)}
    parents: set[str] = set()
    for variable in reversed(variables):
        if variable.when and variable.name in wanted | parents:
            parents.add(variable.when.variable)
    deciding = [
        variable for variable in variables if variable.name in parents or variable.name == f"{prefix}kind"
    ]
    combinations = itertools.product(*(variable.choices for variable in deciding))
    for combination in itertools.islice(combinations, _MAX_SITUATIONS):
        decided = dict(zip((variable.name for variable in deciding), combination, strict=True))
        values: dict[str, Choice] = {}
        for variable in variables:
            if variable.when is None or values.get(variable.when.variable) in variable.when.values:
                values[variable.name] = decided.get(variable.name, variable.choices[0])
        yield {name: value for name, value in values.items() if name in wanted}


def _check_stage(stage: int, values: Mapping[str, Choice]) -> None:
    default = CONVOLUTION if stage <= _CONVOLUTION_STAGES else ATTENTION
    kind = values.get(f"stage{stage}.kind", default)
    has = {name.split(".")[1] for name in values}
    needed = ("expand", "heads", "ff_ratio") if kind == ATTENTION else ("expand",)
    for what in needed:
        if what not in has:
            raise SpaceError(
                f"A stage of kind {kind!r} needs 'stage{stage}.{what}', and an architecture can be without",
                "A variable may have a single choice",
            )
    if len(has & {"channels", "ratio"}) != 1:
        raise SpaceError(f"A stage needs either 'stage{stage}.channels' or 'stage{stage}.ratio'")
    unused = has & {"heads", "ff_ratio", "patch"}
    if kind == CONVOLUTION and unused:
        raise SpaceError(
            f"'stage{stage}.{min(unused)}' has no effect in a stage of kind {kind!r}",
            f"Give it the condition when = {{ variable = 'stage{stage}.kind', values = ['{ATTENTION}'] }}",
        )
