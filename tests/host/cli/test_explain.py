"""`predict --explain`: a person reads what a network's stages take and what work costs."""

import json

import pytest
from typer.testing import CliRunner

from hytnas_host.cli.app import app

NETWORK = "hyt-0h8hkpznf"


def invoke(*words, code=0):
    result = CliRunner().invoke(app, list(map(str, words)))
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A study whose predictor was fitted without naming one."""
    folder = tmp_path_factory.mktemp("study")
    invoke("train", "--study", folder, "--data", "bundled:hyt-icount-a53")
    return folder


def test_the_stages_sum_up_to_what_is_predicted(study):
    found = json.loads(invoke("predict", "--study", study, "--explain", NETWORK, "--json"))
    predicted = json.loads(invoke("predict", "--study", study, NETWORK, "--json"))[0]["latency_ms"]
    taken = found["prediction"]
    assert taken["predicted"] == predicted
    assert sum(stage["cost"] for stage in taken["stages"]) * taken["factor"] == pytest.approx(predicted)
    assert {cost["kind"] for cost in found["costs"]} >= {"pointwise", "depthwise", "matmul"}


def test_the_tables_say_units_and_how_the_latencies_came_about(study):
    said = invoke("predict", "--study", study, "--explain", NETWORK)
    assert said.count("instruction-count latency, emulated Cortex-A53") == 2
    for word in ("stage5", "multiply-accumulate", "ns", "Networks like this one take"):
        assert word in said


def test_only_a_layerwise_predictor_can_be_explained(tmp_path):
    invoke("train", "--study", tmp_path, "--data", "bundled:hyt-icount-a53", "--predictor", "lightgbm")
    said = invoke("predict", "--study", tmp_path, "--explain", NETWORK, code=1)
    assert "lightgbm does not say what a layer costs. Fit one that does" in said


def test_ids_and_one_to_explain_exclude_each_other(study):
    assert "one to explain" in invoke("predict", NETWORK, "--study", study, "--explain", NETWORK, code=2)
