"""What the host runs on, for the record of a run."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Final

LIBRARIES: Final = (
    "hytnas",
    "torch",
    "onnx",
    "onnxruntime",
    "numpy",
    "scikit-learn",
    "xgboost-cpu",
    "lightgbm",
    "pymoo",
    "moocore",
)


def environment() -> dict[str, str]:
    """Python, system, processor count and the versions of the libraries that results depend on."""
    found = {
        "python": platform.python_version(),
        "system": platform.platform(),
        "machine": platform.machine(),
        "cores": str(len(os.sched_getaffinity(0))),
    }
    for library in LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            continue
    return found
