import os
import signal
import subprocess
import sys
import textwrap
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest

from hytnas_datasets.spaces import get_space
from hytnas_host.search import (
    STRATEGIES,
    CallableEvaluator,
    CheckpointError,
    ConstraintError,
    EvaluationError,
    PredictorEvaluator,
    SearchError,
    get_objective,
    run_search,
)
from hytnas_host.search.objectives import to_minimised
from hytnas_host.search.pareto import choose_reference_point, hypervolume, non_dominated
from hytnas_host.search.toy import grid_space

KINDS = [name for name in STRATEGIES.names() if name not in ("hyt-plus", "mobo-gp")]
"""Those left out are ``hyt`` made of other parts."""


@pytest.fixture
def search(wide_space, evaluator, task, exact_metrics, quick_options):
    """``run_search`` with small defaults."""

    def run(**changes):
        arguments = {"space": wide_space, "evaluator": evaluator, "strategy": "hyt", "evaluations": 24}
        arguments |= {"batch": 4, "initial": 8, "seed": 3, "task": task, "exact_metrics": exact_metrics}
        arguments |= changes
        arguments.setdefault("options", quick_options.get(arguments["strategy"], {}))
        return run_search(arguments.pop("space"), arguments.pop("evaluator"), **arguments)

    return run


def stripped(result):
    return msgspec.structs.replace(result, seconds=0.0)


@pytest.fixture(scope="module")
def kept():
    """Results of uninterrupted searches, by strategy: equal arguments give equal ones."""
    return {}


@pytest.fixture
def whole(search, kept):
    """The result of a search of 24 evaluations that nothing interrupted, without its time."""

    def of(strategy="hyt"):
        if strategy not in kept:
            kept[strategy] = stripped(search(strategy=strategy))
        return kept[strategy]

    return of


class Stop(Exception):
    """Ends a run from inside its evaluator."""


class Counting:
    """Counts what is evaluated, and may end the run before the evaluation numbered ``stop``."""

    def __init__(self, evaluator, stop=None):
        self.objectives, self.execution = evaluator.objectives, evaluator.execution
        self.fingerprint = evaluator.fingerprint
        self.extrapolates, self.cost_s = evaluator.extrapolates, evaluator.cost_s
        self.evaluator, self.stop, self.seen = evaluator, stop, []

    def evaluate(self, architectures, /):
        if self.stop is not None and len(self.seen) + len(architectures) > self.stop:
            raise Stop
        self.seen += architectures
        return self.evaluator.evaluate(architectures)


@pytest.mark.parametrize("strategy", KINDS)
def test_result_says_what_was_found(search, strategy, evaluator, exact_metrics, wide_space):
    result = search(strategy=strategy)
    assert (result.space, result.strategy, result.seed) == ("toy-wide", strategy, 3)
    assert (result.task.resolution, result.task.classes) == (32, 10)
    assert len(result.evaluated) == 24
    assert [row.evaluation for row in result.evaluated] == list(range(1, 25))
    assert len({row.plan_hash for row in result.evaluated}) == 24
    architectures = [wide_space.parse(row.architecture) for row in result.evaluated]
    values = np.array([row.values for row in result.evaluated])
    assert np.array_equal(values, evaluator.evaluate(architectures).values)
    points = to_minimised(values, result.objectives)
    assert result.reference_point == tuple(choose_reference_point(points[:8]))
    assert {row.evaluation - 1 for row in result.front} == set(np.flatnonzero(non_dominated(points)))
    assert [row.values[0] for row in result.front] == sorted(row.values[0] for row in result.front)
    assert [count for count, _ in result.hypervolume] == [4, 8, 12, 16, 20, 24]
    for count, volume in result.hypervolume:
        assert volume == pytest.approx(hypervolume(points[:count], np.array(result.reference_point)))
    assert [p.label for p in result.picks] == ["BL", "BA", "O"]
    assert result.notes == ()


def test_a_small_space_with_cheap_evaluations_is_evaluated_as_a_whole(
    search, small_space, objectives, evaluator
):
    cheap = CallableEvaluator(objectives, lambda a: evaluator.evaluate(a).values, cost_s=0.0)
    unsaid = dict.fromkeys(("strategy", "evaluations", "batch", "initial"))
    result = search(space=small_space, evaluator=cheap, options={}, **unsaid)
    assert (result.strategy, len(result.evaluated)) == ("exhaustive", 24)
    assert result.notes == ("Ended after 24 evaluations: toy-small gave no further network.",)


def test_a_space_too_large_to_evaluate_each_is_refused(search):
    with pytest.raises(SearchError, match="too many to evaluate each"):
        search(space=get_space("hyt"), strategy="exhaustive")


