"""Spaces as TOML files: reading with one clear line for whatever is wrong, and writing.

::

    name = "small"
    family = "hyt"
    channel_caps = { stage4 = 128 }             # the most channels of a stage, where it has a cap

    [[variables]]
    name = "stage1.kind"
    choices = ["convolution", "attention"]

    [[variables]]
    name = "stage1.heads"
    choices = [1, 2, 4]
    when = { variable = "stage1.kind", values = ["attention"] }

    [[constraints]]
    kind = "sum"                                # or "product"
    variables = ["stage1.blocks", "stage2.blocks"]
    at_most = 6                                 # at_least, or both

    [[constraints]]
    kind = "ordering"
    variables = ["stage1.channels", "stage2.channels"]
    relation = "<="

    [[constraints]]
    kind = "forbidden"
    values = { "stage1.blocks" = [4], "stage2.blocks" = [3, 4] }
"""

import json
import tomllib
from pathlib import Path
from typing import Any, Final

import msgspec

from hytnas_agent.regular_file import open_regular
from hytnas_datasets.errors import SpaceError
from hytnas_datasets.families.registry import check_family
from hytnas_datasets.spaces.constraints import Bounded, Constraint, Forbidden, Ordering, Relation
from hytnas_datasets.spaces.space import Space
from hytnas_datasets.spaces.variables import Choice, Variable, When

MAX_FILE_BYTES: Final = 1_000_000


class _When(msgspec.Struct, forbid_unknown_fields=True):
    variable: str
    values: list[Choice]


class _Variable(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    choices: list[Choice]
    when: _When | None = None


class _Forbidden(msgspec.Struct, forbid_unknown_fields=True, tag_field="kind", tag="forbidden"):
    values: dict[str, list[Choice]]

    def build(self) -> Constraint:
        return Forbidden(tuple((name, tuple(values)) for name, values in self.values.items()))


class _Sum(msgspec.Struct, forbid_unknown_fields=True, tag_field="kind", tag="sum"):
    variables: list[str]
    at_least: int | float | None = None
    at_most: int | float | None = None

    def build(self) -> Constraint:
        return Bounded("sum", tuple(self.variables), self.at_least, self.at_most)


class _Product(_Sum, tag="product"):
    def build(self) -> Constraint:
        return Bounded("product", tuple(self.variables), self.at_least, self.at_most)


class _Ordering(msgspec.Struct, forbid_unknown_fields=True, tag_field="kind", tag="ordering"):
    variables: list[str]
    relation: Relation = "<="

    def build(self) -> Constraint:
        return Ordering(tuple(self.variables), self.relation)


class _SpaceFile(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    family: str
    variables: list[_Variable]
    constraints: list[_Forbidden | _Sum | _Product | _Ordering] = []
    channel_caps: dict[str, int] = {}

    def build(self) -> Space:
        variables = tuple(
            Variable(
                variable.name,
                tuple(variable.choices),
                When(variable.when.variable, tuple(variable.when.values)) if variable.when else None,
            )
            for variable in self.variables
        )
        return Space(
            self.name,
            variables,
            self.family,
            tuple(constraint.build() for constraint in self.constraints),
            tuple(self.channel_caps.items()),
        )


def load_toml(path: Path | str) -> Space:
    """The space that a TOML file describes. It is not registered; `get_space` does both.

    Raises
    ------
    SpaceError
        In one line that names the file: not readable, over `MAX_FILE_BYTES`, not TOML, unknown keys, names or
        values, a network family that cannot build it, or constraints that nothing meets.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from hytnas_datasets.spaces.registry import get_space
    >>> with TemporaryDirectory() as folder:
    ...     file = Path(folder) / "mine.toml"
    ...     _ = file.write_text(to_toml(get_space("hyt")))
    ...     load_toml(file) == get_space("hyt")
    True
    """
    path = Path(path)
    try:
        with open_regular(path) as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise SpaceError(f"Cannot read the space file {path}: {error.strerror or error}") from error
    if len(content) > MAX_FILE_BYTES:
        raise SpaceError(
            f"The space file {path} is larger than {MAX_FILE_BYTES} bytes", "Is it the right file?"
        )
    try:
        return parse_toml(content.decode())
    except UnicodeDecodeError as error:
        raise SpaceError(f"{path}: not UTF-8 text", "Is it the right file?") from error
    except SpaceError as error:
        raise SpaceError(f"{path}: {error.what}", error.next_step) from error


def parse_toml(text: str) -> Space:
    """The space that TOML text describes; raises SpaceError as `load_toml` does."""
    try:
        space = msgspec.convert(tomllib.loads(text), _SpaceFile).build()
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise SpaceError(f"Not valid TOML: {error}") from error
    except msgspec.ValidationError as error:
        raise SpaceError(f"Not a description of a space: {error}") from error
    check_family(space)
    assert space.size > 0
    return space


def to_toml(space: Space) -> str:
    """The space as TOML text that `parse_toml` reads back to an equal space.

    Examples
    --------
    >>> from hytnas_datasets.spaces.registry import get_space
    >>> print(to_toml(get_space("hyt")).splitlines()[0])
    name = "hyt"
    """
    plain = space.to_dict()
    lines = [f"{key} = {_value(plain[key])}" for key in ("name", "family", "channel_caps") if key in plain]
    for section in ("variables", "constraints"):
        for table in plain[section]:
            lines += ["", f"[[{section}]]", *(f"{key} = {_value(value)}" for key, value in table.items())]
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    """One TOML value. Strings are printable (`variables.check_choice`), so a JSON string is a TOML string."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_value(key)} = {_value(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
