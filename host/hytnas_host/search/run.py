"""The search itself: ask, evaluate, tell, checkpoint, until the evaluations are spent."""

import hashlib
import itertools
import json
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from hytnas_datasets.errors import SpaceError
from hytnas_datasets.plan import Task
from hytnas_datasets.spaces import Architecture, Space
from hytnas_host.search.checkpoint import Checkpoint, CheckpointFile, Step
from hytnas_host.search.constraints import Constraint, parse_constraint, violation
from hytnas_host.search.effort import default_effort
from hytnas_host.search.errors import CheckpointError, SearchError
from hytnas_host.search.evaluators import Evaluator, checked
from hytnas_host.search.exact_metrics import ExactMetrics, exact_metrics_of
from hytnas_host.search.objectives import signs
from hytnas_host.search.pareto import RunningFront, choose_reference_point, non_dominated
from hytnas_host.search.picks import pick
from hytnas_host.search.problem import ENUMERABLE, MAX_DRAWS, SearchProblem
from hytnas_host.search.result import Evaluated, SearchResult
from hytnas_host.search.strategies import Strategy, make_strategy
from hytnas_predictors.progress import ProgressFactory, SilentProgress

Extrapolated = Literal["allow", "avoid"]

EXTRAPOLATED_NOTE: Final = (
    "{outside} of {front} members of the front lie outside the range of the predictors' training: their "
    "values are extrapolated, and fronts err most there. Verify them, or search with --extrapolated avoid."
)


def run_search(
    space: Space,
    evaluator: Evaluator,
    *,
    task: Task,
    strategy: str | None = None,
    constraints: Sequence[str | Constraint] = (),
    evaluations: int | None = None,
    batch: int | None = None,
    seed: int = 0,
    initial: int | None = None,
    options: Mapping[str, Any] | None = None,
    reference_point: Sequence[float] | None = None,
    exact_metrics: ExactMetrics | None = None,
    candidates: Sequence[Architecture] | None = None,
    extrapolated: Extrapolated = "allow",
    checkpoint: Path | None = None,
    progress: ProgressFactory = SilentProgress,
) -> SearchResult:
    """Search ``space`` for the best trade-offs between the evaluator's objectives.

    The same arguments give the same result, whether the run was interrupted or not; only ``seconds`` differs.
    The number of evaluations is a budget and no part of what the search is: a search of 100 evaluations
    begins as one of 200 does.

    Parameters
    ----------
    space : Space
    evaluator : Evaluator
    task : Task
        What the networks are built for; parameters and MACs are counted for it.
    strategy : str, optional
        A name in `list_strategies`. Where it or one of the numbers is not given, what an evaluation costs
        decides, see `default_effort`.
    constraints : sequence of str or Constraint
        Hard ones, see `hytnas_host.search.constraints`.
    evaluations : int, optional
        The budget: how many networks to evaluate in total.
    batch : int, optional
        How many to evaluate between two looks of the strategy.
    seed : int
    initial : int, optional
        Size of the initial design; the reference point is chosen from it once it has been evaluated, with
        what completes its last batch.
    options : mapping, optional
        Further options of the strategy, numbers or texts.
    reference_point : sequence of m float, optional
        In natural units; chosen from the initial design with a margin of 10 % of its range without.
    exact_metrics : ExactMetrics, optional
        Identity and exact metrics; by default those that the space offers, see `exact_metrics_of`.
    candidates : sequence of Architecture, optional
        The only architectures that may be evaluated, such as the rows of a table.
    extrapolated : "allow" or "avoid"
        Whether architectures outside the range of the predictors' training may be evaluated. They are marked;
        a search is drawn to them, because predictors err most there.
    checkpoint : Path, optional
        Where to keep the state after every iteration, and to go on from where it exists. Between runs
        ``evaluations`` may be raised: the search goes on. It may be lowered: the result is what it was after
        so many, and the checkpoint stays as it is.
    progress : ProgressFactory

    Raises
    ------
    SearchError
        For impossible settings, or constraints that no architecture was found to meet.
    CheckpointError
        For a checkpoint that cannot be used.
    EvaluationError
        When the evaluator gives values that are not finite; what was evaluated before is in the checkpoint.

    Examples
    --------
    >>> from hytnas_datasets.spaces import get_space
    >>> from hytnas_host.search.evaluators import CallableEvaluator
    >>> from hytnas_host.search.exact_metrics import PlanMetrics
    >>> from hytnas_host.search.objectives import get_objective
    >>> from hytnas_predictors.roofline import estimate_latency_ms
    >>> task = Task(resolution=64)
    >>> def values(architectures):
    ...     counts = PlanMetrics(task).values("params", architectures)
    ...     return np.column_stack([[estimate_latency_ms(a, task) for a in architectures], counts])
    >>> evaluator = CallableEvaluator([get_objective("latency_ms"), get_objective("params")], values)
    >>> result = run_search(
    ...     get_space("hyt"), evaluator, task=task, strategy="random", evaluations=20
    ... )
    >>> len(result.evaluated), 1 <= len(result.front) <= 20
    (20, True)
    """
    usual = default_effort(space, evaluator.cost_s, strategy)
    strategy = usual.strategy
    evaluations = usual.evaluations if evaluations is None else evaluations
    batch = usual.batch if batch is None else batch
    initial = usual.initial if initial is None else initial
    if evaluations < 1 or batch < 1 or seed < 0:
        raise SearchError(
            "A search needs at least 1 evaluation, a batch of at least 1 and a seed of at least 0"
        )
    parsed = tuple(parse_constraint(c) if isinstance(c, str) else c for c in constraints)
    problem = SearchProblem(
        space,
        tuple(evaluator.objectives),
        exact_metrics or exact_metrics_of(space, task),
        parsed,
        evaluator.extrapolates if extrapolated == "avoid" else None,
        None if candidates is None else tuple(candidates),
    )
    extra = dict(options or {})
    searcher = make_strategy(strategy, problem, np.random.default_rng(seed), initial=initial, **extra)
    config = {
        **_describe(problem, evaluator, task),
        "strategy": strategy,
        "options": json.dumps(extra, sort_keys=True, default=str),
        "batch": str(batch),
        "seed": str(seed),
        "initial": str(initial),
        "reference point": str(list(reference_point)) if reference_point is not None else "chosen",
        "extrapolated": extrapolated,
        "candidates": "all" if candidates is None else _digest(space, candidates),
    }
    reference = _minimised_reference(reference_point, problem)
    file = None if checkpoint is None else CheckpointFile(checkpoint, config)
    run = _Run(searcher, evaluator, file, initial, batch, reference)
    with nullcontext() if file is None else file.open() as kept:
        if kept is not None:
            run.resume(kept, evaluations)
        notes = run.loop(evaluations, progress)
    return run.result(strategy, seed, task, notes)


