"""Doubtful latencies: said wherever labels are fitted to, and left out with `--stable-only`."""

import json
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner, Result

from hytnas_agent.records import DeviceContext, Outcome
from hytnas_datasets.errors import DataSetError, NotEnoughDataError
from hytnas_datasets.portable import read_set
from hytnas_datasets.store import Study
from hytnas_host.cli.app import app
from hytnas_host.workflow.labels import LabelChoice, fingerprint, read_labels
from hytnas_host.workflow.leaderboards import make_leaderboard
from hytnas_host.workflow.predictors import train_predictor

from .conftest import fill

STABLE = LabelChoice(stable_only=True)


def doubt(folder: Path, *, unstable: int, disturbed: int = 0) -> None:
    """Make the first labels of a study UNSTABLE, the ones after them of too few undisturbed ones."""
    with Study.open(folder) as study:
        for number, stored in enumerate(study.labels.all("latency")):
            changed = msgspec.structs.replace(
                stored.label,
                outcome=Outcome.UNSTABLE if number < unstable else Outcome.OK,
                too_few_undisturbed=unstable <= number < unstable + disturbed,
                target_half_width=0.015,
            )
            study.labels.add(changed, stored.purpose, stored.device_id, stored.context)


@pytest.fixture
def study(tmp_path: Path, context: DeviceContext) -> Path:
    """24 labels, of which 3 are doubtful."""
    fill(tmp_path, context)
    doubt(tmp_path, unstable=2, disturbed=1)
    return tmp_path


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_doubtful_labels_count_and_are_counted(study: Path) -> None:
    shown = invoke("leaderboard", "--study", study, "--folds", "2", "--repeats", "1")
    words = (
        "3 of 24 labels are doubtful and count all the same: "
        "2 UNSTABLE, 1 with too few undisturbed processes."
    )
    assert words in " ".join(shown.stdout.split())
    trained = invoke("train", "--study", study, "--predictor", "lightgbm")
    assert "fitted for latency_ms to 24 labels" in " ".join(trained.stdout.split())
    assert words in " ".join(trained.stdout.split())


def test_stable_labels_alone_are_fitted_to_and_scored_on(study: Path) -> None:
    options = ("--study", study, "--stable-only", "--folds", "2", "--repeats", "1", "--json")
    board = json.loads(invoke("leaderboard", *options).stdout)
    counts = {"labels": 24, "unstable": 2, "disturbed": 1, "doubtful": 3, "untargeted": 0, "left_out": 3}
    assert (board["labels"], board["quality_flags"]) == (21, counts)
    assert json.loads((study / "leaderboard-latency_ms.json").read_text())["quality_flags"] == counts
    assert "3 of 24 labels were left out" in board["notes"][0]
    trained = invoke("train", "--study", study, "--stable-only")
    assert "to 21 labels" in " ".join(trained.stdout.split())
    info = json.loads((study / "predictors" / "latency_ms" / "predictor.json").read_text())["info"]
    assert (info["labels"], info["quality_flags"]) == (21, counts)


def test_too_few_stable_labels_are_one_line_that_says_how_many_there_were(study: Path) -> None:
    doubt(study, unstable=23)
    with pytest.raises(NotEnoughDataError, match=r"^1 labelled networks.*left out 23 of 24"):
        make_leaderboard(study, "latency_ms", "hyt", choice=STABLE)
    with pytest.raises(NotEnoughDataError, match=r"^1 labels are too few to fit to.*left out 23 of 24"):
        train_predictor(study, "latency_ms", "hyt", name="lightgbm", choice=STABLE)
    doubt(study, unstable=24)
    failed = invoke("train", "--study", study, "--predictor", "lightgbm", "--stable-only")
    assert failed.exit_code != 0
    assert "left out 24 of 24" in " ".join(failed.stderr.split())
    assert "Traceback" not in failed.stderr


def test_accuracies_are_never_doubtful(study: Path) -> None:
    assert read_labels(study, "accuracy", "hyt").flag_count is None
    with pytest.raises(DataSetError, match="labels of accuracy are neither UNSTABLE nor disturbed"):
        read_labels(study, "accuracy", "hyt", STABLE)


def test_a_packed_set_keeps_what_is_to_be_said_of_its_labels(study: Path, tmp_path: Path) -> None:
    folder = tmp_path / "packed"
    assert invoke("dataset", "pack", folder, "--study", study).exit_code == 0
    assert "3 of 24 labels are doubtful" in " ".join(invoke("dataset", "sheet", folder).stdout.split())
    assert len(read_set(folder)) == 24
    choice = LabelChoice(data=str(folder), stable_only=True)
    assert len(read_labels(study, "latency_ms", "hyt", choice)) == 21


def test_a_set_that_does_not_know_is_refused(tmp_path: Path) -> None:
    choice = LabelChoice(data="bundled:hyt-icount-a53", stable_only=True)
    with pytest.raises(DataSetError, match="do not say which of them are UNSTABLE"):
        read_labels(tmp_path, "latency_ms", "hyt", choice)


def test_labels_that_turn_doubtful_are_other_labels(study: Path) -> None:
    before = fingerprint(read_labels(study, "latency_ms", "hyt"))
    doubt(study, unstable=3)
    assert fingerprint(read_labels(study, "latency_ms", "hyt")) != before
