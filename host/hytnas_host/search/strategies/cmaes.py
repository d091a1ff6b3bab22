"""CMA-ES on random weighted sums of the objectives.

References
----------
[Hansen2016] N. Hansen, "The CMA Evolution Strategy: A Tutorial", arXiv:1604.00772, 2016.
"""

import warnings
from collections.abc import Collection
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from hytnas_datasets.spaces import Architecture
from hytnas_host.search.normalise import RankScale
from hytnas_host.search.repair import as_architectures, as_codes, repair
from hytnas_host.search.strategies.base import Strategy

_SIGMA: Final = 0.3
_LIFE: Final = 5
"""Batches after which a new weighted sum is drawn, and the search distribution begins anew."""


class CmaesStrategy(Strategy):
    """CMA-ES in the unit box of the codes; every few batches it takes up a new weighted sum. [Hansen2016]_

    The weights are uniform over the simplex, and apply to rank-normalised objectives. The distribution begins
    at the best of what was told, and is made anew for each batch from all that was told since it began.
    """

    name: ClassVar[str] = "cmaes"

    def _prepare(self) -> None:
        self._weights: list[float] = []
        self._began = 0
        self._batches = 0
        self._spans = np.array(
            [max(len(variable.choices) - 1, 1) for variable in self.problem.space.variables]
        )

    def memory(self) -> dict[str, Any]:
        """The weights, how many were told when they were drawn, and for how many batches they served."""
        return {"weights": self._weights, "began": self._began, "batches": self._batches}

    def recall(self, memory: dict[str, Any]) -> None:
        """Take back what `memory` gave."""
        self._weights = [float(weight) for weight in memory["weights"]]
        self._began, self._batches = int(memory["began"]), int(memory["batches"])
        if len(self._weights) not in (0, len(self.problem.objectives)) or self._began < 0:
            raise ValueError(f"weights {self._weights} since {self._began} evaluations")

    def _propose(self, n: int, seen: Collection[str]) -> list[Architecture]:
        del seen
        if not self._weights or self._batches >= _LIFE:
            self._weights = self.rng.dirichlet(np.ones(len(self.problem.objectives))).tolist()
            self._began, self._batches = len(self.architectures), 0
        self._batches += 1
        points = np.clip(self._distribution(max(n, 2)).ask(2 * n), 0.0, 1.0)[:, : len(self._spans)]
        codes = np.rint(points * self._spans).astype(np.int64)
        return as_architectures(repair(codes, self.problem.space, self.rng), self.problem.space)

    def _distribution(self, size: int) -> Any:
        """The distribution after generations of ``size``."""
        import cma  # type: ignore[import-untyped]  # noqa: PLC0415 (slow to import)

        sums = RankScale.fit(self.minimised).transform(self.minimised) @ np.array(self._weights)
        sums = np.where(self.feasible, sums, sums + sums.max() + 1.0)
        places = self._places()
        first = places[: self._began][np.argmin(sums[: self._began])] if self._began else places[0]
        options = {
            "popsize": size,
            "bounds": [0, 1],
            "seed": np.nan,
            "randn": lambda *shape: self.rng.standard_normal(shape),
            "verbose": -9,
            "verb_log": 0,
        }
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            distribution = cma.CMAEvolutionStrategy(first, _SIGMA, options)
            told = len(places) - self._began
            for start in range(self._began, self._began + told // size * size, size):
                some = slice(start, start + size)
                distribution.ask(size)
                distribution.tell(list(places[some]), sums[some].tolist())
        return distribution

    def _places(self) -> NDArray[np.float64]:
        """(k, d) what was told in the unit box, of two dimensions at least."""
        places = as_codes(self.architectures, self.problem.space).clip(0) / self._spans
        return np.hstack([places, np.full((len(places), 1), 0.5)]) if places.shape[1] == 1 else places
