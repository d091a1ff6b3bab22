"""The two TFLite runtimes on the CPU, with explicit threads: ai-edge-litert and its elder tflite-runtime.

They share the interpreter's interface. Each computes with the XNNPACK delegate wherever that can, as it does
for every user who does not ask otherwise.
"""

import base64
import importlib
import importlib.metadata
import re
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from hytnas_agent.protocol import RuntimeInfo
from hytnas_agent.records import Outcome
from hytnas_agent.runtimes.arrays import Array
from hytnas_agent.runtimes.base import ProfiledModel, RuntimeFailure, TensorSpec, fix_shape
from hytnas_agent.runtimes.tflite_file import TfliteFacts, read_tflite
from hytnas_agent.tflite_model import TfliteFileError

# Schema 3: y = RELU(x), x of shape 1 x 4; made by tests/agent/runtimes/tflite_files.py.
TINY_MODEL = base64.b64decode(
    b"GAAAAFRGTDMAAA4AFAAQAAwACAAAAAQADgAAABAAAAAUAAAAGAAAAAMAAAABAAAAGAAAAAEAAAA8AAAAAQAAABgAAAAEAAQA"
    b"BAAAAAwAEAAPAAAACAAEAAwAAAATAAAAAQAAAAAAABMMABQAEAAMAAgABAAMAAAAEAAAABQAAAAYAAAAHAAAAAEAAAAsAAAA"
    b"AQAAAAEAAAABAAAAAAAAAAIAAABcAAAALAAAAAAACgAMAAAACAAEAAoAAAAIAAAADAAAAAEAAAABAAAAAQAAAAAAAADg////"
    b"CAAAAAwAAAABAAAAeQAAAAIAAAABAAAABAAAAAwADAAIAAAAAAAEAAwAAAAIAAAADAAAAAEAAAB4AAAAAgAAAAEAAAAEAAAA"
)
_DTYPES = frozenset(
    {"float32", "float16", "float64", "int8", "uint8", "int16", "uint16", "int32", "int64", "bool"}
)
_OUT_OF_MEMORY = re.compile(r"bad_?\s?alloc|failed to allocate|not enough memory|out of memory", re.I)
_NOT_KNOWN = re.compile(
    r"unresolved custom op|didn't find op|op with name|select tensorflow op|not supported|unsupported"
    r"|failed to get registration from op code|not implemented|old tflite binary with newer model",
    re.I,
)


def _installed_version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError as error:
        raise ImportError(f"{distribution} is not installed") from error


class _InterpreterRuntime:
    """What both runtimes share."""

    name: ClassVar[str]
    module: ClassVar[str]

    def __init__(self) -> None:
        self._version = _installed_version(self.name)
        self.check_before_import()
        self._package: Any = importlib.import_module(self.module)
        self._interpreters: Any = importlib.import_module(f"{self.module}.interpreter")

    def check_before_import(self) -> None:
        """Refuse what is known to end badly, before the package is imported."""

    def check_model(self, facts: TfliteFacts) -> None:
        """Refuse models that the runtime is known to compute wrongly."""

    @property
    def tiny_model(self) -> bytes:
        """A file of one node."""
        return TINY_MODEL

    def info(self) -> RuntimeInfo:
        """Version, commit of the build where the package says it, and the delegate that is on by default."""
        commit = getattr(self._package, "__git_version__", "")
        build = " ".join(part for part in (commit, "XNNPACK by default") if part)
        return RuntimeInfo(self.name, self._version, build, ("tflite",), usable=True)

    def load(self, path: Path, *, threads: int) -> "TfliteModel":
        """Create an interpreter and its tensors."""
        try:
            facts = read_tflite(path)
        except (OSError, TfliteFileError) as error:
            raise RuntimeFailure(Outcome.INVALID_MODEL, str(error)) from error
        self.check_model(facts)
        try:
            interpreter = self._interpreters.Interpreter(model_path=str(path), num_threads=threads)
            interpreter.allocate_tensors()
        except Exception as error:
            raise _failure(error, self.name, "load") from error
        return TfliteModel(interpreter, self.name, gives_arrays=facts.gives_arrays)

    def load_profiled(self, path: Path, *, threads: int, folder: Path) -> ProfiledModel:  # noqa: ARG002
        """Refuse: the interpreter's profiler cannot be reached from Python."""
        raise RuntimeFailure(
            Outcome.UNSUPPORTED,
            f"{self.name} does not time operators; profile the network as an ONNX file instead",
        )


