import pytest

from hytnas_host.export import ExportError, ExportTarget
from hytnas_host.export.target import ModelKind


def test_targets_that_mean_the_same_are_equal() -> None:
    assert ExportTarget() == ExportTarget("onnx", "fp32", "torch.onnx (tracing)")
    assert ExportTarget("tflite") == ExportTarget("tflite", converter="litert-torch")
    assert str(ExportTarget("tflite", "int8")) == "tflite int8 by litert-torch"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"format": "caffe"}, "known: onnx, tflite"),
        ({"format": "onnx", "precision": "int8"}, "it is in fp32"),
        ({"format": "onnx", "converter": "litert-torch"}, r"known for onnx: torch\.onnx"),
        ({"format": "tflite", "converter": "coremltools"}, "known for tflite: litert-torch, onnx2tf"),
    ],
)
def test_what_does_not_go_together_is_refused_with_what_does(options: dict[str, str], said: str) -> None:
    with pytest.raises(ExportError, match=said):
        ExportTarget(**options)


def test_a_kind_has_a_target_where_its_files_are_exported() -> None:
    assert ExportTarget.of_kind(ModelKind("tflite", "int8")) == ExportTarget("tflite", "int8")
    assert ExportTarget.of_kind(ModelKind("onnx", "int8")) is None
