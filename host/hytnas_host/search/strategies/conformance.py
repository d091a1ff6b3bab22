"""What every search strategy must do, bundled or of another package; see `hytnas_agent.conformance`."""

from pathlib import Path
from typing import Any, Final

import numpy as np

from hytnas_agent.conformance import SuiteCheck, refused
from hytnas_datasets.spaces import Architecture, Space
from hytnas_host.search.errors import EvaluationError, SearchError
from hytnas_host.search.evaluators import Evaluator
from hytnas_host.search.strategies import Strategy, make_strategy
from hytnas_host.search.toy import conditional_space, small_space, toy_evaluator, toy_problem, wide_space

QUICK: Final[dict[str, dict[str, Any]]] = {
    "hyt": {"members": 2, "population": 16, "generations": 3},
    "hyt-plus": {"members": 2, "population": 16, "generations": 3},
    "mobo-gp": {"population": 16, "generations": 3},
    "nsga2": {"population": 8},
}
"""Options with which bundled strategies are quick; others run with their defaults."""


def check_candidates_are_distinct_and_of_the_space(name: str, folder: Path) -> None:
    """No candidate comes twice, and each belongs to the space."""
    del folder
    for space in (small_space(), wide_space(), conditional_space()):
        strategy = _make(name, space)
        architectures = _drive(strategy, 5)
        assert len(architectures) == 20, f"{len(architectures)} came of 20"
        assert all(space.contains(each) for each in architectures), "one is not of the space"
        assert len(_identities(strategy, architectures)) == 20, "a candidate came twice"


def check_exact_constraints_are_never_broken(name: str, folder: Path) -> None:
    """What breaks a constraint that is decided without evaluation is never asked for."""
    del folder
    for space in (small_space(), wide_space(), conditional_space()):
        strategy = _make(name, space, constraints=["params <= 70"])
        architectures = _drive(strategy, 4)
        assert strategy.problem.admissible(architectures).all(), "a constraint was broken"
        assert len(architectures) >= 12, f"only {len(architectures)} came"


def check_the_seed_decides(name: str, folder: Path) -> None:
    """Equal seeds give equal runs, others do not."""
    del folder
    first, again, other = (_drive(_make(name, wide_space(), seed), 4) for seed in (1, 1, 2))
    assert first == again, "equal seeds gave different runs"
    assert first != other, "another seed gave the same run"


def check_a_restored_strategy_goes_on_bit_identically(name: str, folder: Path) -> None:
    """From a state taken at any time, what follows is the same."""
    del folder
    for stop in (0, 1, 3):
        whole = _make(name, wide_space())
        _drive(whole, stop)
        state, known, values = whole.state(), list(whole.architectures), whole.values.copy()
        _drive(whole, 3)
        other = _make(name, wide_space(), seed=99)
        other.restore(state, known, values)
        _drive(other, 3)
        assert other.architectures == whole.architectures, f"other candidates came after {stop} rounds"
        assert np.array_equal(other.values, whole.values)
        assert other.state() == whole.state(), f"another state came after {stop} rounds"


def check_pending_candidates_are_not_asked_again(name: str, folder: Path) -> None:
    """Batches may overlap, and be told in another order."""
    del folder
    strategy = _make(name, wide_space())
    _drive(strategy, 2)
    batches = [strategy.ask(4) for _ in range(3)]
    asked = [architecture for batch in batches for architecture in batch]
    assert len(_identities(strategy, asked)) == 12, "a pending candidate was asked for again"
    assert len(strategy.pending) == 12
    for batch in reversed(batches):
        strategy.tell(batch, EVALUATOR.evaluate(batch).values)
    assert not strategy.pending
    assert len(strategy.architectures) == 20


def check_pending_candidates_survive_a_restart(name: str, folder: Path) -> None:
    """The state holds what was asked for and not told."""
    del folder
    strategy = _make(name, wide_space())
    _drive(strategy, 2)
    strategy.ask(4)
    other = _make(name, wide_space(), seed=5)
    other.restore(strategy.state(), strategy.architectures, strategy.values)
    assert other.pending == strategy.pending
    assert other.ask(4) == strategy.ask(4), "the restored strategy asks for others"


def check_an_exhausted_space_gives_each_candidate_once_and_then_none(name: str, folder: Path) -> None:
    """A small space is searched to its end."""
    del folder
    strategy = _make(name, small_space())
    while asked := strategy.ask(7):
        strategy.tell(asked, EVALUATOR.evaluate(asked).values)
    assert len(strategy.architectures) == 24, f"{len(strategy.architectures)} of 24 came"
    assert len(_identities(strategy, strategy.architectures)) == 24
    assert strategy.ask(1) == []


def check_values_that_are_not_finite_are_refused_and_leave_no_trace(name: str, folder: Path) -> None:
    """After a refusal the same candidates can be told properly."""
    del folder
    for bad in (np.nan, np.inf):
        strategy = _make(name, wide_space())
        asked = strategy.ask(3)
        values = EVALUATOR.evaluate(asked).values
        values[1, 0] = bad
        _refuse_told(strategy, asked, values, EvaluationError, "not all finite")
        assert strategy.architectures == []
        assert len(strategy.pending) == 3
        strategy.tell(asked, EVALUATOR.evaluate(asked).values)
        assert strategy.architectures == asked


