"""The data sets that come with the package are whole, and fit the networks that this version builds."""

import numpy as np
import pytest

from hytnas_agent.records import EXECUTION_WORDS
from hytnas_datasets import bundled
from hytnas_datasets.errors import DataSetError
from hytnas_datasets.plan import Task, network_hash

ICOUNT = "hyt-icount-a53"


def test_every_bundled_set_is_what_its_sheet_says() -> None:
    assert ICOUNT in bundled.names()
    for name in bundled.names():
        sheet, labelled = bundled.sheet(name), bundled.load(name)
        assert sheet.name == name
        assert sheet.licence == "Apache-2.0"
        assert len(labelled) == sheet.labels
        assert len(set(labelled.plan_hashes)) == sheet.networks
        assert np.all(labelled.y > 0)
        for architecture, plan_hash in zip(labelled.architectures, labelled.plan_hashes, strict=True):
            assert network_hash(architecture, labelled.context.task) == plan_hash


def test_instruction_counts_say_what_they_are_and_how_they_were_made() -> None:
    sheet = bundled.sheet(ICOUNT)
    assert sheet.labels >= 400
    assert (sheet.space, sheet.target, sheet.context.task) == ("hyt", "latency_ms", Task())
    assert sheet.latencies == EXECUTION_WORDS["instruction_count"]
    assert "no caches" in sheet.caution
    assert sheet.context.device is not None
    assert sheet.context.execution == "instruction_count"
    assert sheet.context.model_files is not None
    assert (sheet.context.model_files.format, sheet.context.model_files.precision) == ("onnx", "fp32")
    assert bundled.load(ICOUNT).context == sheet.context
    assert "qemu-user" in sheet.provenance["emulated_system"]["emulator"]
    for study in sheet.provenance["studies"]:
        assert study["models_per_hour"] > 0
        assert study["exports"]
        assert all("seed" in run["config"] for run in study["runs"])


def test_an_unknown_name_is_told_the_known_ones() -> None:
    with pytest.raises(DataSetError, match=ICOUNT):
        bundled.load("hyt-of-another-board")
    with pytest.raises(DataSetError, match=r"no data set '\.\./bundled'"):
        bundled.set_folder("bundled:../bundled")