@pytest.mark.parametrize("strategy", KINDS)
def test_only_candidates_are_evaluated_where_there_are_some(search, wide_space, strategy, tmp_path):
    rows = wide_space.sample(40, np.random.default_rng(1))
    path = tmp_path / "c.json"
    search(strategy=strategy, candidates=rows, evaluations=18, checkpoint=path)
    result = search(strategy=strategy, candidates=rows, checkpoint=path)
    evaluated = [wide_space.parse(row.architecture) for row in result.evaluated]
    assert len(set(evaluated)) == 24
    assert set(evaluated) <= set(rows)
    with pytest.raises(CheckpointError, match="candidates was"):
        search(strategy=strategy, candidates=rows[1:], checkpoint=path)


def test_result_survives_json(search):
    result = search(strategy="random")
    assert msgspec.json.decode(msgspec.json.encode(result), type=type(result)) == result


@pytest.mark.parametrize("strategy", KINDS)
def test_same_arguments_same_result(search, whole, strategy):
    assert stripped(search(strategy=strategy)) == whole(strategy)
    assert search(strategy=strategy, seed=4).evaluated != whole(strategy).evaluated


@pytest.mark.parametrize("strategy", KINDS)
@pytest.mark.parametrize("stop", [0, 4, 12, 20])
def test_interrupted_search_ends_bit_identically(search, whole, evaluator, tmp_path, *, strategy, stop):
    path = tmp_path / "search-checkpoint.json"
    first = Counting(evaluator, stop)
    with pytest.raises(Stop):
        search(strategy=strategy, evaluator=first, checkpoint=path)
    assert len(first.seen) == stop
    second = Counting(evaluator)
    resumed = search(strategy=strategy, evaluator=second, checkpoint=path)
    assert stripped(resumed) == whole(strategy)
    assert len(second.seen) == 24 - stop
    assert not set(first.seen) & set(second.seen)


def test_interrupted_many_times(search, whole, evaluator, tmp_path):
    path = tmp_path / "c.json"
    for _ in range(5):
        with pytest.raises(Stop):
            search(evaluator=Counting(evaluator, 4), checkpoint=path)
    assert stripped(search(checkpoint=path)) == whole()


@pytest.mark.parametrize("strategy", ["random", "nsga2"])
def test_a_search_killed_anywhere_ends_bit_identically(search, whole, tmp_path, strategy):
    """A kill at any time leaves a beginning of the file."""
    path = tmp_path / "c.json"
    search(strategy=strategy, checkpoint=path)
    content = path.read_bytes()
    for end in np.random.default_rng(0).integers(len(content), size=20).tolist():
        path.write_bytes(content[:end])
        assert stripped(search(strategy=strategy, checkpoint=path)) == whole(strategy)


def test_a_finished_search_is_not_run_again(search, evaluator, tmp_path):
    path = tmp_path / "c.json"
    result = search(checkpoint=path)
    again = Counting(evaluator, 0)
    assert stripped(search(evaluator=again, checkpoint=path)) == stripped(result)


@pytest.mark.parametrize("strategy", KINDS)
@pytest.mark.parametrize("first", [3, 8, 13, 20])
def test_a_raised_budget_goes_on_bit_identically(search, whole, evaluator, tmp_path, *, strategy, first):
    path = tmp_path / "c.json"
    begun = search(strategy=strategy, evaluations=first, checkpoint=path)
    assert len(begun.evaluated) == first
    more = Counting(evaluator)
    raised = search(strategy=strategy, evaluator=more, checkpoint=path)
    assert len(more.seen) == 24 - first
    assert raised.evaluated[:first] == begun.evaluated
    assert stripped(raised) == whole(strategy)


@pytest.mark.parametrize("strategy", KINDS)
def test_a_raised_budget_that_is_interrupted_goes_on_bit_identically(
    search, whole, evaluator, tmp_path, strategy
):
    path = tmp_path / "c.json"
    search(strategy=strategy, evaluations=10, checkpoint=path)
    for stop in (1, 2, 6):
        with pytest.raises(Stop):
            search(strategy=strategy, evaluator=Counting(evaluator, stop), checkpoint=path)
    assert stripped(search(strategy=strategy, checkpoint=path)) == whole(strategy)