def check_told_twice_is_refused(name: str, folder: Path) -> None:
    """One candidate, one telling."""
    del folder
    strategy = _make(name, wide_space())
    asked = strategy.ask(2)
    strategy.tell(asked, EVALUATOR.evaluate(asked).values)
    twins = wide_space().sample(1, np.random.default_rng(0)) * 2
    for again in (asked[:1], twins):
        _refuse_told(strategy, again, EVALUATOR.evaluate(again).values, SearchError, "told already")
    assert len(strategy.architectures) == 2


def check_known_labels_can_be_told_unasked(name: str, folder: Path) -> None:
    """What was told is not asked for, whoever chose it."""
    del folder
    strategy = _make(name, wide_space())
    known = strategy.problem.draw_new(12, (), np.random.default_rng(3))
    strategy.tell(known, EVALUATOR.evaluate(known).values)
    asked = strategy.ask(12)
    assert len(asked) == 12
    assert not _identities(strategy, asked) & _identities(strategy, known), "what was told is asked for"


def check_told_candidates_must_keep_to_the_constraints(name: str, folder: Path) -> None:
    """What breaks an exact constraint is refused."""
    del folder
    strategy = _make(name, wide_space(), constraints=["params <= 70"])
    sample = wide_space().sample(50, np.random.default_rng(0))
    dear = [architecture for architecture in sample if sum(architecture.indices[:-1]) > 6][:1]
    _refuse_told(strategy, dear, EVALUATOR.evaluate(dear).values, SearchError, "breaks a constraint")


def check_evaluated_constraints_do_not_stop_the_search(name: str, folder: Path) -> None:
    """A constraint that is known only after the evaluation is told of by ``feasible``."""
    del folder
    strategy = _make(name, wide_space(), constraints=["latency <= 16 ms"])
    _drive(strategy, 5)
    assert len(strategy.architectures) == 20
    assert np.array_equal(strategy.feasible, strategy.values[:, 0] <= 16)


def check_impossible_batches_are_refused(name: str, folder: Path) -> None:
    """A batch holds something."""
    del folder
    strategy = _make(name, wide_space())
    refused(SearchError, lambda: strategy.ask(0), "at least 1")
    refused(SearchError, lambda: strategy.ask(-1), "at least 1")


def check_inputs_are_not_changed(name: str, folder: Path) -> None:
    """What the strategy is told stays as it is."""
    del folder
    strategy = _make(name, wide_space())
    asked = strategy.ask(5)
    values = EVALUATOR.evaluate(asked).values
    told, copy = list(asked), values.copy()
    strategy.tell(told, values)
    strategy.ask(5)
    assert told == asked
    assert np.array_equal(values, copy)


def check_unknown_options_and_sizes_are_refused(name: str, folder: Path) -> None:
    """Wrong options are one clear error."""
    del folder
    refused(SearchError, lambda: _make(name, wide_space(), colour="red"), "cannot be made")
    refused(SearchError, lambda: _make(name, wide_space(), initial=0), "too small")


CHECKS: Final[tuple[SuiteCheck, ...]] = (
    check_candidates_are_distinct_and_of_the_space,
    check_exact_constraints_are_never_broken,
    check_the_seed_decides,
    check_a_restored_strategy_goes_on_bit_identically,
    check_pending_candidates_are_not_asked_again,
    check_pending_candidates_survive_a_restart,
    check_an_exhausted_space_gives_each_candidate_once_and_then_none,
    check_values_that_are_not_finite_are_refused_and_leave_no_trace,
    check_told_twice_is_refused,
    check_known_labels_can_be_told_unasked,
    check_told_candidates_must_keep_to_the_constraints,
    check_evaluated_constraints_do_not_stop_the_search,
    check_impossible_batches_are_refused,
    check_inputs_are_not_changed,
    check_unknown_options_and_sizes_are_refused,
)

EVALUATOR: Final[Evaluator] = toy_evaluator()


def _make(
    name: str, space: Space, seed: int = 0, *, constraints: list[str] | None = None, **options: Any
) -> Strategy:
    problem = toy_problem(space, constraints or [])
    chosen = {"initial": 8, **QUICK.get(name, {}), **options}
    return make_strategy(name, problem, np.random.default_rng(seed), **chosen)


def _drive(strategy: Strategy, rounds: int, n: int = 4) -> list[Architecture]:
    for _ in range(rounds):
        asked = strategy.ask(n)
        strategy.tell(asked, EVALUATOR.evaluate(asked).values)
    return strategy.architectures


def _identities(strategy: Strategy, architectures: list[Architecture]) -> set[str]:
    return {strategy.problem.identity(architecture) for architecture in architectures}


def _refuse_told(
    strategy: Strategy,
    architectures: list[Architecture],
    values: np.ndarray[Any, np.dtype[np.float64]],
    kind: type[SearchError],
    pattern: str,
) -> None:
    refused(kind, lambda: strategy.tell(architectures, values), pattern)
