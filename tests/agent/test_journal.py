import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from hytnas_agent import journal as module
from hytnas_agent.errors import AgentError
from hytnas_agent.journal import Journal
from hytnas_agent.records import MeasureJob, Outcome

from .conftest import QUICK, make_result


def job(name: str) -> MeasureJob:
    return MeasureJob(name, "0" * 64, "onnx", QUICK)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(tmp_path / "journal.sqlite")
    yield journal
    journal.close()


def finish(journal: Journal, name: str, client: str = "me", **fields: object) -> None:
    journal.finish(job(name), client, make_result((1.0, 2.0), job_id=name, **fields))


def ids(journal: Journal, client: str = "me", wanted: list[str] | None = None) -> list[str]:
    return [result.job_id for result in journal.results(client, wanted)[0]]


def test_a_result_is_found_as_it_was(journal: Journal) -> None:
    assert journal.find("a") is None
    journal.begin(job("a"), "me")
    assert journal.find("a") == module.Entry(job("a"), None)
    finish(journal, "a")
    assert journal.find("a").result == make_result((1.0, 2.0), job_id="a")


def test_the_first_ending_stands(journal: Journal) -> None:
    finish(journal, "a")
    finish(journal, "a", outcome=Outcome.CRASH)
    assert journal.find("a").result.outcome is Outcome.OK


def test_starts_are_counted(journal: Journal) -> None:
    assert [journal.begin(job("a"), "me") for _ in range(3)] == [1, 2, 3]


def test_each_client_gets_its_own_until_it_acknowledges(journal: Journal) -> None:
    for name in ("a", "b", "c"):
        finish(journal, name)
    finish(journal, "d", client="you")
    journal.begin(job("e"), "me")
    assert ids(journal) == ["a", "b", "c"]
    assert ids(journal, wanted=["c", "d", "e", "nonsense"]) == ["c"]
    assert journal.acknowledge("me", ["a", "d", "e"]) == 1
    assert journal.acknowledge("me", ["a"]) == 0
    assert ids(journal) == ["b", "c"]
    assert ids(journal, wanted=["a"]) == ["a"]
    assert ids(journal, "you") == ["d"]


def test_many_results_come_in_parts(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_REPLAY_BYTES", 1500)
    names = [f"job-{i}" for i in range(7)]
    for name in names:
        finish(journal, name)
    received = []
    more = True
    while more:
        results, more = journal.results("me")
        assert results
        received += [result.job_id for result in results]
        journal.acknowledge("me", received)
    assert received == names


def test_only_old_acknowledged_results_are_forgotten(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KEPT_ACKNOWLEDGED", 1)
    for name in ("a", "b", "c"):
        finish(journal, name)
    journal.acknowledge("me", ["a", "b"])
    journal.prune()
    assert [name for name in ("a", "b", "c") if journal.find(name)] == ["b", "c"]


def test_what_was_written_is_there_for_the_next_server(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    first = Journal(path)
    finish(first, "a")
    second = Journal(path)
    assert ids(second) == ["a"]
    first.close()
    second.close()


def test_a_file_that_is_no_journal_is_one_clear_line(tmp_path: Path) -> None:
    damaged, newer = tmp_path / "damaged.sqlite", tmp_path / "newer.sqlite"
    damaged.write_bytes(b"not a database, but long enough to be looked at" * 50)
    with pytest.raises(AgentError, match="Move it away"):
        Journal(damaged)
    database = sqlite3.connect(newer)
    database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(AgentError, match="newer agent"):
        Journal(newer)


def test_a_full_disk_is_said_so(journal: Journal) -> None:
    journal.begin(job("a"), "me")
    journal._database.execute("PRAGMA max_page_count = 1")
    with pytest.raises(AgentError, match=r"disk is full.*Free some space"):
        journal.begin(job("x" * 1_000_000), "me")
    assert journal.find("a") is not None


def test_the_latest_are_kept_whatever_the_clock_says(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KEPT_ACKNOWLEDGED", 2)
    monkeypatch.setattr(module, "KEPT_UNACKNOWLEDGED", 3)
    clock = iter(range(100, 0, -1))
    monkeypatch.setattr("time.time", lambda: float(next(clock)))
    for number in range(8):
        finish(journal, str(number))
    journal.acknowledge("me", ["0", "1", "2", "3"])
    journal.prune()
    assert [number for number in range(8) if journal.find(str(number))] == [2, 3, 5, 6, 7]
    assert ids(journal) == ["5", "6", "7"]
