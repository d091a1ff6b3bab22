"""A search on the terminal, whatever its objectives are."""

import contextlib
import io

import numpy as np
import pytest

from hytnas_datasets.plan import Task
from hytnas_datasets.spaces import get_space
from hytnas_host.cli.search_tables import MAX_FRONT_ROWS, print_search
from hytnas_host.search.evaluators import CallableEvaluator
from hytnas_host.search.objectives import parse_objectives
from hytnas_host.search.result import SearchResult
from hytnas_host.search.run import run_search

DEVICE = "measured on the device"


def searched(objectives: str, strategy: str = "random") -> SearchResult:
    wanted = parse_objectives(objectives)
    evaluator = CallableEvaluator(
        wanted, lambda rows: np.random.default_rng(len(rows)).random((len(rows), len(wanted)))
    )
    options = {"members": 2, "population": 8, "generations": 2} if strategy == "hyt" else {}
    return run_search(
        get_space("hyt"),
        evaluator,
        task=Task(resolution=64),
        strategy=strategy,
        evaluations=20,
        initial=12,
        options=options,
    )


def printed(result: SearchResult) -> str:
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        print_search(result)
    return " ".join(text.getvalue().split())


@pytest.mark.parametrize(
    ("objectives", "picks", "origin"),
    [
        ("energy_mj,params", [], f"energy_mj predicted from: {DEVICE}"),
        ("params", [], ""),
        ("latency", ["BL"], f"latencies predicted from: {DEVICE}"),
        ("accuracy", ["BA"], ""),
        ("accuracy,energy_mj,macs", ["BA"], f"energy_mj predicted from: {DEVICE}"),
        ("latency,accuracy", ["BL", "BA", "O"], f"latencies predicted from: {DEVICE}"),
    ],
)
def test_any_objectives_show_what_was_found(objectives: str, picks: list[str], origin: str) -> None:
    result = searched(objectives)
    assert [pick.label for pick in result.picks] == picks
    text = printed(result)
    shown = [pick.architecture for pick in result.picks] or [row.architecture for row in result.front]
    assert all(architecture in text for architecture in shown)
    assert origin in text
    assert ("predicted from" in text) == bool(origin)


def test_a_large_front_without_picks_is_cut_and_says_so() -> None:
    result = searched("params,macs")
    member = result.front[0]
    text = printed(SearchResult(**{**as_fields(result), "front": (member,) * (MAX_FRONT_ROWS + 3)}))
    assert text.count(member.architecture) == MAX_FRONT_ROWS
    assert "and 3 more on the front: --json" in text


def as_fields(result: SearchResult) -> dict[str, object]:
    return {name: getattr(result, name) for name in SearchResult.__struct_fields__}


@pytest.mark.parametrize("strategy", ["nsga2", "hyt"])
def test_every_strategy_takes_one_objective_alone(strategy: str) -> None:
    result = searched("energy_mj", strategy)
    assert min(row.values for row in result.evaluated) == result.front[0].values
    assert result.front[0].architecture in printed(result)


def test_a_narrow_terminal_keeps_the_ids_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hytnas_host.cli.console.out.width", 60)
    result = searched("accuracy,energy_mj,macs")
    assert result.picks[0].architecture in printed(result)
