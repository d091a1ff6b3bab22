"""A search space and its architectures."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hytnas_agent.registry import suggestion
from hytnas_datasets.errors import SpaceError
from hytnas_datasets.spaces.constraints import Constraint, Forbidden
from hytnas_datasets.spaces.diagram import Diagram, Ranks, compile_diagram
from hytnas_datasets.spaces.ids import format_id, parse_id
from hytnas_datasets.spaces.sampling import draw_ranks
from hytnas_datasets.spaces.variables import INACTIVE, Choice, Variable, When

__all__ = ["INACTIVE", "Architecture", "Choice", "Space", "Variable", "When"]

MAX_VARIABLES: Final = 300
_NAME = re.compile(r"[a-z][a-z0-9_.-]{0,39}")


@dataclass(frozen=True, slots=True)
class Architecture:
    """One choice per variable of a space, as indices into each variable's choices.

    Attributes
    ----------
    space : str
        Name of the space.
    indices : tuple of v int
        `INACTIVE` (-1) for a variable that does not exist in this architecture.
    """

    space: str
    indices: tuple[int, ...]


@dataclass(frozen=True)
class Space:
    """A search space as data.

    Attributes
    ----------
    name : str
        Lower-case letters, digits, ``_``, ``.`` and ``-``.
    variables : tuple of v Variable
        A parent comes before the variables that exist only under it.
    family : str
        How the choices become networks; "none" where they become none. See `hytnas_datasets.families`.
    constraints : tuple of Constraint
    channel_caps : tuple of (stage name, int)
        The largest channels of some stages, where the family has stages; wider choices get these.

    Raises
    ------
    SpaceError
        For unusable or repeated names, unknown variables, and wrong conditions or constraints. Constraints
        that no architecture can meet are found by `size`.
    """

    name: str
    variables: tuple[Variable, ...]
    family: str = "hyt"
    constraints: tuple[Constraint, ...] = ()
    channel_caps: tuple[tuple[str, int], ...] = ()

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise SpaceError(
                f"Space name {self.name!r} is not usable",
                "Use at most 40 lower-case letters, digits, '_', '.' and '-', and begin with a letter",
            )
        if not self.variables:
            raise SpaceError(f"Space {self.name!r} has no variables", "Give it at least one")
        if len(self.variables) > MAX_VARIABLES:
            raise SpaceError(
                f"Space {self.name!r} has {len(self.variables)} variables; {MAX_VARIABLES} is the most"
            )
        earlier: dict[str, Variable] = {}
        for variable in self.variables:
            if variable.name in earlier:
                raise SpaceError(f"Space {self.name!r} has two variables named {variable.name!r}")
            if variable.when:
                _check_when(variable, earlier)
            earlier[variable.name] = variable
        for constraint in self.constraints:
            for name in constraint.names:
                if name not in earlier:
                    raise SpaceError(
                        f"Space {self.name!r}: a constraint names an unknown variable {name!r}",
                        suggestion(name, list(earlier)),
                    )
            constraint.check(earlier)
        _check_caps(self.channel_caps, self.name)

    @cached_property
    def _diagram(self) -> Diagram:
        diagram = compile_diagram(self.variables, self.constraints)
        if diagram.size == 0:
            raise SpaceError(
                f"Space {self.name!r} is empty: no architecture meets its constraints", "Loosen one of them"
            )
        return diagram

    @cached_property
    def _by_name(self) -> Mapping[str, Variable]:
        return {variable.name: variable for variable in self.variables}

    @property
    def size(self) -> int:
        """Number of distinct architectures, exact also under constraints."""
        return self._diagram.size

    def sample(
        self, n: int, rng: np.random.Generator, *, exclude: Sequence[Architecture] = ()
    ) -> list[Architecture]:
        """``n`` distinct architectures, uniform over the architectures of the space, without replacement.

        Every ordered selection of ``n`` architectures outside ``exclude`` is equally likely, whatever the
        constraints and however many variables exist in one.

        Raises
        ------
        SpaceError
            Where fewer than ``n`` are left.
        """
        if n < 0:
            raise SpaceError(f"Cannot sample {n} architectures", "Ask for 0 or more")
        excluded = np.unique(self._ranks(self.encode(exclude))) if exclude else self._no_ranks
        left = self.size - len(excluded)
        if n > left:
            less = f" less {len(excluded)} excluded" if len(excluded) else ""
            raise SpaceError(
                f"Space {self.name!r} has {self.size} architectures{less}; {n} were asked for",
                f"Ask for at most {left}",
            )
        ranks = draw_ranks(self.size, n, rng, excluded)
        return self._wrap(self._diagram.unrank(ranks))

    def enumerate(self) -> Iterator[Architecture]:
        """Every architecture, in order of rank."""
        everything = [range(len(variable.choices)) for variable in self.variables]
        for indices in self._diagram.completions(everything):
            yield Architecture(self.name, indices)

    def values(self, architecture: Architecture) -> dict[str, Choice]:
        """The chosen value of each active variable by name; raises SpaceError for foreign architectures."""
        self._check_own([architecture])
        pairs = zip(self.variables, architecture.indices, strict=True)
        return {variable.name: variable.choices[i] for variable, i in pairs if i != INACTIVE}

    def from_values(self, values: Mapping[str, Choice]) -> Architecture:
        """The architecture with these values, one for each variable that exists under them.

        Raises
        ------
        SpaceError
            For unknown names, values that are no choice, missing or superfluous variables, and combinations
            that a constraint forbids (named in the message).
        """
        for name in values:
            if name not in self._by_name:
                raise SpaceError(
                    f"Space {self.name!r} has no variable {name!r}", suggestion(name, list(self._by_name))
                )
        indices = []
        for variable in self.variables:
            exists = variable.when is None or values.get(variable.when.variable) in variable.when.values
            if exists and variable.name not in values:
                raise SpaceError(
                    f"No value given for {variable.name!r} of space {self.name!r}",
                    f"Choose one of {', '.join(map(str, variable.choices))}",
                )
            if not exists and variable.name in values:
                assert variable.when is not None
                raise SpaceError(
                    f"{variable.name!r} does not exist in this architecture: it needs "
                    f"{variable.when.variable!r} to be {' or '.join(map(str, variable.when.values))}",
                    "Leave it out",
                )
            indices.append(variable.index(values[variable.name]) if exists else INACTIVE)
        architecture = Architecture(self.name, tuple(indices))
        for constraint in self.constraints:
            if not _holds(constraint, values):
                raise SpaceError(f"These values break a constraint of space {self.name!r}: {constraint}")
        return architecture

    def encode(self, architectures: Sequence[Architecture]) -> NDArray[np.int64]:
        """(n, v) ordinal codes, -1 where a variable does not exist.

        Raises SpaceError for architectures of another space or of none.
        """
        self._check_own(architectures)
        codes = np.array([architecture.indices for architecture in architectures], dtype=np.int64)
        codes = codes.reshape(len(architectures), len(self.variables))
        self._ranks(codes)
        return codes

    def decode(self, codes: NDArray[np.int64]) -> list[Architecture]:
        """Inverse of ``encode``; raises SpaceError for codes that are not an architecture."""
        codes = np.asarray(codes)
        if codes.ndim != 2 or codes.shape[1] != len(self.variables) or codes.dtype.kind not in "iu":
            raise SpaceError(
                f"Codes of space {self.name!r} are integers of shape (n, {len(self.variables)}); "
                f"got {codes.dtype} of shape {codes.shape}"
            )
        codes = codes.astype(np.int64)
        self._ranks(codes)
        return self._wrap(codes)

    def is_valid(self, codes: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(n,) whether each row of (n, v) codes is an architecture."""
        return self._diagram.rank(codes)[1]

    def one_hot(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        """(n, sum of choices) indicator matrix; all zero for a variable that does not exist."""
        codes = self.encode(architectures)
        counts = [len(variable.choices) for variable in self.variables]
        offsets = np.concatenate([[0], np.cumsum(counts)[:-1]])
        matrix = np.zeros((len(codes), sum(counts)))
        rows, columns = np.nonzero(codes != INACTIVE)
        matrix[rows, offsets[columns] + codes[rows, columns]] = 1.0
        return matrix

    def feature_names(self) -> tuple[str, ...]:
        """Names of the v columns of ``encode``."""
        return tuple(variable.name for variable in self.variables)

    def one_hot_names(self) -> tuple[str, ...]:
        """Names of the columns of ``one_hot``: ``variable=choice``."""
        return tuple(
            f"{variable.name}={choice}" for variable in self.variables for choice in variable.choices
        )

    def neighbours(self, architecture: Architecture) -> Iterator[Architecture]:
        """Every architecture that differs in one variable.

        Where the change of a parent brings other variables into existence, every choice of those is given:
        being neighbours is symmetric.
        """
        self._check_own([architecture])
        self._ranks(self.encode([architecture]))
        every = [range(len(variable.choices)) for variable in self.variables]
        fixed = [every[i] if c == INACTIVE else (c,) for i, c in enumerate(architecture.indices)]
        for i, code in enumerate(architecture.indices):
            if code != INACTIVE:
                others = [other for other in every[i] if other != code]
                for indices in self._diagram.completions([*fixed[:i], others, *fixed[i + 1 :]]):
                    yield Architecture(self.name, indices)

    def contains(self, architecture: Architecture) -> bool:
        """Whether the architecture belongs to the space."""
        if architecture.space != self.name or len(architecture.indices) != len(self.variables):
            return False
        return bool(self.is_valid(np.array([architecture.indices], dtype=np.int64))[0])

    def format(self, architecture: Architecture) -> str:
        """A short stable string id, e.g. ``hyt-0k3v9qa7m``; see `hytnas_datasets.spaces.ids`."""
        return self.format_all([architecture])[0]

    def format_all(self, architectures: Sequence[Architecture]) -> list[str]:
        """``format`` of n architectures at once."""
        ranks = self._ranks(self.encode(architectures)).tolist()
        own_hash, size = self.hash(), self.size
        return [format_id(self.name, own_hash, size, rank) for rank in ranks]

    def parse(self, text: str) -> Architecture:
        """Inverse of ``format``; raises SpaceError for ids that are damaged or of another space."""
        rank = parse_id(text, self.name, self.hash(), self.size)
        return self._wrap(self._diagram.unrank(np.array([rank], dtype=self._no_ranks.dtype)))[0]

    def hash(self) -> str:
        """First 16 hexadecimal digits of the SHA-256 of the space's canonical JSON."""
        return self._hash

    def to_dict(self) -> dict[str, Any]:
        """The space as plain data: what its canonical JSON and its TOML form hold."""
        caps = {"channel_caps": dict(self.channel_caps)} if self.channel_caps else {}
        return {
            "name": self.name,
            "family": self.family,
            **caps,
            "variables": [_variable_dict(variable) for variable in self.variables],
            "constraints": [_constraint_dict(constraint) for constraint in self.constraints],
        }

    @cached_property
    def _hash(self) -> str:
        text = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @cached_property
    def _no_ranks(self) -> Ranks:
        return self._diagram.rank(np.empty((0, len(self.variables)), dtype=np.int64))[0]

    def _wrap(self, codes: NDArray[np.int64]) -> list[Architecture]:
        return [Architecture(self.name, tuple(row)) for row in codes.tolist()]

    def _check_own(self, architectures: Sequence[Architecture]) -> None:
        v = len(self.variables)
        for architecture in architectures:
            if architecture.space != self.name or len(architecture.indices) != v:
                raise SpaceError(
                    f"An architecture of space {architecture.space!r} with {len(architecture.indices)} "
                    f"indices does not belong to space {self.name!r} with {v} variables"
                )

    def _ranks(self, codes: NDArray[np.int64]) -> Ranks:
        ranks, valid = self._diagram.rank(codes)
        if not valid.all():
            row = int(np.argmin(valid))
            raise SpaceError(
                f"Codes {codes[row].tolist()} (row {row}) are no architecture of space {self.name!r}"
            )
        return ranks


def _check_when(variable: Variable, earlier: Mapping[str, Variable]) -> None:
    assert variable.when is not None
    parent = earlier.get(variable.when.variable)
    if parent is None:
        raise SpaceError(
            f"Variable {variable.name!r} depends on {variable.when.variable!r}, which is not before it",
            suggestion(variable.when.variable, list(earlier)),
        )
    if not variable.when.values:
        raise SpaceError(f"The condition of variable {variable.name!r} lists no value of {parent.name!r}")
    for value in variable.when.values:
        parent.index(value)


def _check_caps(caps: tuple[tuple[str, int], ...], space: str) -> None:
    if len({stage for stage, _ in caps}) < len(caps):
        raise SpaceError(f"Space {space!r} caps the channels of a stage twice")
    for stage, cap in caps:
        if not isinstance(cap, int) or isinstance(cap, bool) or cap < 1:
            raise SpaceError(
                f"Space {space!r}: the channel cap of {stage!r} is {cap!r}", "Give a positive integer"
            )


def _holds(constraint: Constraint, values: Mapping[str, Choice]) -> bool:
    state = constraint.start()
    for name in constraint.names:
        after = constraint.step(state, name, values.get(name))
        if after is None:
            return False
        state = after
    return constraint.accepts(state)


def _variable_dict(variable: Variable) -> dict[str, Any]:
    plain: dict[str, Any] = {"name": variable.name, "choices": list(variable.choices)}
    if variable.when:
        plain["when"] = {"variable": variable.when.variable, "values": list(variable.when.values)}
    return plain


def _constraint_dict(constraint: Constraint) -> dict[str, Any]:
    if isinstance(constraint, Forbidden):
        return {"kind": "forbidden", "values": {name: list(values) for name, values in constraint.values}}
    plain = {key: value for key, value in vars(constraint).items() if value is not None}
    plain["variables"] = list(constraint.variables)
    return {"kind": "ordering", **plain}
