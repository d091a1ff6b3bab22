"""Why dynamic-range int8 is refused on tflite-runtime: computed there all the same, it is wrong."""

import os
import subprocess
from pathlib import Path

import numpy as np

from .conftest import PYTHONS

# Straight through the interpreter: the agent's adapter would refuse.
FORCED = """
import sys
import numpy as np
try:
    from tflite_runtime.interpreter import Interpreter
except ImportError:
    from ai_edge_litert.interpreter import Interpreter
interpreter = Interpreter(sys.argv[1], num_threads=1)
interpreter.allocate_tensors()
outputs = []
for case in np.load(sys.argv[2])["input_0"]:
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], case)
    interpreter.invoke()
    outputs.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))
np.save(sys.argv[3], np.stack(outputs))
"""


def outputs_of(runtime: str, model: Path, inputs: Path, folder: Path) -> np.ndarray:
    target = folder / f"{runtime}.npy"
    command = [PYTHONS[runtime], "-c", FORCED, str(model), str(inputs), str(target)]
    subprocess.run(command, check=True, capture_output=True, env=os.environ)
    return np.load(target)


def test_the_two_runtimes_disagree_about_int8_and_the_refused_one_is_wrong(exports, tmp_path: Path) -> None:
    from hytnas_host.export.agreement import agreement  # here: whoever collects tests need not load torch

    exported = exports["int8"]
    expected = np.load(exported.outputs_file)["output_0"]
    right, wrong = (
        agreement(outputs_of(runtime, exported.path, exported.inputs_file, tmp_path), expected)
        for runtime in ("ai-edge-litert", "tflite-runtime")
    )
    assert right.correlation > 0.9
    assert wrong.correlation < 0.7
    assert wrong.relative_error > 1.0


def test_they_agree_about_fp32(exports, tmp_path: Path) -> None:
    exported = exports["small"]
    one, other = (
        outputs_of(runtime, exported.path, exported.inputs_file, tmp_path)
        for runtime in ("ai-edge-litert", "tflite-runtime")
    )
    np.testing.assert_allclose(one, other, atol=1e-4 * exported.output_spread)