@dataclass
class _Run:
    """One run under way. ``reference`` is minimised; ``counts`` the evaluations after each whole batch.

    What an iteration costs here depends on its batch, and not on what was evaluated before. ``evaluated``
    grows with each evaluation; ``front`` holds what is best of the first ``in_front`` of them, ``history`` is
    the hypervolume after each whole batch since there is a reference point.

    Where the budget ends within a batch, the rest of the batch stays pending in the strategy, and a raised
    budget begins with it: so nothing that the strategy sees depends on the budget.
    """

    strategy: Strategy
    evaluator: Evaluator
    file: CheckpointFile | None
    initial: int
    batch: int
    reference: NDArray[np.float64] | None
    counts: list[int] = field(default_factory=list)
    evaluated: list[Evaluated] = field(default_factory=list)
    history: list[tuple[int, float]] = field(default_factory=list)
    front: RunningFront = field(init=False)
    in_front: int = 0
    before_s: float = 0.0
    started_s: float = field(default_factory=time.perf_counter)

    def __post_init__(self) -> None:
        self.front = RunningFront(len(self.strategy.problem.objectives))

    def resume(self, kept: Checkpoint, evaluations: int) -> None:
        """Go on from a checkpoint; of one with more ``evaluations`` take the first."""
        rows = kept.evaluated[:evaluations]
        try:
            known = [self.strategy.problem.space.parse(row.architecture) for row in rows]
            self.strategy.restore(kept.state, known, np.array([row.values for row in rows]))
            _check_progress(kept, len(self.strategy.problem.objectives))
        except (SpaceError, SearchError, ValueError, TypeError, KeyError, OverflowError) as error:
            assert self.file is not None
            raise CheckpointError(
                f"The checkpoint {self.file.path} is damaged: {error}", "Delete it to begin again"
            ) from error
        self.before_s = kept.seconds
        self.evaluated = self._rows(
            known, self.strategy.values, [row.std for row in rows], [row.extrapolated for row in rows]
        )
        if len(rows) == len(kept.evaluated) and kept.reference_point is not None:
            self.reference = np.array(kept.reference_point)
        for count in kept.counts:
            if count <= evaluations:
                self._complete_batch(count)

    def loop(self, evaluations: int, progress: ProgressFactory) -> tuple[str, ...]:
        """Iterate until the evaluations are spent or no new network is found; returns notes on that."""
        done = len(self.strategy.architectures)
        with progress("Search", evaluations, done) as bar:
            while done < evaluations:
                asked = list(self.strategy.pending.values()) or self.strategy.ask(self.batch)
                if not asked:
                    return (self._exhausted(done),)
                asked = asked[: evaluations - done]
                self._evaluate(asked)
                done += len(asked)
                bar.advance(len(asked))
                if self.history:
                    bar.note(f"hypervolume {self.history[-1][1]:.4g}")
        return ()

    def result(self, strategy: str, seed: int, task: Task, notes: tuple[str, ...]) -> SearchResult:
        """What the run has found."""
        problem = self.strategy.problem
        evaluated = tuple(self.evaluated)
        feasible = self.strategy.feasible
        points = self.strategy.minimised
        if not feasible.any():
            notes = (*notes, "No evaluated architecture meets the constraints: the front is empty.")
            notes = (*notes, self._nearest_miss())
        if not self.counts or self.counts[-1] < len(points):
            self._complete_batch(len(points))
        if self.reference is None:
            self.reference = choose_reference_point(points[feasible] if feasible.any() else points)
            self._extend_history()
        usable = np.flatnonzero(feasible)
        members = usable[non_dominated(points[usable])]
        members = members[np.lexsort((members, points[members, 0]))]
        front = tuple(evaluated[index] for index in members)
        outside = sum(member.extrapolated for member in front)
        if outside:
            notes = (*notes, EXTRAPOLATED_NOTE.format(outside=outside, front=len(front)))
        return SearchResult(
            space=problem.space.name,
            strategy=strategy,
            seed=seed,
            task=task,
            objectives=problem.objectives,
            constraints=tuple(str(constraint) for constraint in problem.constraints),
            reference_point=tuple(self.reference.tolist()),
            evaluated=evaluated,
            front=front,
            hypervolume=tuple(self.history),
            picks=pick(front, problem.objectives),
            seconds=self._seconds(),
            execution=self.evaluator.execution,
            notes=notes,
        )

    def _nearest_miss(self) -> str:
        """Which architecture breaks the constraints least, where all break one that is evaluated."""
        problem = self.strategy.problem
        constraints = problem.evaluated_constraints
        broken = np.column_stack(
            [violation(c, self.strategy.values[:, problem.names.index(c.name)]) for c in constraints]
        )
        row = int(np.argmin(broken.max(axis=1)))
        column = int(np.argmax(broken[row]))
        found = self.strategy.values[row, problem.names.index(constraints[column].name)]
        name, missed = problem.space.format(self.strategy.architectures[row]), constraints[column]
        return f"The nearest is {name}: it has {missed.name} {found:.6g}, not {missed}."

    def _evaluate(self, asked: list[Architecture]) -> None:
        problem = self.strategy.problem
        found = self.evaluator.evaluate(asked)
        values = checked(found.values, asked, problem.space, len(problem.objectives))
        self.strategy.tell(asked, values)
        std = [()] * len(asked) if found.std is None else list(map(tuple, found.std.tolist()))
        outside = [False] * len(asked) if found.extrapolated is None else found.extrapolated.tolist()
        added = self._rows(asked, values, std, outside)
        self.evaluated += added
        ended = not self.strategy.pending
        if ended:
            self._complete_batch(len(self.evaluated))
        if self.file is not None:
            reference = None if self.reference is None else tuple(self.reference.tolist())
            self.file.append(Step(self.strategy.state(), tuple(added), ended, reference, self._seconds()))

    def _complete_batch(self, count: int) -> None:
        """Note that a batch ended with ``count`` evaluations, and choose the reference point once one can."""
        self.counts.append(count)
        feasible = self.strategy.feasible[:count]
        if self.reference is None and count >= self.initial and feasible.any():
            self.reference = choose_reference_point(self.strategy.minimised[:count][feasible])
        if self.reference is not None:
            self._extend_history()

    def _extend_history(self) -> None:
        """Take what is not in it yet into the front, batch by batch."""
        assert self.reference is not None
        for count in self.counts[len(self.history) :]:
            new = slice(self.in_front, count)
            self.front.add(self.strategy.minimised[new][self.strategy.feasible[new]])
            self.in_front = count
            self.history.append((count, self.front.hypervolume(self.reference)))

    def _rows(
        self,
        architectures: list[Architecture],
        values: NDArray[np.float64],
        std: Sequence[tuple[float, ...]],
        outside: Sequence[bool],
    ) -> list[Evaluated]:
        """What is kept of n architectures that follow those in ``evaluated``; ``values`` (n, m)."""
        problem = self.strategy.problem
        first = len(self.evaluated) + 1
        texts = problem.space.format_all(architectures)
        rows = zip(texts, architectures, values.tolist(), std, outside, strict=True)
        return [
            Evaluated(text, problem.identity(architecture), tuple(row), number, errors, beyond)
            for number, (text, architecture, row, errors, beyond) in enumerate(rows, start=first)
        ]

    def _seconds(self) -> float:
        return self.before_s + time.perf_counter() - self.started_s

    def _exhausted(self, done: int) -> str:
        problem = self.strategy.problem
        limits = [str(constraint) for constraint in problem.exact_constraints]
        if problem.excluded is not None:
            limits.append("no extrapolation")
        bounds = " and ".join(limits)
        which = f" with {bounds}" if bounds else ""
        how = "" if problem.space.size <= ENUMERABLE else f" in {MAX_DRAWS} random draws"
        if done == 0:
            ways = ["loosen the constraints"] if problem.exact_constraints else []
            ways += ["allow extrapolation"] if problem.excluded is not None else []
            hint = " or ".join(ways).capitalize() or "Search a space that has architectures"
            raise SearchError(f"No architecture of {problem.space.name}{which} was found{how}", hint)
        return f"Ended after {done} evaluations: {problem.space.name}{which} gave no further network{how}."