class AiEdgeLitert(_InterpreterRuntime):
    """The adapter of ai-edge-litert."""

    name = "ai-edge-litert"
    module = "ai_edge_litert"


class TfliteRuntime(_InterpreterRuntime):
    """The adapter of tflite-runtime, whose last version is 2.14.0."""

    name = "tflite-runtime"
    module = "tflite_runtime"

    def check_before_import(self) -> None:
        """Its wheels are built for numpy 1 and do not say so; with numpy 2 they die or compute rubbish."""
        numpy_version = np.__version__
        if int(numpy_version.partition(".")[0]) >= 2:
            raise RuntimeFailure(
                Outcome.UNSUPPORTED,
                f"tflite-runtime {self._version} does not work with numpy {numpy_version}: "
                "pip install 'hytnas[tflite]' in an environment of its own, or use ai-edge-litert",
            )

    def check_model(self, facts: TfliteFacts) -> None:
        """Its operators of dynamic range ignore the scales of all channels but one, without a word."""
        if facts.dynamic_range:
            raise RuntimeFailure(
                Outcome.UNSUPPORTED,
                f"tflite-runtime {self._version} computes models of dynamic-range int8 wrongly without "
                "saying so: measure this one with ai-edge-litert",
            )


class TfliteModel:
    """An interpreter with its tensors allocated."""

    def __init__(self, interpreter: Any, runtime: str, *, gives_arrays: bool = True) -> None:
        self._interpreter = interpreter
        self._runtime = runtime
        try:
            details = interpreter.get_input_details()
        except ValueError as error:
            raise RuntimeFailure(
                Outcome.UNSUPPORTED, f"an input has a type that numpy lacks, such as bfloat16: {error}"
            ) from error
        self._inputs = tuple(_spec(detail) for detail in details)
        self._input_numbers = [int(detail["index"]) for detail in details]
        outputs = interpreter.get_output_details() if gives_arrays else ()
        self._output_numbers = [int(detail["index"]) for detail in outputs]

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """The inputs in the model's order; integers where the model is quantised to its ends."""
        return self._inputs

    def run(self, tensors: list[Array]) -> list[Array]:
        """One inference; no outputs where numpy lacks the type of one of them."""
        try:
            for number, tensor in zip(self._input_numbers, tensors, strict=True):
                self._interpreter.set_tensor(number, tensor)
            self._interpreter.invoke()
            return [self._interpreter.get_tensor(number) for number in self._output_numbers]
        except Exception as error:
            raise _failure(error, self._runtime, "run") from error


def _spec(detail: dict[str, Any]) -> TensorSpec:
    name, dtype = str(detail["name"]), np.dtype(detail["dtype"]).name
    if dtype not in _DTYPES:
        raise RuntimeFailure(
            Outcome.UNSUPPORTED, f"input {name!r} has the type {dtype}, which is not supported"
        )
    # The signature says which axes are free (-1); in ``shape`` they are 1.
    signature = detail.get("shape_signature", detail["shape"])
    return TensorSpec(name, fix_shape(name, [int(dim) for dim in signature]), dtype)


def _failure(error: Exception, runtime: str, doing: str) -> RuntimeFailure:
    """What an exception of an interpreter means; their classes are no help, so its text is read."""
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, MemoryError) or _OUT_OF_MEMORY.search(text):
        return RuntimeFailure(Outcome.OOM, f"{runtime} ran out of memory: {text}")
    if _NOT_KNOWN.search(text):
        return RuntimeFailure(Outcome.UNSUPPORTED, f"{runtime} does not support the model: {text}")
    return RuntimeFailure(Outcome.INVALID_MODEL, f"{runtime} could not {doing} the model: {text}")
