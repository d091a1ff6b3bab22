"""Who goes first of those that wait for the runner."""

from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from hytnas_agent.journal import Journal
from hytnas_agent.server.runner import Chores, QueuedJob, Runner
from hytnas_agent.supervisor import JobFiles

from .harness import IDENTITY, JOB


def test_clients_take_turns_and_each_is_served_in_order() -> None:
    chores, done = Chores(), []
    for owner, count in (("a", 3), ("b", 1), ("c", 2)):
        for number in range(count):
            chores.add(owner, lambda word=f"{owner}{number}": done.append(word))
    assert chores.count("a") == 3
    chores.take("c")()
    chores.drop("b")
    while (chore := chores.take_next()) is not None:
        chore()
    assert done == ["c0", "a0", "c1", "a1", "a2"]
    assert chores.take("a") is None


@pytest.fixture
def done() -> list[str]:
    return []


@pytest.fixture
def runner(tmp_path: Path, done: list[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Runner]:
    journal = Journal(tmp_path / "journal.sqlite")
    runner = Runner(
        journal,
        IDENTITY,
        (0,),
        timed_lock=tmp_path / "timed",
        core_speeds=tmp_path / "speeds",
        on_start=lambda queued: None,
        on_end=lambda queued, ending: None,
        on_fault=lambda error: None,
        holder=lambda: "holder",
    )
    monkeypatch.setattr(runner, "_run", lambda queued, _: done.append(queued.job.job_id))
    yield runner
    runner.stop()
    journal.close()


def test_others_delay_the_holder_by_one_request_between_two_jobs(runner: Runner, done: list[str]) -> None:
    all_done = Event()
    runner.add_chore(lambda: done.append("holder's"), "holder")
    for number in range(5):
        runner.add_chore(lambda word=f"other's {number}": done.append(word), "other")
    runner.add_chore(all_done.set, "other")
    for _ in range(3):
        runner.add_job(QueuedJob(JOB, JobFiles(Path("model")), "holder", 1))
    runner.start()
    assert all_done.wait(20)
    assert done == [
        "holder's", "other's 0", "job", "other's 1", "job", "other's 2", "job", "other's 3", "other's 4",
    ]  # fmt: skip