def _check_progress(kept: Checkpoint, m: int) -> None:
    """Raise ValueError where batches or reference point of m objectives do not fit what was evaluated."""
    if kept.reference_point is not None and len(kept.reference_point) != m:
        raise ValueError(f"a reference point of {len(kept.reference_point)} values for {m} objectives")
    if any(end >= after for end, after in itertools.pairwise([0, *kept.counts])):
        raise ValueError(f"batches end after {list(kept.counts)} of {len(kept.evaluated)} evaluations")


def _minimised_reference(given: Sequence[float] | None, problem: SearchProblem) -> NDArray[np.float64] | None:
    if given is None:
        return None
    point = np.array([given], dtype=np.float64)
    if point.shape[1] != len(problem.objectives) or not np.isfinite(point).all():
        raise SearchError(
            f"The reference point {list(given)} does not fit the objectives {', '.join(problem.names)}",
            "Give one finite number for each, in natural units",
        )
    return np.asarray(point[0] * signs(problem.objectives), dtype=np.float64)


def _digest(space: Space, candidates: Sequence[Architecture]) -> str:
    return hashlib.sha256("\n".join(space.format_all(candidates)).encode()).hexdigest()[:16]


def _describe(problem: SearchProblem, evaluator: Evaluator, task: Task) -> dict[str, str]:
    """What is searched, as texts to compare and to show."""
    objectives = (f"{o.direction} {o.name} [{o.unit}] {o.source}".strip() for o in problem.objectives)
    return {
        "space": f"{problem.space.name} {problem.space.hash()}",
        "task": msgspec.json.encode(task).decode(),
        "objectives": "; ".join(objectives),
        "constraints": "; ".join(str(constraint) for constraint in problem.constraints) or "none",
        "evaluator": evaluator.fingerprint,
    }
