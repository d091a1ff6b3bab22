"""What the plan builder of a network family needs of a space's variables."""

import re
from collections.abc import Callable, Mapping
from typing import Final

from hytnas_datasets.errors import SpaceError
from hytnas_datasets.spaces.bundled import ATTENTION, CONVOLUTION
from hytnas_datasets.spaces.space import Space, suggestion
from hytnas_datasets.spaces.variables import Choice, Variable

_STAGES: Final = 5
_NAME = re.compile(r"stage([1-9])\.([a-z_]+)")


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
    "heads": (_whole(64), "a whole number from 1 to 64"),
    "ff_ratio": (_ratio, "a number above 0, up to 16"),
    "patch": (_whole(64), "a whole number from 1 to 64"),
}


def check_family(space: Space) -> None:
    """Raise SpaceError unless the plan builder of the space's family can build its architectures.

    Family "none" promises no networks: such a space serves tables and search only.
    """
    if space.family == "none":
        return
    if space.family != "hyt":
        raise SpaceError(
            f"There is no network family {space.family!r}", "Use 'hyt', or 'none' for no networks"
        )
    for variable in space.variables:
        _check_variable(variable)
    names = set(space.feature_names())
    for stage in range(1, _STAGES + 1):
        _check_stage(stage, {name.split(".")[1] for name in names if name.startswith(f"stage{stage}.")})


def _check_variable(variable: Variable) -> None:
    match = _NAME.fullmatch(variable.name)
    if match is None or int(match[1]) > _STAGES or match[2] not in _HYT:
        raise SpaceError(
            f"Family 'hyt' has no variable {variable.name!r}",
            suggestion(variable.name, [f"stage{i}.{what}" for i in range(1, _STAGES + 1) for what in _HYT]),
        )
    fits, words = _HYT[match[2]]
    for choice in variable.choices:
        if not fits(choice):
            raise SpaceError(f"{choice!r} cannot be a choice of {variable.name!r}", f"It takes {words}")


def _check_stage(stage: int, has: set[str]) -> None:
    attention = "heads" in has or "kind" in has
    needed = {"expand", "heads", "ff_ratio"} if attention else {"expand"}
    missing = sorted(needed - has)
    if missing:
        raise SpaceError(
            f"Family 'hyt' needs a variable 'stage{stage}.{missing[0]}'",
            "A variable may have a single choice",
        )
    if not has & {"channels", "ratio"}:
        raise SpaceError(f"Family 'hyt' needs 'stage{stage}.channels' or 'stage{stage}.ratio'")
