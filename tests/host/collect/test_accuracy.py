import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hytnas_datasets.spaces import Space, get_space
from hytnas_datasets.store import AccuracyRecord, CurvePoint, Study
from hytnas_datasets.store.accuracies import Accuracies
from hytnas_host.collect import accuracy
from hytnas_host.collect.accuracy import AccuracyCollection, collect_accuracy, plan_jobs
from hytnas_host.collect.budget import TimeBudget
from hytnas_host.training import Training, TrainingRecipe
from hytnas_host.training.recipe import TrainingError

SMALL = {"resolution": 24, "epochs": 1, "train_images": 50, "test_images": 50, "batch_norm_images": 50}


@pytest.fixture
def space() -> Space:
    return get_space("hyt")


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Stands in for the training itself; the list names every (plan hash, seed) that was trained."""
    done: list[tuple[str, int]] = []

    def train(
        plan: Any, data: Any, recipe: TrainingRecipe, *, seed: int, host_work: Any, **_: Any
    ) -> Training:
        with host_work():
            done.append((plan.hash, seed))
            value = np.random.default_rng([seed, int(plan.hash[:8], 16)]).uniform(0.4, 0.9)
            return Training(float(value), (CurvePoint(1, 1.0, float(value)),), 0.0)

    monkeypatch.setattr(accuracy, "train_network", train)
    return done


def collect(study: Study, space: Space, n: int, **changes: Any) -> AccuracyCollection:
    options: dict[str, Any] = {
        "recipe": TrainingRecipe(**SMALL),
        "seed": 7,
        "workers": 1,
        "repeated": 2,
        "seeds": 3,
    }
    return collect_accuracy(study, space, n, **(options | changes))


def dataset(study: Study, space: Space) -> tuple[Any, ...]:
    labelled = study.labelled("accuracy", space=space)
    return labelled.architectures, labelled.y.tolist(), [repeats.tolist() for repeats in labelled.repeats]


def test_every_network_is_trained_once_and_some_from_several_seeds(
    tmp_path: Path, space: Space, trainings: list[tuple[str, int]]
) -> None:
    with Study.open(tmp_path) as study:
        summary = collect(study, space, 6)
        labelled = study.labelled("accuracy", space=space)
    assert len(trainings) == len(set(trainings)) == 6 + 2 * 2
    assert {seed for _, seed in trainings} == {7000, 7001, 7002}
    assert [len(repeats) for repeats in labelled.repeats] == [3, 3, 1, 1, 1, 1]
    assert (summary.networks, summary.trainings, summary.new_trainings, summary.failed) == (6, 10, 10, 0)
    assert "resolution of the label 1/50" in labelled.provenance
    assert "24x24" in labelled.provenance


def test_a_collection_that_is_complete_trains_nothing_again(
    tmp_path: Path, space: Space, trainings: list[tuple[str, int]]
) -> None:
    with Study.open(tmp_path) as study:
        collect(study, space, 4)
        before = len(trainings)
        assert collect(study, space, 4).new_trainings == 0
        assert len(trainings) == before
        assert collect(study, space, 6).new_trainings == 2
        assert len(study.architectures.of("accuracy")) == 6


def test_a_collection_interrupted_anywhere_and_resumed_holds_the_same(
    tmp_path: Path, space: Space, trainings: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Study.open(tmp_path / "whole") as study:
        collect(study, space, 5)
        whole = dataset(study, space)
    trainings.clear()
    stop_at = [1, 3, 4, 9]
    stored = Accuracies.add

    def add(self: Accuracies, record: AccuracyRecord) -> None:
        if len(trainings) in stop_at:
            stop_at.remove(len(trainings))
            raise KeyboardInterrupt
        stored(self, record)

    monkeypatch.setattr(Accuracies, "add", add)
    interruptions = 0
    while True:
        with Study.open(tmp_path / "broken") as study:
            try:
                collect(study, space, 5)
            except KeyboardInterrupt:
                interruptions += 1
                continue
            broken = dataset(study, space)
            break
    assert interruptions == 4
    assert broken == whole


@pytest.mark.parametrize("ahead", [0, 1])
@pytest.mark.parametrize("case", [(25.0, 4, 2), (34.0, 2, 3), (150.0, 1, 0)])
def test_when_the_time_is_over_no_more_is_trained_and_the_rest_later(
    tmp_path: Path,
    space: Space,
    trainings: list[tuple[str, int]],
    case: tuple[float, int, int],
    ahead: int,
) -> None:
    """Of 100 s and half as much more; what is with an executor already is ended."""
    seconds_each, networks, repeats = case
    budget = TimeBudget(100.0, clock=lambda: seconds_each * len(trainings))
    with Study.open(tmp_path) as study, ThreadPoolExecutor(1) if ahead else nullcontext() as executor:
        summary = collect(study, space, 7, budget=budget, executor=executor)
        assert (networks if not ahead else 1) <= summary.networks <= networks + ahead
        assert networks + repeats - ahead <= len(trainings) <= networks + repeats + ahead
        assert (summary.new_trainings, summary.left_out) == (len(trainings), 7 - summary.networks)
        assert collect(study, space, 7).left_out == 0
        assert len(set(trainings)) == len(trainings) == 7 + 2 * 2


def test_another_recipe_is_another_label(
    tmp_path: Path, space: Space, trainings: list[tuple[str, int]]
) -> None:
    with Study.open(tmp_path) as study:
        collect(study, space, 3)
        before = len(trainings)
        assert (
            collect(study, space, 3, recipe=TrainingRecipe(**SMALL | {"epochs": 2})).new_trainings == before
        )


def test_an_executor_is_used_and_left_open(
    tmp_path: Path, space: Space, trainings: list[tuple[str, int]]
) -> None:
    with Study.open(tmp_path / "alone") as study:
        collect(study, space, 5)
        alone = dataset(study, space)
    trainings.clear()
    with ThreadPoolExecutor(3) as pool, Study.open(tmp_path / "pool") as study:
        collect(study, space, 5, executor=pool)
        assert dataset(study, space) == alone
        assert pool.submit(int, 5).result() == 5
    assert len(trainings) == len(set(trainings)) == 9


def test_trainings_take_turns_with_timed_runs(
    tmp_path: Path, space: Space, trainings: list[tuple[str, int]]
) -> None:
    held: list[int] = []

    @contextmanager
    def host_work() -> Iterator[None]:
        held.append(len(trainings))
        yield

    with Study.open(tmp_path) as study:
        collect(study, space, 3, repeated=0, host_work=host_work)
    assert held == [0, 1, 2]


def test_a_failed_training_is_recorded_and_not_tried_again(
    tmp_path: Path, space: Space, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def diverge(
        plan: Any, data: Any, recipe: TrainingRecipe, *, seed: int, host_work: Any, **_: Any
    ) -> Training:
        calls.append(seed)
        return Training(None, (), 0.0, "the training diverged: the loss was nan in epoch 1 of 1")

    monkeypatch.setattr(accuracy, "train_network", diverge)
    with Study.open(tmp_path) as study:
        summary = collect(study, space, 2, repeated=0)
        assert collect(study, space, 2, repeated=0).new_trainings == 0
        assert [record.failure for record in study.accuracies.all()] == [
            "the training diverged: the loss was nan in epoch 1 of 1"
        ] * 2
    assert len(calls) == 2
    assert (summary.failed, summary.networks, summary.mean) == (2, 0, None)
    assert summary.verdict == "no training gave an accuracy"


@pytest.mark.parametrize(
    ("value", "verdict"),
    [(0.1, "cannot be told from chance"), (0.7, "100% of the networks are above chance")],
)
def test_the_verdict_says_whether_anything_was_learned(
    tmp_path: Path, space: Space, monkeypatch: pytest.MonkeyPatch, value: float, verdict: str
) -> None:
    monkeypatch.setattr(accuracy, "train_network", lambda *_, **__: Training(value, (), 0.0))
    with Study.open(tmp_path) as study:
        assert verdict in collect(study, space, 3).verdict


def test_the_noise_of_the_label_is_told_apart_from_the_networks(
    tmp_path: Path, space: Space, trainings: list[tuple[str, int]]
) -> None:
    with Study.open(tmp_path) as study:
        summary = collect(study, space, 8, repeated=8)
        repeats = list(study.labelled("accuracy", space=space).repeats)
    assert summary.within_network == pytest.approx(
        np.sqrt(np.mean([values.var(ddof=1) for values in repeats]))
    )
    assert summary.between_networks == pytest.approx(np.std([values[0] for values in repeats], ddof=1))
    assert summary.highest == max(values[0] for values in repeats)


def test_networks_come_before_repeats_and_seeds_of_runs_never_meet(space: Space) -> None:
    networks = [(a, str(i)) for i, a in enumerate(space.sample(3, np.random.default_rng(0)))]
    jobs = plan_jobs(networks, repeated=2, seeds=3, seed=4)
    assert [(job.plan_hash, job.seed) for job in jobs] == [
        ("0", 4000), ("1", 4000), ("2", 4000), ("0", 4001), ("1", 4001), ("0", 4002), ("1", 4002)
    ]  # fmt: skip
    for seeds in (0, 1001):
        with pytest.raises(TrainingError, match="training seeds"):
            plan_jobs(networks, repeated=2, seeds=seeds, seed=4)


COLLECT = """
import sys
import msgspec
from hytnas_datasets.spaces import get_space
from hytnas_datasets.store import Study
from hytnas_host.collect.accuracy import collect_accuracy
from hytnas_host.training import TrainingRecipe

