"""Drawing distinct networks into the study."""

import pytest

from hytnas_datasets.errors import SpaceError, StudyError
from hytnas_datasets.plan import Task, build_plan
from hytnas_datasets.spaces import Space, Variable, get_space
from hytnas_datasets.store import Study
from hytnas_host.collect.sampling import sample_networks

TASK = Task(resolution=32)


@pytest.fixture
def study(tmp_path):
    with Study.open(tmp_path / "study") as study:
        yield study


def test_sample_is_recorded_first_and_resumed_from(study):
    space = get_space("hyt")
    drawn = sample_networks(study, space, 12, TASK, purpose="latency", seed=3)
    assert len({plan_hash for _, plan_hash in drawn}) == 12
    assert study.architectures.of("latency") == drawn
    assert sample_networks(study, space, 12, TASK, purpose="latency", seed=99) == drawn
    assert sample_networks(study, space, 5, TASK, purpose="latency", seed=3) == drawn[:5]
    assert all(build_plan(architecture, TASK).hash == plan_hash for architecture, plan_hash in drawn)


def test_larger_sample_keeps_the_smaller_one(study):
    space = get_space("hyt")
    small = sample_networks(study, space, 4, TASK, purpose="latency", seed=3)
    large = sample_networks(study, space, 9, TASK, purpose="latency", seed=3)
    assert large[:4] == small
    assert len({plan_hash for _, plan_hash in large}) == 9


def test_seed_decides_the_sample(tmp_path):
    space = get_space("hyt")
    samples = []
    for name, seed in [("a", 1), ("b", 1), ("c", 2)]:
        with Study.open(tmp_path / name) as study:
            samples.append(sample_networks(study, space, 6, TASK, purpose="latency", seed=seed))
    assert samples[0] == samples[1] != samples[2]


def test_sample_of_another_task_is_not_mixed_in(study):
    space = get_space("hyt")
    sample_networks(study, space, 3, TASK, purpose="latency", seed=0)
    with pytest.raises(StudyError, match="another resolution"):
        sample_networks(study, space, 3, Task(resolution=64), purpose="latency", seed=0)


class SameNetwork:
    """What a plan says where every architecture of a space gives one network."""

    hash = "0" * 64


def test_space_with_too_few_networks_is_a_clear_error(study, monkeypatch):
    monkeypatch.setattr("hytnas_host.collect.sampling.build_plan", lambda architecture, task: SameNetwork())
    space = Space("tiny", (Variable("depth", (1, 2)), Variable("width", (8, 16))))
    assert len(sample_networks(study, space, 1, TASK, purpose="latency", seed=0)) == 1
    with pytest.raises(SpaceError, match="holds only 1 distinct networks"):
        sample_networks(study, space, 2, TASK, purpose="latency", seed=0)
