"""Collecting until a predictor is good enough: which networks, when it stops, and going on after a kill."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from hytnas_agent.records import DeviceContext
from hytnas_datasets.plan import Task, build_plan
from hytnas_datasets.spaces import get_space
from hytnas_datasets.store import ExportRecord, Purpose, Study
from hytnas_host.cli.app import app
from hytnas_host.collect import until
from hytnas_host.collect.errors import CollectError
from hytnas_host.collect.options import MeasureOptions
from hytnas_host.collect.sampling import Network, sample_networks
from hytnas_host.collect.until import UntilSummary, collect_until
from hytnas_host.export.target import TORCH_ONNX
from hytnas_predictors import design
from hytnas_predictors.stopping import Goal

from ..workflow.conftest import TASK, context, latency_label

__all__ = ["context"]

HYT = get_space("hyt")
BOARD: Any = SimpleNamespace(name="made-up")
EASY = Goal(tau=0.9)
HARD = Goal(mape=0.0001)


class Measured:
    """Stands in for exporting and measuring: labels what has none, and notes how many were asked for."""

    def __init__(self, context: DeviceContext) -> None:
        self.context = context
        self.asked: list[int] = []
        self.killed_at: int | None = None

    def __call__(
        self, study: Study, devices: object, networks: Sequence[Network], task: Task, **_: object
    ) -> SimpleNamespace:
        self.asked.append(len(networks))
        known = {record.plan_hash for record in study.exports.all()}
        for number, (architecture, plan_hash) in enumerate(networks):
            if number == self.killed_at:
                self.killed_at = None
                raise KeyboardInterrupt
            if plan_hash in known:
                continue
            sha256 = plan_hash[:64].rjust(64, "0")
            study.exports.add(
                ExportRecord(
                    sha256,
                    "onnx",
                    f"models/{sha256}.onnx",
                    1,
                    plan_hash,
                    task,
                    converter=TORCH_ONNX,
                )
            )
            rng = np.random.default_rng(int(plan_hash[:8], 16))
            medians = build_plan(architecture, task).macs / 1e6 * np.exp(rng.normal(0.0, 0.01, 5))
            study.labels.add(latency_label(sha256, medians), "latency", "made-up", self.context)
        return SimpleNamespace(describe=lambda: "measured")


@pytest.fixture
def measured(context: DeviceContext, monkeypatch: pytest.MonkeyPatch) -> Measured:
    measured = Measured(context)
    monkeypatch.setattr(until, "collect_sample", measured)
    monkeypatch.setattr(until, "CANDIDATES", 10)
    monkeypatch.setattr(design, "CANDIDATES", 100)
    return measured


def collect(folder: Path, goal: Goal, most: int = 30, **more: Any) -> UntilSummary:
    with Study.open(folder) as study:
        return collect_until(
            study, [BOARD], HYT, TASK, goal, most=most, options=MeasureOptions(seed=3), **more
        )


def sample(folder: Path) -> tuple[list[str], set[str]]:
    """The networks in their order, and which of them were chosen."""
    with Study.open(folder, create=False) as study:
        networks = [plan_hash for _, plan_hash in study.architectures.of(Purpose.LATENCY)]
        return networks, {plan_hash for _, plan_hash in study.architectures.of(Purpose.CHOSEN)}


def test_it_stops_at_the_first_look_that_reaches_the_goal(tmp_path: Path, measured: Measured) -> None:
    said: list[str] = []
    found = collect(tmp_path, EASY, say=said.append)
    assert found.reached
    assert measured.asked == [20]
    assert said == [found.looks[0].describe()]
    assert "target tau >= 0.9: reached" in found.describe()
    assert "--max-n" not in found.describe()


def test_half_of_the_networks_are_random_and_those_alone_are_scored(
    tmp_path: Path, measured: Measured
) -> None:
    found = collect(tmp_path, HARD)
    assert not found.reached
    assert "a larger --max-n goes on" in found.describe()
    assert measured.asked == [20, 28]
    assert [(look.labels, look.scored) for look in found.looks] == [(20, 10), (28, 14)]
    networks, chosen = sample(tmp_path)
    assert len(networks) == len(set(networks)) == 28
    assert len(chosen) == 14
    with Study.open(tmp_path / "random") as study:
        uniform = sample_networks(study, HYT, 10, TASK, purpose=Purpose.LATENCY, seed=3)
    assert networks[:10] == [plan_hash for _, plan_hash in uniform]


@pytest.mark.parametrize("killed_at", [7, 23])
def test_killed_anywhere_it_goes_on_to_the_same_end(
    tmp_path: Path, measured: Measured, killed_at: int
) -> None:
    whole = collect(tmp_path / "whole", HARD)
    measured.killed_at = killed_at
    with pytest.raises(KeyboardInterrupt):
        collect(tmp_path / "killed", HARD)
    found = collect(tmp_path / "killed", HARD)
    assert sample(tmp_path / "killed") == sample(tmp_path / "whole")
    assert found.looks[-1] == whole.looks[-1]


def test_networks_of_an_earlier_collection_count_as_random(tmp_path: Path, measured: Measured) -> None:
    with Study.open(tmp_path) as study:
        sample_networks(study, HYT, 24, TASK, purpose=Purpose.LATENCY, seed=3)
        measured(study, [], networks=study.architectures.of(Purpose.LATENCY), task=TASK)
    found = collect(tmp_path, HARD)
    assert [(look.labels, look.scored) for look in found.looks] == [(28, 24)]
    assert len(sample(tmp_path)[1]) == 4


def test_boards_that_are_kept_apart_are_refused(tmp_path: Path) -> None:
    with Study.open(tmp_path) as study, pytest.raises(CollectError, match="one of them at a time"):
        collect_until(study, [BOARD], HYT, TASK, EASY, most=30, options=MeasureOptions(keep_apart=True))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--until-tau", "0.9", "--n", "30"], "do not go with --n"),
        (["--until-mape", "0.1", "--models", "."], "do not go with --models"),
        (["--until-tau", "1.5"], "cannot be a target"),
    ],
)
def test_options_that_make_no_sense_are_one_line(tmp_path: Path, arguments: list[str], words: str) -> None:
    found = CliRunner().invoke(app, ["collect", "latency", "--study", str(tmp_path / "study"), *arguments])
    assert found.exit_code != 0
    assert words in " ".join(found.stderr.split())
    assert "Traceback" not in found.stderr