if __name__ == "__main__":
    recipe = msgspec.json.decode(sys.argv[2], type=TrainingRecipe)
    with Study.open(sys.argv[1]) as study:
        collect_accuracy(study, get_space("hyt"), 2, repeated=1, seeds=2, recipe=recipe, seed=7, workers=2)
"""


def wait_until(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_killed_collection_leaves_no_process_and_resumes_to_the_same_labels(
    tmp_path: Path, space: Space
) -> None:
    import msgspec

    script = tmp_path / "collect.py"
    script.write_text(COLLECT)
    recipe = TrainingRecipe(**SMALL)
    broken = tmp_path / "broken"
    with Study.open(broken) as study:
        command = [sys.executable, str(script), str(broken), msgspec.json.encode(recipe).decode()]
        process = subprocess.Popen(command)
        try:
            wait_until(lambda: bool(study.accuracies.all()) or process.poll() is not None)
            children = [
                int(p) for p in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            ]
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        assert children
        wait_until(lambda: not any(map(is_alive, children)))
        before = study.accuracies.all()
        collect(study, space, 2, repeated=1, seeds=2)
        assert study.accuracies.all()[: len(before)] == before
        resumed = dataset(study, space)
    with Study.open(tmp_path / "whole") as study:
        collect(study, space, 2, repeated=1, seeds=2)
        assert dataset(study, space) == resumed
