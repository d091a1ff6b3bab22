"""`transfer`: labels that a study holds count, more networks are chosen and measured, the rest follows."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from typer.testing import CliRunner

from hytnas_agent.records import MeasureSettings
from hytnas_datasets.plan import network_hash
from hytnas_datasets.spaces import get_space
from hytnas_datasets.store import Purpose, Study
from hytnas_host.cli.app import app
from hytnas_host.collect.errors import CollectError
from hytnas_host.collect.options import MeasureOptions
from hytnas_host.devices.client import AgentDevice
from hytnas_host.workflow.labels import LabelChoice
from hytnas_host.workflow.predictors import load_trained, train_predictor
from hytnas_host.workflow.transfer import read_prior, transfer_to_device
from hytnas_predictors.errors import PredictorError
from hytnas_predictors.persistence import read_info

from ..devices.calm import CalmTransport
from .conftest import TASK, fill

SOURCE = "bundled:hyt-icount-a53"
HYT = get_space("hyt")
QUICK = MeasureSettings(warmup_window=3, warmup_max_runs=6, min_runs=5, max_runs=5, timed_budget_s=0.01)


def invoke(*words, code=0):
    result = CliRunner().invoke(app, list(map(str, words)))
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())


@pytest.fixture(scope="module")
def prior():
    return read_prior(SOURCE, "hyt")


@pytest.fixture(scope="module")
def study(tmp_path_factory, context):
    """A study with 24 made-up labels of a device that cannot be opened."""
    folder = tmp_path_factory.mktemp("transfer") / "study"
    fill(folder, context)
    return folder


def test_labels_of_the_study_are_enough_and_everything_else_works_with_it(study):
    said = invoke("transfer", "--from", SOURCE, "--study", study, "--device", "made-up", "--n", 20)
    assert "fitted to 24 labels (SIMULATED, not measured), 0 of them new" in said
    assert "prior from 430 labels (instruction-count latency, emulated Cortex-A53)" in said
    rows = json.loads(invoke("predict", "--study", study, "--n", 3, "--json"))
    assert [row["execution"] for row in rows] == ["simulated"] * 3
    assert "latency_ms by transfer, latency: SIMULATED" in invoke("predict", "--study", study, "--n", 2)
    invoke("search", "--study", study, "--objectives", "latency_ms,params", "--strategy", "random",
           "--evaluations", 30)  # fmt: skip
    found = json.loads((study / "search.json").read_text())
    assert found["picks"]


def test_a_study_and_a_predictor_can_be_the_source(study, tmp_path):
    from_study = read_prior(str(study), "hyt").info
    assert (from_study.name, from_study.labels) == ("layerwise", 24)
    choice = LabelChoice(data=SOURCE)
    folder = train_predictor(tmp_path, "latency_ms", "hyt", name="layerwise", choice=choice)
    assert read_prior(str(folder), "hyt").info == read_info(folder)
    trees = train_predictor(tmp_path, "latency_ms", "hyt", name="lightgbm", choice=choice)
    with pytest.raises(PredictorError, match="cannot start from the predictor lightgbm"):
        read_prior(str(trees), "hyt")
    with pytest.raises(CollectError, match="nothing to transfer from at"):
        read_prior(str(tmp_path / "none"), "hyt")


def test_what_lacks_is_chosen_and_measured_and_the_same_command_goes_on(prior, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state-home"))
    opened = 0

    @contextmanager
    def open_calm() -> Iterator[tuple[AgentDevice, MeasureOptions]]:
        nonlocal opened
        opened += 1
        transport = CalmTransport(tmp_path / "agent")
        with AgentDevice("local", transport, client_id="tester", shares_processor=True) as device:
            yield device, MeasureOptions(settings=QUICK, processes=1, canary_every=0, memory_pass=False)

    def call(study: Study):
        choice = LabelChoice("local", "onnx", "fp32")
        return transfer_to_device(study, prior, open_calm, n=4, space=HYT, task=TASK, choice=choice, seed=3)

    sampled = HYT.sample(1, np.random.default_rng(0))
    with Study.open(tmp_path / "study") as study:
        study.architectures.add(HYT, sampled, [network_hash(sampled[0], TASK)], Purpose.LATENCY)
        first, again = call(study), call(study)
        sample = [architecture for architecture, _ in study.architectures.of(Purpose.LATENCY)]
    assert (first.measured, first.predictor.info.labels) == (4, 4)
    assert (again.measured, again.predictor.info.labels, opened) == (0, 4, 1)
    assert sample[:1] == sampled
    assert len(set(sample)) == 4
    kept = load_trained(tmp_path / "study", "latency_ms", HYT)
    assert kept.info.context.execution == "native"
    assert kept.predict(sample).mean.tolist() == again.predictor.predict(sample).mean.tolist()


def test_a_device_that_is_not_there_is_named(tmp_path):
    said = invoke("transfer", "--study", tmp_path / "s", "--device", "nowhere", "--n", 4, code=1)
    assert "unknown device 'nowhere'" in said


def test_a_space_without_layers_is_refused(tmp_path):
    path = tmp_path / "flags.toml"
    path.write_text(
        'name = "transfer-flags"\nfamily = "none"\n[[variables]]\nname = "unroll"\nchoices = [1, 2]\n'
    )
    said = invoke("transfer", "--study", tmp_path / "s", "--space", path, "--device", "local", code=1)
    assert "transfer-flags has no layer plans" in said