def test_a_lowered_budget_gives_the_result_as_of_then_and_keeps_the_rest(search, evaluator, tmp_path):
    path = tmp_path / "c.json"
    full = search(checkpoint=path)
    before = path.read_bytes()
    nothing = Counting(evaluator, 0)
    for lower in (2, 8, 14, 23):
        lowered = search(evaluator=nothing, evaluations=lower, checkpoint=path)
        assert stripped(lowered) == stripped(search(evaluations=lower))
        assert path.read_bytes() == before
    assert stripped(search(evaluator=nothing, checkpoint=path)) == stripped(full)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"seed": 4}, "seed was 3, is 4"),
        ({"batch": 5}, "batch was 4, is 5"),
        ({"strategy": "random", "options": {}}, "strategy was hyt, is random"),
        ({"constraints": ["params <= 100"]}, "constraints was none, is params <= 100"),
        ({"initial": 7}, "initial was 8, is 7"),
        ({"reference_point": (50.0, 0.4, 500.0)}, "reference point was chosen"),
        ({"options": {"members": 3}}, "options was"),
    ],
)
def test_checkpoint_of_another_search_is_refused(search, tmp_path, change, field):
    path = tmp_path / "c.json"
    search(evaluations=8, checkpoint=path)
    before = path.read_bytes()
    with pytest.raises(CheckpointError) as caught:
        search(evaluations=8, checkpoint=path, **change)
    assert field in str(caught.value)
    assert path.read_bytes() == before


def test_checkpoint_of_another_space_or_evaluator_is_refused(search, tmp_path, small_space, objectives):
    path = tmp_path / "c.json"
    search(evaluations=8, checkpoint=path)
    other = CallableEvaluator(objectives, lambda a: np.ones((len(a), 3)), fingerprint="other")
    with pytest.raises(
        CheckpointError, match=r"evaluator was toy, is other; space was toy-wide .* is toy-small"
    ):
        search(evaluations=8, checkpoint=path, space=small_space, evaluator=other)


def change_lines(path, change):
    """Rewrite the lines of a checkpoint after its header, which ``change`` takes and changes in place."""
    header, *lines = path.read_bytes().splitlines(keepends=True)
    steps = [msgspec.json.decode(line) for line in lines]
    change(steps)
    path.write_bytes(header + b"".join(msgspec.json.encode(step) + b"\n" for step in steps))


DAMAGES = {
    "toy-wide-zzz": lambda steps: steps[0]["evaluated"][0].update(architecture="toy-wide-zzz"),
    "Expecting value": lambda steps: steps[-1]["state"].update(rng="nonsense"),
    "a reference point of 1 values for 3": lambda steps: steps[-1].update(reference_point=[1.0]),
    r"batches end after \[4, 8, 8\]": lambda steps: steps.append({**steps[-1], "evaluated": []}),
    "told already": lambda steps: steps.append(steps[-1]),
    "has no memory": lambda steps: steps[-1]["state"].update(memory={"parents": [0]}),
    "out of bounds|too large": lambda steps: steps[-1]["state"].update(
        rng=steps[-1]["state"]["rng"].replace('"uinteger": ', '"uinteger": 99999999999999999999')
    ),
}


@pytest.mark.parametrize("says", DAMAGES)
def test_a_checkpoint_with_impossible_content_is_refused_in_one_line(search, tmp_path, says):
    path = tmp_path / "c.json"
    search(strategy="random", evaluations=8, checkpoint=path)
    change_lines(path, DAMAGES[says])
    with pytest.raises(CheckpointError, match=f"is damaged: .*({says})"):
        search(strategy="random", checkpoint=path)


@pytest.mark.parametrize(
    "memory",
    [{}, {"parents": [0, 0], "sorted": 8}, {"parents": [-1], "sorted": 8}, {"parents": 3, "sorted": 8}],
)
def test_a_memory_that_is_none_of_the_strategy_is_refused(search, tmp_path, memory):
    path = tmp_path / "c.json"
    search(strategy="nsga2", evaluations=8, checkpoint=path)
    change_lines(path, lambda steps: steps[-1]["state"].update(memory=memory))
    with pytest.raises(CheckpointError, match="is damaged"):
        search(strategy="nsga2", checkpoint=path)


KILLED = textwrap.dedent(
    """
    import os, signal, sys
    from pathlib import Path
    import numpy as np
    from hytnas_datasets.plan import Task
    from hytnas_datasets.spaces import get_space
    from hytnas_host.search import CallableEvaluator, PlanMetrics, get_objective, run_search

    path, kill_at = Path(sys.argv[1]), int(sys.argv[2])
    task, calls = Task(resolution=32, classes=10), 0
    metrics = PlanMetrics(task)

    def values(architectures):
        global calls
        calls += 1
        if calls == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return np.column_stack([metrics.values(name, architectures) for name in ("macs", "activations")])

    objectives = [get_objective(name) for name in ("macs", "activations")]
    result = run_search(
        get_space("hyt"), CallableEvaluator(objectives, values), task=task, strategy="nsga2",
        exact_metrics=metrics, evaluations=40, batch=10, initial=20, checkpoint=path,
    )
    print(result.evaluated, result.front, result.hypervolume, result.reference_point)
    """
)


