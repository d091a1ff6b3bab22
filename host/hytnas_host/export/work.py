"""The work of a model file from anywhere, read from its graph without running it."""

from pathlib import Path

from hytnas_datasets.errors import ModelGraphError
from hytnas_datasets.work import GraphWork, work_of_onnx, work_of_tflite
from hytnas_host.export.errors import ModelFileError
from hytnas_host.export.fixing import onnx_with_shapes
from hytnas_host.export.shapes import AS_THEY_ARE, WantedShapes


def read_work(path: Path, wanted: WantedShapes = AS_THEY_ARE) -> GraphWork:
    """The work of an ONNX file with its open inputs fixed, or of a TFLite file by its name.

    Raises
    ------
    ModelFileError
        It or its weights beside it cannot be read, it is too large, is no valid model, or has sizes that are
        not fixed.
    """
    try:
        if path.suffix.lower() == ".tflite":
            return work_of_tflite(path)
        return work_of_onnx(onnx_with_shapes(path, wanted))
    except ModelGraphError as error:
        raise ModelFileError(f"{path}: {error.what}", error.next_step) from error
    except OSError as error:
        raise ModelFileError(
            f"{path} cannot be read: {error.strerror or error}", "Check its path and permissions"
        ) from error
