"""Evaluators: what gives the objectives of an architecture during a search."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from hytnas_agent.records import Execution
from hytnas_datasets.spaces import Architecture, Space
from hytnas_host.search.errors import EvaluationError, SearchError
from hytnas_host.search.exact_metrics import ExactMetrics
from hytnas_host.search.objectives import Direction, get_objective
from hytnas_host.search.recall import Recall
from hytnas_host.search.result import Objective


@dataclass(frozen=True)
class Evaluation:
    """What an evaluator says of n architectures.

    Attributes
    ----------
    values : (n, m) float64
        The objectives in natural units.
    std : (n, m) float64 or None
        Standard deviations of the values, 0 where they are exact; ``None`` where nothing is known of that.
    extrapolated : (n,) bool or None
        Which lie outside what a predictor was fitted to; ``None``: none of them.
    """

    values: NDArray[np.float64]
    std: NDArray[np.float64] | None = None
    extrapolated: NDArray[np.bool_] | None = None


BLOCK: Final = 32
"""Rows of a whole block of predictions."""


class Evaluator(Protocol):
    """Gives the objectives of architectures. The search hands it every network at most once."""

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """The m objectives, in the order of the columns of `evaluate`."""
        ...

    @property
    def execution(self) -> Execution:
        """Where the latencies behind the values come from."""
        ...

    @property
    def cost_s(self) -> float:
        """About how many seconds one evaluation takes; a rough number, the same in every run."""
        ...

    @property
    def fingerprint(self) -> str:
        """A short text that changes when the values would: a checkpoint of another evaluator is refused."""
        ...

    def evaluate(self, architectures: Sequence[Architecture], /) -> Evaluation:
        """Values of n architectures; those of one do not depend on the others beside it."""
        ...

    def extrapolates(self, architectures: Sequence[Architecture], /) -> NDArray[np.bool_]:
        """(n,) bool: which lie outside what a predictor was fitted to, known without an evaluation."""
        ...


class Predicted(Protocol):
    """A batch of predictions: ``mean`` and ``std`` (n,) in natural units, ``extrapolated`` (n,) bool."""

    @property
    def mean(self) -> NDArray[np.float64]:
        """(n,) predictions."""
        ...

    @property
    def std(self) -> NDArray[np.float64]:
        """(n,) their standard deviations."""
        ...

    @property
    def extrapolated(self) -> NDArray[np.bool_]:
        """(n,) which lie outside the training range."""
        ...


class ArchitecturePredictor(Protocol):
    """What the search needs of a fitted ``hytnas_predictors`` Predictor."""

    def predict(self, architectures: Sequence[Architecture], /) -> Predicted:
        """Predictions for n architectures."""
        ...


class _Row(NamedTuple):
    """One row of an `Evaluation`: its values and standard deviations, and whether it is extrapolated."""

    numbers: list[float]
    outside: bool


class PredictorEvaluator:
    """Fitted predictors for some objectives, exact counts of the layer plan for the others.

    Parameters
    ----------
    predictors : mapping of objective name to fitted predictor
        E.g. ``{"latency_ms": ..., "accuracy": ...}``; these are the first objectives, in this order.
    exact_metrics : ExactMetrics
        Where the exact objectives come from.
    exact : sequence of str
        Objectives taken from ``exact_metrics``, after the predicted ones.
    sources : mapping, optional
        What to say of the origin of each predicted objective, e.g. the predictor's name.
    directions : mapping, optional
        "min" or "max" for objectives that are not to go in the direction in which they get better.
    execution : Execution
        How the latencies that the predictors learned were run.
    fingerprint : str, optional
        Identity of the fitted predictors (such as a hash of their files). Without one it is taken from their
        predictions for the first ``probes``.
    probes : sequence of Architecture
        Architectures whose predictions identify the predictors.
    """

    cost_s: Final = 0.0005

    def __init__(
        self,
        predictors: Mapping[str, ArchitecturePredictor],
        exact_metrics: ExactMetrics,
        *,
        exact: Sequence[str] = ("params",),
        sources: Mapping[str, str] | None = None,
        directions: Mapping[str, Direction] | None = None,
        execution: Execution = "native",
        fingerprint: str | None = None,
        probes: Sequence[Architecture] = (),
    ) -> None:
        clash = sorted(set(predictors) & set(exact))
        if clash:
            raise SearchError(f"Both a predictor and the layer plan give {', '.join(clash)}", "Leave one out")
        unknown = sorted(set(exact) - set(exact_metrics.names))
        if unknown:
            given = ", ".join(exact_metrics.names)
            raise SearchError(
                f"The layer plan does not give {', '.join(unknown)}",
                f"It gives {given}" if given else "The space has no networks: leave them out",
            )
        said = sources or {}
        ways = directions or {}
        predicted = tuple(
            get_objective(name, source=said.get(name, "predictor"), direction=ways.get(name))
            for name in predictors
        )
        counted = tuple(get_objective(name, direction=ways.get(name)) for name in exact)
        self.objectives: tuple[Objective, ...] = (*predicted, *counted)
        self.execution: Execution = execution
        self._predictors = dict(predictors)
        self._exact_metrics = exact_metrics
        self._exact = tuple(exact)
        self._rows = Recall(self._predict)
        self.fingerprint: str = fingerprint if fingerprint is not None else self._probe(list(probes))

    def evaluate(self, architectures: Sequence[Architecture], /) -> Evaluation:
        """Predicted and exact values; extrapolated where any of the predictors says so."""
        m = len(self.objectives)
        rows = self._rows(architectures)
        numbers = np.array([row.numbers for row in rows], dtype=np.float64).reshape(len(rows), 2 * m)
        return Evaluation(numbers[:, :m], numbers[:, m:], np.array([row.outside for row in rows], np.bool_))

    def extrapolates(self, architectures: Sequence[Architecture], /) -> NDArray[np.bool_]:
        """(n,) bool: for which any of the predictors extrapolates; an evaluation predicts them only once."""
        return np.array([row.outside for row in self._rows(architectures)], dtype=np.bool_)

    def _predict(self, architectures: list[Architecture]) -> list[_Row]:
        n, padded = len(architectures), _whole_blocks(architectures)
        predictions = [predictor.predict(padded) for predictor in self._predictors.values()]
        columns = [np.asarray(predicted.mean, dtype=np.float64)[:n] for predicted in predictions]
        columns += [self._exact_metrics.values(name, architectures) for name in self._exact]
        columns += [np.asarray(predicted.std, dtype=np.float64)[:n] for predicted in predictions]
        columns += [np.zeros(n) for _ in self._exact]
        outside = np.zeros(n, dtype=np.bool_)
        for predicted in predictions:
            outside |= predicted.extrapolated[:n]
        return [_Row(*row) for row in zip(np.column_stack(columns).tolist(), outside.tolist(), strict=True)]

    def _probe(self, probes: list[Architecture]) -> str:
        if not probes:
            return "predictors"
        found = self.evaluate(probes)
        assert found.extrapolated is not None
        return hashlib.sha256(found.values.tobytes() + found.extrapolated.tobytes()).hexdigest()[:16]


def _whole_blocks(architectures: Sequence[Architecture]) -> list[Architecture]:
    """``architectures`` with the last one repeated until their number is a multiple of `BLOCK`.

    A matrix product takes another way through the odd rows at its end, so that the last bits of a row's
    prediction depend on how many rows there are. Within whole blocks they do not, and a search is the same
    however its evaluations are divided.
    """
    missing = -len(architectures) % BLOCK
    return [*architectures, *(list(architectures[-1:]) * missing)]


class TableEvaluator:
    """Known labels: a table of networks, and nothing beyond it.

    Parameters
    ----------
    objectives : sequence of m Objective
    table : mapping of network identity to m values in natural units
    exact_metrics : ExactMetrics
        Gives the identity of an architecture.
    """

    cost_s: Final = 0.0

    def __init__(
        self,
        objectives: Sequence[Objective],
        table: Mapping[str, Sequence[float]],
        exact_metrics: ExactMetrics,
        *,
        execution: Execution = "native",
    ) -> None:
        self.objectives: tuple[Objective, ...] = tuple(objectives)
        self.execution: Execution = execution
        wrong = next((key for key, values in table.items() if len(values) != len(self.objectives)), None)
        if wrong is not None:
            raise SearchError(
                f"The table has {len(table[wrong])} values for {wrong}, not {len(self.objectives)}"
            )
        self._table = {key: tuple(float(value) for value in values) for key, values in table.items()}
        self._exact_metrics = exact_metrics
        digest = hashlib.sha256(msgspec.json.encode(sorted(self._table.items())))
        self.fingerprint: str = digest.hexdigest()[:16]

    @classmethod
    def of_labels(
        cls,
        objectives: Sequence[Objective],
        architectures: Sequence[Architecture],
        values: NDArray[np.float64],
        exact_metrics: ExactMetrics,
    ) -> "TableEvaluator":
        """The table of (n, m) ``values`` of n architectures; SearchError if labels of one network differ."""
        table: dict[str, Sequence[float]] = {}
        for identity, row in zip(exact_metrics.identities(architectures), values.tolist(), strict=True):
            if table.setdefault(identity, row) != row:
                raise SearchError(
                    f"The table has two different labels for the network {identity}", "Average them first"
                )
        return cls(objectives, table, exact_metrics)

    def evaluate(self, architectures: Sequence[Architecture], /) -> Evaluation:
        """The labels; raises EvaluationError for an architecture that is not in the table."""
        rows = []
        named = zip(architectures, self._exact_metrics.identities(architectures), strict=True)
        for architecture, identity in named:
            if identity not in self._table:
                raise EvaluationError(
                    f"The table has no label for the network {identity} of {architecture.space}",
                    "Search with predictors fitted on the table instead",
                )
            rows.append(self._table[identity])
        return Evaluation(np.array(rows, dtype=np.float64).reshape(len(rows), len(self.objectives)))

    def extrapolates(self, architectures: Sequence[Architecture], /) -> NDArray[np.bool_]:
        """(n,) bool: none, since labels are not predicted."""
        return np.zeros(len(architectures), dtype=np.bool_)


class CallableEvaluator:
    """Any function from n architectures to (n, m) values in natural units; by default 1 s for each."""

    def __init__(
        self,
        objectives: Sequence[Objective],
        function: Callable[[Sequence[Architecture]], NDArray[np.float64]],
        *,
        fingerprint: str = "callable",
        execution: Execution = "native",
        cost_s: float = 1.0,
    ) -> None:
        self.objectives: tuple[Objective, ...] = tuple(objectives)
        self.execution: Execution = execution
        self.fingerprint: str = fingerprint
        self.cost_s: float = cost_s
        self._function = function

    def evaluate(self, architectures: Sequence[Architecture], /) -> Evaluation:
        """The function's values."""
        return Evaluation(np.asarray(self._function(architectures), dtype=np.float64))

    def extrapolates(self, architectures: Sequence[Architecture], /) -> NDArray[np.bool_]:
        """(n,) bool: none, as far as is known of a function."""
        return np.zeros(len(architectures), dtype=np.bool_)


def checked(
    values: NDArray[np.float64], architectures: Sequence[Architecture], space: Space, m: int
) -> NDArray[np.float64]:
    """``values`` as (n, m) float64, or EvaluationError where the shape is wrong or a value is not finite."""
    array = np.asarray(values, dtype=np.float64)
    if array.shape != (len(architectures), m):
        raise EvaluationError(
            f"The evaluator gave values of shape {array.shape}, not {(len(architectures), m)}"
        )
    bad = np.flatnonzero(~np.isfinite(array).all(axis=1))
    if bad.size:
        first = architectures[int(bad[0])]
        raise EvaluationError(
            f"The evaluation of {space.format(first)} gave {array[bad[0]].tolist()}, which is not all finite",
            "Check the predictor or the labels of this architecture",
        )
    return array
