"""Latencies that are no device's say so in every output that shows them."""

import contextlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hytnas_agent.commands import summarise
from hytnas_agent.records import EXECUTION_WORDS, LatencyLabel, Outcome
from hytnas_datasets import bundled
from hytnas_datasets.labelled import LabelledSet
from hytnas_datasets.portable import TABLE, write_set
from hytnas_host.cli.app import app
from hytnas_host.cli.label_table import print_label_rows
from hytnas_host.cli.leaderboard_table import print_leaderboard
from hytnas_host.cli.search_tables import print_search, print_verification
from hytnas_host.collect.label_rows import LabelRow
from hytnas_host.collect.summary import CollectionSummary
from hytnas_host.search.result import Objective, Pick, SearchResult, Verification
from hytnas_predictors.leaderboard import build_leaderboard, write_csv
from hytnas_predictors.result import Leaderboard

SET = "bundled:hyt-icount-a53"
EXECUTION = "instruction_count"
WORDS = EXECUTION_WORDS[EXECUTION]


def invoke(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.stderr
    return result.stdout


@dataclass(frozen=True)
class Made:
    """What a study of instruction counts leaves behind."""

    folder: Path
    labelled: LabelledSet
    board: Leaderboard

    def printed(self, show: Callable[[], None]) -> str:
        text = io.StringIO()
        with contextlib.redirect_stdout(text):
            show()
        return text.getvalue()

    def search(self) -> str:
        empty = dict.fromkeys(SearchResult.__struct_fields__, ())
        known = {"space": "hyt", "strategy": "random", "execution": EXECUTION, "seconds": 1.0}
        lists = {
            "objectives": (Objective("latency_ms", "ms", "min"),),
            "picks": (Pick("BL", "hyt-x", (12.5,)),),
        }
        return self.printed(lambda: print_search(SearchResult(**(empty | known | lists))))

    def verification(self) -> str:
        absent = dict.fromkeys(Verification.__struct_fields__)
        known = {"device": "icount-a53", "execution": EXECUTION, "predictor": "p", "rows": ()}
        return self.printed(lambda: print_verification(Verification(**(absent | known))))

    def leaderboard(self) -> str:
        return self.printed(lambda: print_leaderboard(self.board))

    def leaderboard_csv(self) -> str:
        write_csv(self.board, self.folder / "board.csv")
        return first_row(self.folder / "board.csv")

    def prediction(self) -> str:
        return invoke("predict", "--study", str(self.folder), "--n", "1")

    def prediction_json(self) -> str:
        return invoke("predict", "--study", str(self.folder), "--n", "1", "--json")

    def bundled_table(self) -> str:
        return first_row(bundled.set_folder(SET) / TABLE)

    def packed_table(self) -> str:
        write_set(self.labelled, self.folder / "set", name="packed", summary="", licence="", provenance={})
        return first_row(self.folder / "set" / TABLE)

    def data_sheet(self) -> str:
        return invoke("dataset", "sheet", SET)

    def collection(self) -> str:
        none = dict.fromkeys(CollectionSummary.__struct_fields__, 0)
        known = {"outcomes": {}, "devices": (), "agreement": None, "executions": (EXECUTION,)}
        return CollectionSummary(**(none | known)).describe()

    def label_rows(self) -> str:
        rows = [LabelRow("m.onnx", "onnx fp32", device="pi", execution=EXECUTION)]
        return self.printed(lambda: print_label_rows(rows))

    def agent(self) -> str:
        absent = dict.fromkeys(LatencyLabel.__struct_fields__, 1.0)
        known = {"outcome": Outcome.OK, "message": "", "peak_rss_bytes": None}
        return summarise("m.onnx", LatencyLabel(**(absent | known)), {EXECUTION})


def first_row(table: Path) -> str:
    return table.read_text().splitlines()[1]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("study")
    invoke("train", "--study", str(folder), "--data", SET, "--predictor", "lightgbm")
    labelled = bundled.load(SET.removeprefix("bundled:"))
    board = build_leaderboard(labelled, estimators=("lightgbm",), folds=2, repeats=1, resamples=50)
    return Made(folder, labelled, board)


@pytest.mark.parametrize(
    ("show", "expected"),
    [
        (Made.search, WORDS),
        (Made.verification, WORDS),
        (Made.leaderboard, WORDS),
        (Made.leaderboard_csv, EXECUTION),
        (Made.prediction, WORDS),
        (Made.prediction_json, EXECUTION),
        (Made.bundled_table, EXECUTION),
        (Made.packed_table, EXECUTION),
        (Made.data_sheet, WORDS),
        (Made.collection, WORDS),
        (Made.label_rows, WORDS),
        (Made.agent, WORDS),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_an_output_says_how_its_latencies_came_about(
    made: Made, show: Callable[[Made], str], expected: str
) -> None:
    assert expected in " ".join(show(made).split())
