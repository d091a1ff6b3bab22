"""Measuring the winners afresh: predicted beside measured, for the front and for random controls.

A front is chosen by its predictions, so these flatter it (the winner's curse). Random controls, measured in
the same batch, show the predictor's error without that choice.

References
----------
[Smith2006] J. E. Smith, R. L. Winkler, "The Optimizer's Curse: Skepticism and Postdecision Surprise in
    Decision Analysis", Management Science 52(3), 2006.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from hytnas_agent.records import Execution, LatencyLabel, Outcome
from hytnas_datasets.spaces import Architecture, Space
from hytnas_datasets.targets import LATENCY
from hytnas_host.search.errors import SearchError
from hytnas_host.search.evaluators import ArchitecturePredictor, Predicted
from hytnas_host.search.exact_metrics import ExactMetrics, exact_metrics_of
from hytnas_host.search.objectives import to_minimised
from hytnas_host.search.problem import SearchProblem
from hytnas_host.search.result import SearchResult, Verification, VerifiedRow
from hytnas_predictors.intervals import (
    DEFAULT_RESAMPLES,
    bootstrap_tau,
    group_codes,
    percentile_interval,
    resample_weights,
)
from hytnas_predictors.metrics import kendall_tau, mape

MIN_FOR_TAU: Final = 4

Role = Literal["front", "control"]
Measure = Callable[[Sequence[Architecture]], Sequence[LatencyLabel | None]]
"""Measures n architectures in one batch; None for those that there was no time for."""


@dataclass(frozen=True)
class Chosen:
    """What is to be measured, in the random order in which it is.

    Attributes
    ----------
    architectures : tuple of n Architecture
    roles : tuple of n "front" or "control"
    """

    architectures: tuple[Architecture, ...]
    roles: tuple[Role, ...]


def spread_subset(points: NDArray[np.float64], n: int, /, *, keep: Sequence[int] = ()) -> list[int]:
    """Indices of ``n`` well-spread rows of ``points`` (k, m), the rows ``keep`` among them.

    Each next row is the one furthest from those chosen (Gonzalez 1985), after every column is scaled to
    [0, 1]; without ``keep`` the first is the row smallest in the first column. All rows where ``k <= n``.
    """
    if len(points) <= n:
        return list(range(len(points)))
    extent = np.ptp(points, axis=0)
    scaled = (points - points.min(axis=0)) / np.where(extent > 0, extent, 1.0)
    chosen = list(dict.fromkeys(keep))[:n] or [int(np.argmin(scaled[:, 0]))][:n]
    while len(chosen) < n:
        distance = np.linalg.norm(scaled[:, None, :] - scaled[chosen][None, :, :], axis=2).min(axis=1)
        distance[chosen] = -1.0
        chosen.append(int(np.argmax(distance)))
    return sorted(chosen)


def choose(
    result: SearchResult,
    space: Space,
    *,
    rng: np.random.Generator,
    n_controls: int | None = None,
    max_front: int = 10,
    known: Collection[str] = (),
    exact_metrics: ExactMetrics | None = None,
) -> Chosen:
    """Members of the front, and random architectures that nothing has been learned from.

    Parameters
    ----------
    result : SearchResult
    space : Space
    rng : Generator
    n_controls : int, optional
        As many as there are members of the front to measure without.
    max_front : int
        Of a larger front a well-spread subset is taken, the picks included.
    known : collection of str
        Identities (plan hashes) of the networks the predictor was fitted to; no control is one of them, nor
        one that the search evaluated.
    exact_metrics : ExactMetrics, optional
        By default those that the space offers for the result's task.

    Raises
    ------
    SearchError
        For an empty front or impossible numbers.
    """
    if not result.front:
        raise SearchError("The front is empty: there is nothing to verify", "Loosen its constraints")
    if max_front < 1 or (n_controls is not None and n_controls < 0):
        raise SearchError("A verification needs at least 1 member of the front and 0 or more controls")
    names = [member.architecture for member in result.front]
    picked = [names.index(pick.architecture) for pick in result.picks]
    points = to_minimised(np.array([member.values for member in result.front]), result.objectives)
    front = [space.parse(names[index]) for index in spread_subset(points, max_front, keep=picked)]
    metrics = exact_metrics or exact_metrics_of(space, result.task)
    anywhere = SearchProblem(space, result.objectives, metrics)
    seen = {*known, *(row.plan_hash for row in result.evaluated)}
    controls = anywhere.draw_new(len(front) if n_controls is None else n_controls, seen, rng)
    everything = [*front, *controls]
    order = rng.permutation(len(everything)).tolist()
    roles: tuple[Role, ...] = tuple("front" if place < len(front) else "control" for place in order)
    return Chosen(tuple(everything[place] for place in order), roles)


def verify(
    result: SearchResult,
    *,
    measure: Measure,
    predictor: ArchitecturePredictor,
    space: Space,
    rng: np.random.Generator,
    n_controls: int | None = None,
    max_front: int = 10,
    known: Collection[str] = (),
    device_name: str = "local",
    execution: Execution = "native",
    predictor_name: str = "",
    exact_metrics: ExactMetrics | None = None,
) -> Verification:
    """Measure the front and as many random controls afresh, in one batch of random order.

    Parameters
    ----------
    measure : callable
        Takes n architectures and gives n labels in the same order, None where there was no time. It must
        measure anew, never look labels up that the predictor has learned from.
    predictor : fitted latency predictor
    predictor_name : str
        How the result names the predictor; what the search says of it without.
    result, space, rng, n_controls, max_front, known, exact_metrics :
        As for `choose`.
    device_name, execution :
        Where and how the measurements are run.

    Raises
    ------
    SearchError
        For an empty front, or where ``measure`` gives another number of labels.
    """
    chosen = choose(
        result,
        space,
        rng=rng,
        n_controls=n_controls,
        max_front=max_front,
        known=known,
        exact_metrics=exact_metrics,
    )
    predicted = predictor.predict(chosen.architectures)
    labels = measure(chosen.architectures)
    if len(labels) != len(chosen.architectures):
        raise SearchError(f"{len(chosen.architectures)} labels were expected, {len(labels)} came")
    rows = _rows(chosen, space, predicted, labels)
    tau, low, high = _tau(rows, rng)
    front_mape, front_bias = errors_of(rows, "front")
    control_mape, control_bias = errors_of(rows, "control")
    return Verification(
        device=device_name,
        execution=execution,
        predictor=predictor_name or _source(result),
        rows=tuple(sorted(rows, key=lambda row: (row.role == "control", row.predicted_ms, row.architecture))),
        front_mape=front_mape,
        control_mape=control_mape,
        front_bias_percent=front_bias,
        control_bias_percent=control_bias,
        kendall_tau=tau,
        kendall_tau_low=low,
        kendall_tau_high=high,
        left_out=len(labels) - len(rows),
    )


def errors_of(rows: Sequence[VerifiedRow], role: Role) -> tuple[float | None, float | None]:
    """MAPE (a fraction) and bias (percent, minus: predicted too fast) of the measured rows of one role.

    None where no row of the role was measured.
    """
    measured, predicted = _measured([row for row in rows if row.role == role])
    if len(measured) == 0:
        return None, None
    return mape(measured, predicted), float(100.0 * np.mean(predicted / measured - 1.0))


def _rows(
    chosen: Chosen, space: Space, predicted: Predicted, labels: Sequence[LatencyLabel | None]
) -> list[VerifiedRow]:
    """Predicted beside measured; a label that is neither OK nor UNSTABLE is a failure without a latency."""
    rows = []
    for place, (architecture, role) in enumerate(zip(chosen.architectures, chosen.roles, strict=True)):
        label = labels[place]
        if label is None:
            continue
        usable = label.outcome in (Outcome.OK, Outcome.UNSTABLE)
        rows.append(
            VerifiedRow(
                architecture=space.format(architecture),
                role=role,
                predicted_ms=float(predicted.mean[place]),
                measured_ms=label.median_ms if usable else None,
                ci_low_ms=label.ci_low_ms if usable else None,
                ci_high_ms=label.ci_high_ms if usable else None,
                outcome=str(label.outcome),
                extrapolated=bool(predicted.extrapolated[place]),
            )
        )
    return rows


def _measured(rows: Sequence[VerifiedRow]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    kept = [(row.measured_ms, row.predicted_ms) for row in rows if row.measured_ms is not None]
    pairs = np.array(kept, dtype=np.float64).reshape(len(kept), 2)
    return pairs[:, 0], pairs[:, 1]


def _tau(
    rows: Sequence[VerifiedRow], rng: np.random.Generator
) -> tuple[float, float, float] | tuple[None, None, None]:
    """Kendall tau-b of predicted and measured over all measured rows, with a bootstrap interval."""
    measured, predicted = _measured(rows)
    if len(measured) < MIN_FOR_TAU:
        return None, None, None
    groups = group_codes([row.architecture for row in rows if row.measured_ms is not None])
    weights = resample_weights(groups, DEFAULT_RESAMPLES, rng)
    taus = bootstrap_tau(measured, predicted[None, :], groups, weights)
    interval = percentile_interval(kendall_tau(measured, predicted), taus)
    return interval.value, interval.low, interval.high


def _source(result: SearchResult) -> str:
    for objective in result.objectives:
        if objective.name == LATENCY.name and objective.source:
            return objective.source
    return "latency predictor"
