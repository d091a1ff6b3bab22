"""A package of somebody else adds one of each, and everything that takes a name takes theirs."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from hytnas_agent.runtimes.onnx import OnnxRuntime
from hytnas_agent.supervisor import CORE_SPEED_VARIABLE
from hytnas_datasets.spaces import HYT, to_toml

SOURCE = Path(__file__).parent / "hytnas_example"
PROFILE = ("-c", "from hytnas_host.cli import main; main()")
LABELS = """
from pathlib import Path
import numpy as np
from hytnas_datasets.label_context import LabelContext
from hytnas_datasets.labelled import LabelledSet
from hytnas_datasets.plan import Task, build_plan
from hytnas_datasets.portable import write_set
from hytnas_datasets.spaces import get_space
from hytnas_datasets.targets import get_target

space, task = get_space("example-chains"), Task(resolution=32, classes=10)
architectures = tuple(space.sample(40, np.random.default_rng(0)))
plans = [build_plan(architecture, task) for architecture in architectures]
latencies, accuracies = [plan.macs / 1e6 for plan in plans], [plan.params / 1e5 for plan in plans]
for target, labels in (("latency_ms", latencies), ("accuracy", accuracies)):
    labelled = LabelledSet(
        space=space, architectures=architectures, plan_hashes=tuple(plan.hash for plan in plans),
        y=np.array(labels), repeats=tuple(np.array([label]) for label in labels), provenance="made up",
        target=get_target(target), context=LabelContext(task),
    )
    write_set(labelled, Path(target), name="x", summary="x", licence="CC0-1.0", provenance={})
"""
COMMANDS = """
import json, sys
from typer.testing import CliRunner
from hytnas_host.cli.app import app

for words in json.loads(sys.argv[1]):
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    print(json.dumps(done.stdout))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with the package in it, as pip would put it there; hatchling builds it without a network."""
    folder = tmp_path_factory.mktemp("installed")
    source = shutil.copytree(SOURCE, tmp_path_factory.mktemp("source") / "hytnas_example")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(source / "dist")],
        cwd=source,
        check=True,
        capture_output=True,
    )
    (wheel,) = (source / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture
def run(installed, tmp_path):
    """Runs Python with the package installed, away from this repository, and whatever the core's speed is."""

    def start(*words, status=0):
        process = subprocess.run(
            [sys.executable, *map(str, words)],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(installed), CORE_SPEED_VARIABLE: "off"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert process.returncode == status, process.stdout + process.stderr
        return process.stdout or process.stderr

    return start


def test_all_five_are_listed(run):
    code = (
        "from hytnas_agent.runtimes.registry import RUNTIMES\n"
        "from hytnas_datasets.families import list_families\n"
        "from hytnas_datasets.spaces import list_spaces\n"
        "from hytnas_host.search import list_strategies\n"
        "from hytnas_predictors.estimators import list_estimators\n"
        "print(list_spaces()[-1], list_families()[-1], RUNTIMES.names()[-1], list_estimators()[-1], "
        "list_strategies()[-1])"
    )
    assert run("-c", code).split() == [
        "example-chains",
        "example-chain",
        "example-onnx",
        "example-quadratic",
        "example-climber",
    ]


def test_the_family_decides_the_task(run):
    sample = ("space", "sample", "example-chains", "--n", 3, "--json")
    assert json.loads(run(*PROFILE, *sample)) == json.loads(
        run(*PROFILE, *sample, "--resolution", 32, "--classes", 10)
    )


def test_all_five_pass_their_suites(run, tmp_path):
    shutil.copy(SOURCE / "conformance.py", tmp_path / "test_conformance.py")
    assert " passed" in run("-m", "pytest", "-q", "-p", "no:cacheprovider", "test_conformance.py")


def test_the_space_the_family_the_estimator_and_the_strategy_are_used(run):
    study = ["--study", "study", "--space", "example-chains"]
    commands = [
        ["train", *study, "--target", target, "--data", target, "--predictor", "example-quadratic"]
        for target in ("latency_ms", "accuracy")
    ]
    commands.append(["predict", *study, "--n", "40", "--json"])
    commands.append(["search", *study, "--strategy", "example-climber", "--evaluations", "45", "--json"])
    *_, predicted, found = map(json.loads, run("-c", LABELS + COMMANDS, json.dumps(commands)).splitlines())
    assert len({row["latency_ms"] for row in json.loads(predicted)}) > 20
    found = json.loads(found)
    assert found["strategy"] == "example-climber"
    assert len(found["front"]) > 2
    assert [objective["name"] for objective in found["objectives"]] == ["latency_ms", "accuracy", "params"]


def test_the_family_is_named_in_a_toml_file(run, tmp_path):
    text = to_toml(HYT).replace('"hyt"', '"mine"', 1).replace('"hyt"', '"example-chain"', 1)
    (tmp_path / "mine.toml").write_text(text)
    error = run(*PROFILE, "space", "sample", "mine.toml", status=1)
    assert "Family 'example-chain' has the variables body.blocks, body.channels, body.expand" in error


def test_the_agent_measures_with_the_runtime(run, tmp_path):
    (tmp_path / "tiny.onnx").write_bytes(OnnxRuntime().tiny_model)
    agent = ("-m", "hytnas_agent", "--state", tmp_path / "state")
    words = ("measure", "tiny.onnx", "--runtime", "example-onnx", "--processes", 1, "--json")
    measured = json.loads(run(*agent, *words))
    contexts = [result["context"] for result in measured["results"] if result["context"]]
    assert {context["runtime"] for context in contexts} == {"example-onnx"}
    described = json.loads(run(*agent, "describe", "--json"))
    names = {runtime["name"]: runtime["usable"] for runtime in described["runtimes"]}
    assert names["example-onnx"]


def test_without_the_package_nothing_of_it_is_known(tmp_path):
    process = subprocess.run(
        [sys.executable, *PROFILE, "space", "sample", "example-chains"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 1
    assert "There is no space named 'example-chains'" in process.stderr