def test_killed_process_goes_on_bit_identically(tmp_path):
    script = tmp_path / "search.py"
    script.write_text(KILLED)

    def start(path, kill_at):
        command = [sys.executable, str(script), str(path), str(kill_at)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)

    whole = start(tmp_path / "whole.json", 0)
    assert whole.returncode == 0, whole.stderr
    path = tmp_path / "killed.json"
    assert start(path, 4).returncode == -signal.SIGKILL
    resumed = start(path, 0)
    assert resumed.returncode == 0, resumed.stderr
    assert resumed.stdout == whole.stdout


@pytest.mark.parametrize("strategy", KINDS)
def test_infeasible_networks_are_neither_evaluated_nor_in_the_front(search, evaluator, strategy):
    counting = Counting(evaluator)
    result = search(strategy=strategy, evaluator=counting, constraints=["params <= 110", "latency <= 22 ms"])
    assert evaluator.evaluate(counting.seen).values[:, 2].max() <= 110
    assert result.constraints == ("params <= 110", "latency_ms <= 22")
    assert result.front
    assert all(row.values[0] <= 22 and row.values[2] <= 110 for row in result.front)


def test_front_is_empty_where_nothing_meets_an_evaluated_constraint(search):
    result = search(constraints=["accuracy >= 99 %"], strategy="random")
    assert result.front == result.picks == ()
    assert result.hypervolume[-1][1] == 0
    assert "No evaluated architecture meets the constraints: the front is empty." in result.notes
    nearest = max(result.evaluated, key=lambda row: row.values[1])
    has = f"The nearest is {nearest.architecture}: it has accuracy {nearest.values[1]:.6g}"
    assert f"{has}, not accuracy >= 0.99." in result.notes


def test_constraints_that_nothing_meets_end_at_once(search, evaluator):
    counting = Counting(evaluator)
    with pytest.raises(
        SearchError, match=r"No architecture of toy-wide with params <= 5 was found in \d+ random"
    ):
        search(evaluator=counting, constraints=["params <= 5"])
    assert counting.seen == []


@pytest.mark.parametrize("strategy", KINDS)
def test_exhausted_space_ends_with_a_note(search, small_space, strategy, tmp_path):
    path = tmp_path / "c.json"
    result = search(space=small_space, strategy=strategy, evaluations=100, batch=7, checkpoint=path)
    assert len(result.evaluated) == 24
    assert result.notes == ("Ended after 24 evaluations: toy-small gave no further network.",)
    again = search(space=small_space, strategy=strategy, evaluations=100, batch=7, checkpoint=path)
    assert stripped(again) == stripped(result)


class HalfKnown:
    """A predictor for each objective that extrapolates where the first code is above 1: half of the space."""

    def __init__(self, evaluator, column):
        self.evaluator, self.column = evaluator, column

    def predict(self, architectures, /):
        mean = self.evaluator.evaluate(architectures).values[:, self.column]
        outside = np.array([a.indices[0] > 1 for a in architectures])
        return SimpleNamespace(mean=mean, std=0.1 * mean, extrapolated=outside)


@pytest.fixture
def half_known(evaluator, exact_metrics):
    names = ("latency_ms", "accuracy")
    predictors = {name: HalfKnown(evaluator, column) for column, name in enumerate(names)}
    return PredictorEvaluator(predictors, exact_metrics)


@pytest.mark.parametrize("strategy", KINDS)
def test_extrapolated_networks_are_marked_and_counted(search, half_known, wide_space, strategy, tmp_path):
    path = tmp_path / "c.json"
    search(evaluator=half_known, strategy=strategy, evaluations=13, checkpoint=path)
    result = search(evaluator=half_known, strategy=strategy, checkpoint=path)
    for row in result.evaluated:
        assert row.extrapolated == (wide_space.parse(row.architecture).indices[0] > 1)
        assert row.std == pytest.approx((0.1 * row.values[0], 0.1 * row.values[1], 0.0))
    outside = sum(member.extrapolated for member in result.front)
    assert outside > 0
    assert result.notes[0].startswith(f"{outside} of {len(result.front)} members of the front lie outside")


