"""Neighbours of the best that was found."""

from itertools import islice

from hytnas_host.search.pareto import non_dominated
from hytnas_host.search.strategies import Strategy


class ClimberStrategy(Strategy):
    name = "example-climber"

    def _propose(self, n, seen):
        front = [
            architecture
            for architecture, best in zip(self.architectures, non_dominated(self.minimised), strict=True)
            if best
        ]
        start = front[int(self.rng.integers(len(front)))]
        return list(islice(self.problem.space.neighbours(start), 4 * n))
