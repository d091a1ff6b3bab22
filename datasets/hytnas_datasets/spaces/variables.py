"""Named variables with ordered choices, and the condition under which a variable exists."""

import math
import re
from dataclasses import dataclass
from typing import Final

from hytnas_datasets.errors import SpaceError

Choice = int | float | str

INACTIVE: Final = -1
"""The index that stands for "this variable does not exist in this architecture"."""

MAX_CHOICES: Final = 1_000
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,79}")


def check_choice(value: object, where: str) -> None:
    """Raise `SpaceError` unless ``value`` is a finite number or a printable string.

    Parameters
    ----------
    value : object
    where : str
        What the value belongs to, for the message.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise SpaceError(f"{where}: {value!r} is not a number or a string")
    if isinstance(value, float) and not math.isfinite(value):
        raise SpaceError(f"{where}: {value!r} is not finite")
    if isinstance(value, str) and not (value and value.isprintable()):
        raise SpaceError(f"{where}: {value!r} is empty or holds unprintable characters")


@dataclass(frozen=True)
class When:
    """A condition on a parent variable: it exists and has one of ``values``."""

    variable: str
    values: tuple[Choice, ...]


@dataclass(frozen=True)
class Variable:
    """A named variable with ordered choices.

    Attributes
    ----------
    name : str
        Letters, digits, ``_``, ``.`` and ``-``; for a family of networks the names its plan builder reads.
    choices : tuple of int, float or str
        At least one, all different, in an order that means something (small to large).
    when : When, optional
        The variable exists only when its parent has one of these values; it always exists without.

    Raises
    ------
    SpaceError
        Without choices, with a repeated or unusable choice, or with an unusable name.
    """

    name: str
    choices: tuple[Choice, ...]
    when: When | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise SpaceError(
                f"Variable name {self.name!r} is not usable",
                "Use at most 80 letters, digits, '_', '.' and '-', and begin with a letter",
            )
        if not self.choices:
            raise SpaceError(f"Variable {self.name!r} has no choices", "Give it at least one")
        if len(self.choices) > MAX_CHOICES:
            raise SpaceError(
                f"Variable {self.name!r} has {len(self.choices)} choices; {MAX_CHOICES} is the most"
            )
        for choice in self.choices:
            check_choice(choice, f"Choice of variable {self.name!r}")
        if len(set(self.choices)) < len(self.choices):
            raise SpaceError(f"Variable {self.name!r} lists a choice twice: {list(self.choices)}")

    def index(self, value: Choice) -> int:
        """Position of ``value`` among the choices; raises SpaceError naming the choices."""
        if not isinstance(value, bool) and value in self.choices:
            return self.choices.index(value)
        raise SpaceError(
            f"{value!r} is not a choice of {self.name!r}",
            f"Choose one of {', '.join(map(str, self.choices))}",
        )
