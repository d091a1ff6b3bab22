"""TFLite models on this workstation, to check what a converter made."""

import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hytnas_agent.runtimes.base import RuntimeFailure
from hytnas_agent.runtimes.registry import create
from hytnas_host.export.errors import ExportError
from hytnas_host.export.hushed import hushed


def run_tflite(model: bytes, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Outputs ``(k, ...)`` of a model for inputs ``(k, ...)``, on one thread of ai-edge-litert.

    Raises
    ------
    ExportError
        If the runtime is not installed or refuses the model.
    """
    try:
        with hushed(), tempfile.NamedTemporaryFile(suffix=".tflite") as file:
            file.write(model)
            file.flush()
            loaded = create("ai-edge-litert").load(Path(file.name), threads=1)
            outputs = [loaded.run([case])[0] for case in inputs]
    except RuntimeFailure as failure:
        raise ExportError(f"the exported model cannot be run: {failure.what}") from failure
    return np.stack([np.asarray(output, np.float32) for output in outputs])
