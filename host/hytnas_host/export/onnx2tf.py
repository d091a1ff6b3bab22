"""A network as a TFLite model, by onnx2tf in a Python of its own, whose versions suit nothing else here.

Its models take images with the channels last, and have another graph of operators than litert-torch's.
"""

import os
import re
import subprocess
import tempfile
from pathlib import Path

import onnx

from hytnas_datasets.plan import LayerPlan
from hytnas_host.export.errors import ExportError
from hytnas_host.export.exported import Conversion
from hytnas_host.export.external import MAX_MODEL_BYTES
from hytnas_host.export.onnx_export import convert_onnx
from hytnas_host.export.target import ONNX2TF
from hytnas_host.models import PlanNetwork

PYTHON_VARIABLE = "HYTNAS_ONNX2TF_PYTHON"
TIMEOUT_S = 600.0
MAX_REASON_CHARACTERS = 300
_EXCEPTION = re.compile(r"[A-Za-z_][\w.]*(Error|Exception|Exit|Interrupt): ")
_ASK_VERSION = "import importlib.metadata as m; print(m.version('onnx2tf'))"


def convert_onnx2tf(network: PlanNetwork, plan: LayerPlan) -> Conversion:
    """The TFLite model of a network in evaluation mode.

    Raises
    ------
    ExportError
        If no Python with onnx2tf is named, or the conversion fails.
    """
    python = _interpreter()
    version = _run([python, "-c", _ASK_VERSION], f"{python} has no {ONNX2TF}").strip()
    with tempfile.TemporaryDirectory(prefix="hytnas-onnx2tf-") as name:
        folder = Path(name)
        source = folder / "network.onnx"
        source.write_bytes(_cleaned(convert_onnx(network, plan).content))
        command = [python, "-m", "onnx2tf", "-i", str(source), "-o", str(folder / "out")]
        command += ["-tb", "flatbuffer_direct", "-n", "-v", "error"]
        _run(command, f"{ONNX2TF} cannot convert network {plan.hash[:12]}")
        content = _result(folder / "out" / "network_float32.tflite", plan)
    return Conversion(content, version, channels_last=True)


def _interpreter() -> str:
    python = os.environ.get(PYTHON_VARIABLE)
    if not python:
        raise ExportError(
            f"{ONNX2TF} runs in a Python of its own (3.12 or later), and none is named",
            f"Make an environment, pip install onnx2tf there, and set {PYTHON_VARIABLE} to its python",
        )
    return python


def _cleaned(content: bytes) -> bytes:
    """Without this the file converts, and then fails in the runtime."""
    import onnxscript.optimizer  # noqa: PLC0415 (slow to import, and only for this converter)

    model = onnxscript.optimizer.optimize(onnx.load_model_from_string(content))
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    cleaned: bytes = inferred.SerializeToString(deterministic=True)
    return cleaned


def _run(command: list[str], failure: str) -> str:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
            env=environment,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
        )
    except OSError as error:
        raise ExportError(
            f"{command[0]} cannot be started: {error.strerror}", f"Set {PYTHON_VARIABLE}"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise ExportError(f"{failure}: no end within {TIMEOUT_S:g} s") from error
    if done.returncode != 0:
        reason = _reason(done.stdout + done.stderr) or f"status {done.returncode}"
        raise ExportError(f"{failure}: {reason}")
    return done.stdout


def _reason(output: str) -> str:
    """The last line that names an exception, whose message may go on for lines; else the last line."""
    said = [line.strip() for line in output.splitlines() if line.strip()]
    named = [line for line in said if _EXCEPTION.match(line)]
    return (named or said or [""])[-1][:MAX_REASON_CHARACTERS]


def _result(path: Path, plan: LayerPlan) -> bytes:
    try:
        if path.stat().st_size > MAX_MODEL_BYTES:
            raise ExportError(f"{ONNX2TF} made more than {MAX_MODEL_BYTES} bytes of network {plan.hash[:12]}")
        return path.read_bytes()
    except OSError as error:
        raise ExportError(
            f"{ONNX2TF} left no {path.name} for network {plan.hash[:12]}: {error.strerror}",
            "Try another version of it",
        ) from error
