"""What only ``hyt`` promises."""

import numpy as np
import pytest

from hytnas_datasets.plan import Task
from hytnas_datasets.spaces import get_space
from hytnas_host.search import (
    CallableEvaluator,
    PlanMetrics,
    SearchError,
    get_objective,
    make_strategy,
    parse_constraint,
    run_search,
)
from hytnas_host.search.problem import SearchProblem


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"surrogate": "oracle"}, "Choose from xgboost-set"),
        ({"surrogate": "gp+oracle"}, "no surrogate 'oracle'"),
        ({"acquisition": "luck"}, "no acquisition 'luck'"),
        ({"selection": "luck"}, "no selection 'luck'"),
        ({"solver": "luck"}, "solver"),
        ({"design": "luck"}, "no initial design 'luck'"),
        ({"fronts": 0}, "a front"),
        ({"members": 1}, "2 to 36"),
        ({"population": 2}, "population"),
        ({"kappa": -1.0}, "kappa"),
        ({"kappa": np.nan}, "kappa"),
    ],
)
def test_impossible_options_are_refused(make_problem, wide_space, options, says):
    with pytest.raises(SearchError, match=says):
        make_strategy("hyt", make_problem(wide_space), np.random.default_rng(0), **options)


def test_unknown_strategy(make_problem, wide_space):
    with pytest.raises(SearchError, match="Known: hyt, hyt-plus, mobo-gp, nsga2, cmaes, exhaustive, random"):
        make_strategy("cma", make_problem(wide_space), np.random.default_rng(0))


def test_initial_design_is_a_latin_hypercube_whatever_the_batches(make_problem, wide_space, evaluator):
    strategy = make_strategy("hyt", make_problem(wide_space), np.random.default_rng(0), initial=16)
    for _ in range(4):
        asked = strategy.ask(4)
        strategy.tell(asked, evaluator.evaluate(asked).values)
    codes = wide_space.encode(strategy.architectures)
    assert np.bincount(codes[:, 0], minlength=4).tolist() == [4, 4, 4, 4]


def test_searches_where_every_objective_is_exact(exact_metrics, wide_space):
    problem = SearchProblem(wide_space, (get_objective("params"),), exact_metrics)
    strategy = make_strategy(
        "hyt", problem, np.random.default_rng(0), initial=6, members=2, population=20, generations=10
    )
    for _ in range(3):
        asked = strategy.ask(6)
        strategy.tell(asked, exact_metrics.values("params", asked)[:, None])
    assert strategy.values.min() == 10


def test_learns_to_avoid_what_breaks_an_evaluated_constraint(make_problem, wide_space, evaluator):
    problem = make_problem(wide_space, [parse_constraint("latency <= 14 ms")])
    strategy = make_strategy("hyt", problem, np.random.default_rng(0), initial=20, members=2, generations=8)
    asked = strategy.ask(20)
    strategy.tell(asked, evaluator.evaluate(asked).values)
    chosen = strategy.ask(20)
    share = np.mean(evaluator.evaluate(chosen).values[:, 0] <= 14)
    assert share > 0.6 > np.mean(strategy.feasible)


def analytic(space, exact_metrics):
    """Latency from MACs and activations, accuracy from parameters and weighted choices: a known trade-off."""
    choices = np.array([len(variable.choices) for variable in space.variables])
    weights = np.random.default_rng(7).exponential(size=len(choices))
    weights /= weights.sum()

    def values(architectures):
        params = exact_metrics.values("params", architectures)
        latency = (
            exact_metrics.values("macs", architectures) / 2e7
            + exact_metrics.values("activations", architectures) / 1e6
        )
        share = ((space.encode(architectures) + 1) / choices) ** 0.7 @ weights
        accuracy = 0.6 + 0.3 * (1 - np.exp(-2 * share)) * (1 - np.exp(-params / 1e5))
        return np.column_stack([latency, accuracy])

    return CallableEvaluator([get_objective(name) for name in ("latency_ms", "accuracy")], values)


@pytest.mark.parametrize("seed", [0, 1])
def test_beats_random_search_at_equal_evaluations(seed):
    space, task = get_space("hyt"), Task(resolution=96, classes=2)
    exact_metrics = PlanMetrics(task)
    evaluator = analytic(space, exact_metrics)
    reached = {
        name: run_search(
            space,
            evaluator,
            task=task,
            strategy=name,
            evaluations=100,
            initial=30,
            batch=10,
            seed=seed,
            options=options,
            reference_point=(12.0, 0.62),
            exact_metrics=exact_metrics,
        ).hypervolume[-1][1]
        for name, options in (("hyt", {"members": 3, "population": 40, "generations": 10}), ("random", {}))
    }
    assert reached["hyt"] > 1.02 * reached["random"]
