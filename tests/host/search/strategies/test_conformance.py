"""One suite that every registered strategy runs through."""

import numpy as np
import pytest

from hytnas_host.search import STRATEGIES, EvaluationError, SearchError, make_strategy, parse_constraint

SPACES = ["small_space", "wide_space", "conditional_space"]


@pytest.fixture(params=STRATEGIES.bundled)
def make(request, make_problem, quick_options):
    def build(space, seed=0, constraints=(), **options):
        problem = make_problem(space, [parse_constraint(text) for text in constraints])
        options = {"initial": 8, **quick_options[request.param], **options}
        return make_strategy(request.param, problem, np.random.default_rng(seed), **options)

    return build


def drive(strategy, evaluator, rounds, n=4):
    for _ in range(rounds):
        asked = strategy.ask(n)
        strategy.tell(asked, evaluator.evaluate(asked))
    return strategy.architectures


@pytest.mark.parametrize("name", SPACES)
def test_networks_are_distinct_and_of_the_space(request, make, evaluator, name):
    space = request.getfixturevalue(name)
    strategy = make(space)
    architectures = drive(strategy, evaluator, 5)
    assert len(architectures) == 20
    assert all(space.contains(a) for a in architectures)
    assert len({strategy.problem.identity(a) for a in architectures}) == 20


@pytest.mark.parametrize("name", SPACES)
def test_exact_constraints_are_never_broken(request, make, evaluator, name):
    strategy = make(request.getfixturevalue(name), constraints=["params <= 70"])
    architectures = drive(strategy, evaluator, 4)
    assert strategy.problem.admissible(architectures).all()
    assert len(architectures) >= 12


def test_the_seed_decides(make, wide_space, evaluator):
    runs = [drive(make(wide_space, seed), evaluator, 4) for seed in (1, 1, 2)]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


@pytest.mark.parametrize("stop", [0, 1, 3])
def test_restored_strategy_goes_on_bit_identically(make, wide_space, evaluator, stop):
    whole = make(wide_space)
    drive(whole, evaluator, stop)
    state, known, values = whole.state(), list(whole.architectures), whole.values.copy()
    drive(whole, evaluator, 3)
    other = make(wide_space, seed=99)
    other.restore(state, known, values)
    drive(other, evaluator, 3)
    assert other.architectures == whole.architectures
    assert np.array_equal(other.values, whole.values)
    assert other.state() == whole.state()


def test_pending_points_are_not_asked_again(make, wide_space, evaluator):
    strategy = make(wide_space)
    drive(strategy, evaluator, 2)
    batches = [strategy.ask(4) for _ in range(3)]
    asked = [a for batch in batches for a in batch]
    assert len({strategy.problem.identity(a) for a in asked}) == 12
    assert len(strategy.pending) == 12
    for batch in reversed(batches):
        strategy.tell(batch, evaluator.evaluate(batch))
    assert not strategy.pending
    assert len(strategy.architectures) == 20


def test_pending_points_survive_a_restart(make, wide_space, evaluator):
    strategy = make(wide_space)
    drive(strategy, evaluator, 2)
    strategy.ask(4)
    other = make(wide_space, seed=5)
    other.restore(strategy.state(), strategy.architectures, strategy.values)
    assert other.pending == strategy.pending
    assert other.ask(4) == strategy.ask(4)


def test_an_exhausted_space_gives_each_network_once_and_then_none(make, small_space, evaluator):
    strategy = make(small_space)
    while asked := strategy.ask(7):
        strategy.tell(asked, evaluator.evaluate(asked))
    assert len({strategy.problem.identity(a) for a in strategy.architectures}) == 24
    assert len(strategy.architectures) == 24
    assert strategy.ask(1) == []


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused_and_leave_no_trace(make, wide_space, evaluator, bad):
    strategy = make(wide_space)
    asked = strategy.ask(3)
    values = evaluator.evaluate(asked)
    values[1, 0] = bad
    with pytest.raises(EvaluationError, match="not all finite"):
        strategy.tell(asked, values)
    assert strategy.architectures == []
    assert len(strategy.pending) == 3
    strategy.tell(asked, evaluator.evaluate(asked))
    assert strategy.architectures == asked


def test_told_twice_is_refused(make, wide_space, evaluator):
    strategy = make(wide_space)
    asked = strategy.ask(2)
    strategy.tell(asked, evaluator.evaluate(asked))
    with pytest.raises(SearchError, match="told already"):
        strategy.tell(asked[:1], evaluator.evaluate(asked[:1]))
    twins = wide_space.sample(1, np.random.default_rng(0)) * 2
    with pytest.raises(SearchError, match="told already"):
        strategy.tell(twins, evaluator.evaluate(twins))
    assert len(strategy.architectures) == 2


def test_known_labels_can_be_told_unasked(make, wide_space, evaluator):
    strategy = make(wide_space)
    known = strategy.problem.draw_new(12, (), np.random.default_rng(3))
    strategy.tell(known, evaluator.evaluate(known))
    asked = strategy.ask(12)
    identities = {strategy.problem.identity(a) for a in known}
    assert len(asked) == 12
    assert not {strategy.problem.identity(a) for a in asked} & identities


def test_told_architectures_must_keep_to_the_constraints(make, wide_space, evaluator):
    strategy = make(wide_space, constraints=["params <= 70"])
    dear = [a for a in wide_space.sample(50, np.random.default_rng(0)) if sum(a.indices[:-1]) > 6][:1]
    with pytest.raises(SearchError, match="breaks a constraint"):
        strategy.tell(dear, evaluator.evaluate(dear))


def test_evaluated_constraints_do_not_stop_the_search(make, wide_space, evaluator):
    strategy = make(wide_space, constraints=["latency <= 16 ms"])
    drive(strategy, evaluator, 5)
    assert len(strategy.architectures) == 20
    assert np.array_equal(strategy.feasible, strategy.values[:, 0] <= 16)


@pytest.mark.parametrize("n", [0, -1])
def test_impossible_batches_are_refused(make, wide_space, n):
    with pytest.raises(SearchError, match="at least 1"):
        make(wide_space).ask(n)


def test_inputs_are_not_changed(make, wide_space, evaluator):
    strategy = make(wide_space)
    asked = strategy.ask(5)
    values = evaluator.evaluate(asked)
    told, copy = list(asked), values.copy()
    strategy.tell(told, values)
    strategy.ask(5)
    assert told == asked
    assert np.array_equal(values, copy)


def test_unknown_options_and_sizes_are_refused(make, wide_space):
    with pytest.raises(SearchError, match="cannot be made"):
        make(wide_space, colour="red")
    with pytest.raises(SearchError, match="too small"):
        make(wide_space, initial=0)