@pytest.mark.parametrize("strategy", KINDS)
def test_extrapolated_networks_are_avoided_like_those_that_break_a_constraint(search, half_known, strategy):
    counting = Counting(half_known)
    result = search(
        evaluator=counting, strategy=strategy, extrapolated="avoid", constraints=["params <= 200"]
    )
    assert len(result.evaluated) == 24
    assert not any(architecture.indices[0] > 1 for architecture in counting.seen)
    assert not any(row.extrapolated for row in result.evaluated)
    assert result.notes == ()


@pytest.mark.parametrize("strategy", KINDS)
@pytest.mark.parametrize("constraints", [[], ["params <= 200"]])
def test_avoiding_extrapolation_where_all_is_extrapolated_ends_and_says_so(
    search, half_known, strategy, constraints
):
    counting = Counting(half_known)
    counting.extrapolates = lambda architectures: np.ones(len(architectures), dtype=np.bool_)
    with pytest.raises(
        SearchError, match=r"No architecture of toy-wide with .*no extrapolation was"
    ) as raised:
        search(evaluator=counting, strategy=strategy, constraints=constraints, extrapolated="avoid")
    assert raised.value.next_step.lower().endswith("allow extrapolation")
    assert ("constraints" in raised.value.next_step) == bool(constraints)
    assert counting.seen == []


def test_avoiding_extrapolation_is_another_search(search, half_known, tmp_path):
    path = tmp_path / "c.json"
    search(evaluator=half_known, checkpoint=path)
    with pytest.raises(CheckpointError, match="extrapolated was allow, is avoid"):
        search(evaluator=half_known, checkpoint=path, extrapolated="avoid")


@pytest.mark.parametrize("strategy", [name for name in KINDS if name not in ("random", "exhaustive")])
@pytest.mark.parametrize("choices", [(3, 2), (4, 4, 4, 2)])
@pytest.mark.parametrize("constant", [1, 2])
def test_constant_objectives_and_tiny_spaces_are_searched(search, choices, constant, strategy):
    def values(architectures):
        sums = np.array([[1.0 + sum(a.indices[:-1])] for a in architectures])
        return np.hstack([sums, np.ones((len(sums), 1))])[:, -constant:]

    objectives = [get_objective(name) for name in ("latency_ms", "macs")[-constant:]]
    space = grid_space("toy-tiny", choices)
    evaluator = CallableEvaluator(objectives, values)
    result = search(space=space, evaluator=evaluator, strategy=strategy, evaluations=12)
    assert len(result.evaluated) == min(np.prod(choices) // 2, 12)
    assert result.front


def test_given_reference_point_is_kept(search, objectives):
    result = search(strategy="random", reference_point=(40.0, 0.5, 400.0))
    assert result.reference_point == (40.0, -0.5, 400.0)
    with pytest.raises(SearchError, match="does not fit the objectives"):
        search(reference_point=(1.0, 2.0))
    with pytest.raises(SearchError, match="does not fit the objectives"):
        search(reference_point=(1.0, 2.0, np.nan))


def test_values_that_are_not_finite_stop_the_search_and_keep_what_was_evaluated(
    search, whole, evaluator, objectives, tmp_path
):
    path = tmp_path / "c.json"

    def broken(architectures):
        values = evaluator.evaluate(architectures).values
        if path.exists():
            values[0, 1] = np.nan
        return values

    with pytest.raises(EvaluationError, match="not all finite"):
        search(evaluator=CallableEvaluator(objectives, broken, fingerprint="toy"), checkpoint=path)
    assert stripped(search(checkpoint=path)) == whole()


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"evaluations": 0}, SearchError),
        ({"batch": 0}, SearchError),
        ({"seed": -1}, SearchError),
        ({"initial": 0}, SearchError),
        ({"strategy": "cma", "options": {}}, SearchError),
        ({"options": {"colour": 1}}, SearchError),
        ({"constraints": ["params < 3"]}, ConstraintError),
        ({"constraints": ["macs <= 3"]}, ConstraintError),
    ],
)
def test_impossible_settings_are_refused(search, change, error):
    with pytest.raises(error):
        search(**change)


def test_progress_counts_evaluations(search, tmp_path):
    bars = []

    class Bar:
        def __init__(self, description, total, done=0):
            self.total, self.done, self.notes = total, done, []
            bars.append(self)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

        def advance(self, steps=1):
            self.done += steps

        def note(self, text):
            self.notes.append(text)

    path = tmp_path / "c.json"
    search(strategy="random", evaluations=12, checkpoint=path)
    search(strategy="random", checkpoint=path, progress=Bar)
    assert (bars[0].total, bars[0].done) == (24, 24)
    assert all("hypervolume" in note for note in bars[0].notes)
    assert len(bars[0].notes) == 3
