"""What the formats share; their converters are tested on their own."""

import sys

import numpy as np
import pytest
import torch

from hytnas_host.export import ExportError, ExportTarget, export_model, pipeline
from hytnas_host.export.exported import Conversion
from hytnas_host.export.target import ONNX2TF


def test_a_model_with_the_channels_last_gets_its_reference_so(plan, tmp_path, monkeypatch) -> None:
    networks = []

    def convert(network, plan):
        networks.append(network)
        return Conversion(b"a model", "9.9", channels_last=True)

    def run(content, inputs):
        assert content == b"a model"
        assert inputs.shape == (3, 1, 56, 56, 3)
        images = torch.from_numpy(np.moveaxis(inputs, -1, 2)[:, 0].copy())
        with torch.no_grad():
            return networks[0](images).numpy()[:, None]

    monkeypatch.setitem(pipeline._CONVERT, ONNX2TF, convert)
    monkeypatch.setattr(pipeline, "run_tflite", run)
    target = ExportTarget("tflite", converter=ONNX2TF)
    exported = export_model(plan, tmp_path, seed=0, target=target)
    assert exported.path.name == f"{exported.sha256}.tflite"
    assert (exported.target, exported.converter_version, exported.opset) == (target, "9.9", None)
    assert np.load(exported.inputs_file)["input_0"].shape == (3, 1, 56, 56, 3)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_without_the_converter_the_extra_is_named(plan, tmp_path, monkeypatch, precision: str) -> None:
    monkeypatch.setitem(sys.modules, "litert_torch", None)
    with pytest.raises(ExportError, match=r"hytnas\[host,litert-export\]"):
        export_model(plan, tmp_path, seed=0, target=ExportTarget("tflite", precision))
    assert not list(tmp_path.iterdir())
