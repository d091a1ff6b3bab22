"""Random search: the baseline that every other strategy has to beat."""

from collections.abc import Collection
from typing import ClassVar

from hytnas_datasets.spaces import Architecture
from hytnas_host.search.strategies.base import Strategy


class RandomStrategy(Strategy):
    """New networks, uniform over the admissible architectures of the space."""

    name: ClassVar[str] = "random"

    def _propose(self, n: int, seen: Collection[str]) -> list[Architecture]:
        return self.problem.draw_new(n, seen, self.rng)
