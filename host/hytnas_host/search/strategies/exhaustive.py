"""The whole space, for spaces that are small enough."""

from collections.abc import Collection, Iterator
from itertools import islice
from typing import Any, ClassVar, Final

from hytnas_datasets.spaces import Architecture
from hytnas_host.search.errors import SearchError
from hytnas_host.search.strategies.base import Strategy

MAX_SPACE: Final = 2_000_000
_CHUNK: Final = 1000


class ExhaustiveStrategy(Strategy):
    """Every network of the space once, after a random initial design.

    Raises
    ------
    SearchError
        For a space of more than `MAX_SPACE` architectures.
    """

    name: ClassVar[str] = "exhaustive"

    def _prepare(self) -> None:
        space = self.problem.space
        if space.size > MAX_SPACE:
            raise SearchError(
                f"{space.name} has {space.size:,} architectures, too many to evaluate each",
                "Search with nsga2",
            )
        self._looked_at = 0
        self._rest: Iterator[Architecture] | None = None

    def memory(self) -> dict[str, Any]:
        """How many architectures were looked at, in order of rank."""
        return {"looked_at": self._looked_at}

    def recall(self, memory: dict[str, Any]) -> None:
        """Go on behind those that were looked at."""
        self._looked_at = int(memory["looked_at"])
        if self._looked_at < 0:
            raise ValueError(f"{self._looked_at} architectures were looked at")
        self._rest = None

    def _propose(self, n: int, seen: Collection[str]) -> list[Architecture]:
        if self._rest is None:
            self._rest = islice(self.problem.space.enumerate(), self._looked_at, None)
        found: list[Architecture] = []
        while len(found) < n and (chunk := list(islice(self._rest, min(_CHUNK, n - len(found))))):
            self._looked_at += len(chunk)
            found = self.problem.select_new([*found, *chunk], seen, n)
        return found
