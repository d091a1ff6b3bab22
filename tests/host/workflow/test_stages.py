"""The journal of stages: order, times that add up, results that are kept or made again."""

from pathlib import Path

import pytest

from hytnas_host.study_files import ResultFileError, read_json
from hytnas_host.workflow.stages import ConfigChangedError, JobRecord, Stage, StageJournal

CONFIG = {"n": 3, "seed": 0}


def journal(folder: Path) -> StageJournal:
    return StageJournal(folder / "run.json", CONFIG)


def writing(path: Path, calls: list[str], inputs: str = "a") -> Stage:
    def work() -> None:
        calls.append(path.name)
        path.write_text("made")

    return Stage(path.name, work, lambda: inputs, (path,))


def test_a_result_that_stands_is_kept_even_by_a_new_journal(tmp_path: Path) -> None:
    calls: list[str] = []
    stage = writing(tmp_path / "board", calls)
    assert journal(tmp_path).run(stage).status == "done"
    kept = journal(tmp_path).run(stage)
    assert kept.status == "kept"
    assert calls == ["board"]
    assert kept.seconds == journal(tmp_path).stages[0].seconds


def test_a_result_is_made_again_when_its_inputs_change_or_its_file_is_gone(tmp_path: Path) -> None:
    calls: list[str] = []
    journal(tmp_path).run(writing(tmp_path / "board", calls))
    journal(tmp_path).run(writing(tmp_path / "board", calls, "b"))
    assert len(calls) == 2
    (tmp_path / "board").unlink()
    journal(tmp_path).run(writing(tmp_path / "board", calls, "b"))
    assert len(calls) == 3


def test_a_stage_without_outputs_runs_each_time_and_its_time_adds_up(tmp_path: Path) -> None:
    calls: list[str] = []
    found_if_killed_here = lambda: calls.append(journal(tmp_path).stages[0].status)  # noqa: E731
    stage = Stage("collect", found_if_killed_here)
    first = journal(tmp_path).run(stage).seconds
    assert journal(tmp_path).run(stage).seconds >= first
    assert calls == ["interrupted", "interrupted"]


@pytest.mark.parametrize(("error", "status"), [(KeyboardInterrupt, "interrupted"), (ValueError, "failed")])
def test_an_interrupted_stage_is_remembered_and_run_again(
    tmp_path: Path, error: type[BaseException], status: str
) -> None:
    def fail() -> None:
        raise error

    path = tmp_path / "board"
    with pytest.raises(error):
        journal(tmp_path).run(Stage("board", fail, lambda: "a", (path,)))
    assert journal(tmp_path).stages[0].status == status
    calls: list[str] = []
    journal(tmp_path).run(writing(path, calls))
    assert calls == ["board"]


def test_another_configuration_is_refused_with_what_it_was(tmp_path: Path) -> None:
    journal(tmp_path).run(Stage("collect", lambda: None))
    with pytest.raises(ConfigChangedError, match="n = 3"):
        StageJournal(tmp_path / "run.json", {"n": 4, "seed": 0})


def test_a_budget_can_be_raised_and_not_lowered(tmp_path: Path) -> None:
    def budgeted(n: int, seed: int = 0) -> StageJournal:
        return StageJournal(tmp_path / "run.json", {"n": n, "seed": seed}, budgets=("n",))

    budgeted(3).run(Stage("collect", lambda: None))
    assert budgeted(3).stages[0].stage == "collect"
    assert budgeted(5).stages[0].stage == "collect"
    budgeted(5).run(Stage("collect", lambda: None))
    with pytest.raises(ConfigChangedError, match="has n = 5, which can be raised and not lowered"):
        budgeted(4)
    with pytest.raises(ConfigChangedError, match="begun with seed = 0"):
        budgeted(9, seed=1)


def test_a_free_key_changes_either_way(tmp_path: Path) -> None:
    for budget_s in (60.0, 90.0, 30.0):
        config = {"n": 3, "budget_s": budget_s}
        StageJournal(tmp_path / "run.json", config, free=("budget_s",)).run(Stage("a", lambda: None))
        assert read_json(tmp_path / "run.json", JobRecord).config == config


def test_what_a_stage_says_is_kept_with_its_result(tmp_path: Path) -> None:
    path = tmp_path / "board"
    path.touch()
    stage = Stage("board", lambda: "2 of 3", lambda: "a", (path,))
    assert journal(tmp_path).run(stage).note == "2 of 3"
    kept = journal(tmp_path).run(stage)
    assert (kept.status, kept.note) == ("kept", "2 of 3")


def test_a_damaged_journal_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(ResultFileError, match=r"run\.json"):
        journal(tmp_path)
