"""A space without networks, from a TOML file: sampled, encoded, learned from and searched."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from hytnas_datasets.label_context import LabelContext
from hytnas_datasets.labelled import LabelledSet
from hytnas_datasets.plan import Task
from hytnas_datasets.portable import write_set
from hytnas_datasets.spaces import get_space, load_toml
from hytnas_datasets.targets import get_target
from hytnas_host.cli.app import app
from hytnas_predictors.features import make_features

TABLE_SPACE = """
name = "compiler-flags"
family = "none"

[[variables]]
name = "unroll"
choices = [1, 2, 4, 8]

[[variables]]
name = "tile"
choices = [8, 16, 32, 64]

[[variables]]
name = "layout"
choices = ["nchw", "nhwc"]

[[variables]]
name = "threads"
choices = [1, 2, 3, 4]
"""


@pytest.fixture
def space(tmp_path):
    path = tmp_path / "flags.toml"
    path.write_text(TABLE_SPACE)
    return path


def run(*words):
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    return result.stdout


def label(values):
    """Made up: latency falls with threads and unrolling, accuracy with both, so that there is a trade-off."""
    latency = 20.0 / values["threads"] + 4.0 / values["unroll"] + values["tile"] / 32
    return latency, 0.9 - 0.05 * values["threads"] - 0.01 * values["unroll"]


def pack(folder, space, sample, target):
    architectures = tuple(space.parse(row["id"]) for row in sample)
    labels = np.array([label(row["values"])[target == "accuracy"] for row in sample])
    labelled = LabelledSet(
        space=space,
        architectures=architectures,
        plan_hashes=tuple(row["id"] for row in sample),
        y=labels,
        repeats=tuple(np.array([value]) for value in labels),
        target=get_target(target),
        context=LabelContext(Task()),
        provenance="made up",
    )
    write_set(labelled, folder, name="made-up", summary="made up", licence="CC0-1.0", provenance={})
    return labelled


def test_a_space_without_networks_goes_all_the_way(space, tmp_path):
    sample = json.loads(run("space", "sample", space, "--n", 60, "--json"))
    assert len({row["id"] for row in sample}) == 60
    assert sample[0].keys() == {"id", "values"}
    assert "no networks" in run("space", "sample", space, "--n", 2)

    study = tmp_path / "study"
    chosen = get_space(str(space))
    for target in ("latency_ms", "accuracy"):
        labelled = pack(tmp_path / target, chosen, sample, target)
        assert make_features(chosen, labelled.architectures, None, ("ordinal", "one-hot")).x.shape == (60, 18)
        options = ("--study", study, "--space", space, "--target", target, "--data", tmp_path / target)
        board = json.loads(run("leaderboard", *options, "--repeats", 1, "--json"))
        assert {"macs", "params", "roofline"}.isdisjoint(score["predictor"] for score in board["baselines"])
        run("train", *options, "--predictor", "xgboost")
        predicted = json.loads(run("predict", sample[0]["id"], *options[:6], "--json"))
        assert predicted[0][target] == pytest.approx(labelled.y[0], rel=0.1)

    search = ("search", "--study", study, "--space", space, "--evaluations", 60, "--batch", 15)
    result = json.loads(run(*search, "--strategy", "nsga2", "--json"))
    assert [objective["name"] for objective in result["objectives"]] == ["latency_ms", "accuracy"]
    assert len({row["plan_hash"] for row in result["evaluated"]}) == 60
    assert {pick["label"] for pick in result["picks"]} == {"BL", "BA", "O"}
    fastest = next(pick for pick in result["picks"] if pick["label"] == "BL")
    assert chosen.values(chosen.parse(fastest["architecture"]))["threads"] == 4
    assert "best latency" in run(*search, "--strategy", "nsga2")
    assert load_toml(study / "search-space.toml") == chosen

    wrong = CliRunner().invoke(app, [*map(str, search), "--objectives", "latency,params"])
    assert wrong.exit_code == 1
    assert "does not give params. The space has no networks: leave them out" in " ".join(wrong.output.split())

    run("report", "--study", study)
    page = (study / "report.html").read_text(encoding="utf-8")
    assert fastest["architecture"] in page
    assert "unroll" in page
