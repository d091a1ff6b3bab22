"""The value types of a search space: variables, architectures, and the space itself."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Choice = int | float | str


@dataclass(frozen=True)
class Variable:
    """A named variable with ordered choices."""

    name: str
    choices: tuple[Choice, ...]


@dataclass(frozen=True, slots=True)
class Architecture:
    """One choice per variable of a space, as indices into each variable's choices."""

    space: str
    indices: tuple[int, ...]


@dataclass(frozen=True)
class Space:
    """A search space. (Interface; the owner of this module fills it in.)"""

    name: str
    variables: tuple[Variable, ...]

    @property
    def size(self) -> int:
        """Number of distinct architectures, exact."""
        raise NotImplementedError

    def sample(self, n: int, rng: np.random.Generator, *, exclude: Sequence[Architecture] = ()) -> list[Architecture]:
        """``n`` distinct architectures, uniform over the architectures of the space, without replacement."""
        raise NotImplementedError

    def values(self, architecture: Architecture) -> dict[str, Choice]:
        """The chosen value of each active variable by name."""
        raise NotImplementedError

    def from_values(self, values: dict[str, Choice]) -> Architecture:
        """The architecture with these values; raises SpaceError."""
        raise NotImplementedError

    def encode(self, architectures: Sequence[Architecture]) -> NDArray[np.int64]:
        """(n, v) ordinal codes."""
        raise NotImplementedError

    def decode(self, codes: NDArray[np.int64]) -> list[Architecture]:
        """Inverse of ``encode``; raises SpaceError for codes that are not an architecture."""
        raise NotImplementedError

    def one_hot(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        """(n, sum of choices) indicator matrix."""
        raise NotImplementedError

    def feature_names(self) -> tuple[str, ...]:
        """Names of the columns of ``encode``."""
        raise NotImplementedError

    def neighbours(self, architecture: Architecture) -> Iterator[Architecture]:
        """Every architecture that differs in one variable."""
        raise NotImplementedError

    def contains(self, architecture: Architecture) -> bool:
        """Whether the architecture belongs to the space."""
        raise NotImplementedError

    def format(self, architecture: Architecture) -> str:
        """A short stable string id, e.g. ``hyt:0123...``."""
        raise NotImplementedError

    def parse(self, text: str) -> Architecture:
        """Inverse of ``format``; raises SpaceError."""
        raise NotImplementedError

    def hash(self) -> str:
        """First 16 hexadecimal digits of the SHA-256 of the space's canonical JSON."""
        raise NotImplementedError
