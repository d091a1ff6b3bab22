"""ONNX Runtime on the CPU, with explicit threads."""

import base64
import importlib.metadata
import platform
import re
from pathlib import Path
from typing import Any

from hytnas_agent.pass_records import OperatorProfile
from hytnas_agent.protocol import RuntimeInfo
from hytnas_agent.records import Outcome
from hytnas_agent.runtimes.arrays import Array
from hytnas_agent.runtimes.base import RuntimeFailure, TensorSpec, fix_shape
from hytnas_agent.runtimes.onnx_file import inputs_without_shape
from hytnas_agent.runtimes.onnx_profile import read_profile

# Dies of SIGILL at import on cores without the instructions it was built for, such as the Cortex-A53.
BLOCKED = {("1.21.0", "aarch64")}

# Opset 13, IR 7: y = Relu(x), x of shape 1 x 4.
_TINY_MODEL = base64.b64decode(
    b"CAcSADo7CgwKAXgSAXkiBFJlbHUSAWdaEwoBeBIOCgwIARIICgIIAQoCCARiEwoBeRIOCgwIARIICgIIAQoCCARCBAoAEA0="
)
_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(int8)": "int8",
    "tensor(uint8)": "uint8",
    "tensor(int16)": "int16",
    "tensor(uint16)": "uint16",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(bool)": "bool",
}
_AS_ARRAYS = frozenset(_DTYPES) | {"tensor(uint32)", "tensor(uint64)", "tensor(string)"}
"""Types of outputs that numpy has; what it lacks (bfloat16, int4, sequences) stays the runtime's own."""
_WHERE = re.compile(
    r"\[ONNXRuntimeError\] : \d+ : \w+ : |Load model from \S+ failed: ?|\S+\.(?:cc|h):\d+ [^(]*\([^)]*\) "
)
"""What messages begin with that tells nobody anything: paths of this device, places in the source."""
_WHICH_NODE = re.compile(
    r"Non-zero status code returned while running (\w+) node\. Name:'([^']*)' Status Message: "
    r"(?:\S+\.(?:cc|h):\d+ \w+ )?"
)
_OUT_OF_MEMORY = re.compile(
    r"bad_?\s?alloc|failed to allocate memory|not enough memory|std::length_error", re.I
)
_NOT_KNOWN = re.compile(
    r"not implemented|is not a registered function/op|could not find an implementation|unsupported model IR"
    r"|opset \d+ is under development|ONNX Runtime only \*guarantees\*|no op registered",
    re.I,
)


def check_version(version: str, machine: str) -> None:
    """Refuse a version that is known to die on this machine, before it is imported.

    Raises
    ------
    RuntimeFailure
        UNSUPPORTED, with the version to install instead.
    """
    if (version, machine) in BLOCKED:
        raise RuntimeFailure(
            Outcome.UNSUPPORTED,
            f"onnxruntime {version} dies of SIGILL on {machine}: pip install 'onnxruntime>=1.23'",
        )


class OnnxRuntime:
    """The adapter of onnxruntime."""

    def __init__(self) -> None:
        try:
            check_version(importlib.metadata.version("onnxruntime"), platform.machine())
        except importlib.metadata.PackageNotFoundError as error:
            raise ImportError("onnxruntime is not installed") from error
        import onnxruntime  # noqa: PLC0415 (only after its version is known to be harmless)

        self._ort: Any = onnxruntime

    @property
    def tiny_model(self) -> bytes:
        """A file of one node."""
        return _TINY_MODEL

    def info(self) -> RuntimeInfo:
        """Version and commit of the build."""
        text = self._ort.get_build_info()
        commit = re.search(r"git-commit-id=(\w+)", text)
        kind = re.search(r"build type=(\w+)", text)
        build = " ".join(found.group(1) for found in (kind, commit) if found)
        return RuntimeInfo("onnxruntime", self._ort.__version__, build, ("onnx",), usable=True)

    def load(self, path: Path, *, threads: int) -> "OnnxModel":
        """Create a session: all graph optimisations, sequential, CPU provider only."""
        return OnnxModel(self._ort, self._session(path, self._options(threads)), path)

    def load_profiled(self, path: Path, *, threads: int, folder: Path) -> "ProfiledOnnxModel":
        """The same session, but for the profiler that counts each operator's time."""
        options = self._options(threads)
        options.enable_profiling = True
        options.profile_file_prefix = str(folder / "profile")
        return ProfiledOnnxModel(self._ort, self._session(path, options), path)

    def _options(self, threads: int) -> Any:
        options = self._ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.execution_mode = self._ort.ExecutionMode.ORT_SEQUENTIAL
        options.graph_optimization_level = self._ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.log_severity_level = 3
        return options

    def _session(self, path: Path, options: Any) -> Any:
        try:
            return self._ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise _failure(error, "load") from error


class OnnxModel:
    """A session and its inputs."""

    def __init__(self, ort: Any, session: Any, path: Path) -> None:
        self._ort, self._session = ort, session
        nodes = session.get_inputs()
        types = [_dtype(node.name, node.type) for node in nodes]
        # Of a scalar the runtime says the same as of an input whose shape is absent.
        shapeless = inputs_without_shape(path) if any(not node.shape for node in nodes) else set()
        self._inputs = tuple(
            TensorSpec(node.name, fix_shape(node.name, None if node.name in shapeless else node.shape), dtype)
            for node, dtype in zip(nodes, types, strict=True)
        )
        self._names = [spec.name for spec in self._inputs]
        self._gives_arrays = all(node.type in _AS_ARRAYS for node in session.get_outputs())

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """The inputs in the model's order."""
        return self._inputs

    def run(self, tensors: list[Array]) -> list[Array]:
        """One inference; outputs of types that numpy lacks are left as the runtime holds them."""
        inputs: dict[str, Any] = dict(zip(self._names, tensors, strict=True))
        try:
            if self._gives_arrays:
                return list(self._session.run(None, inputs))
            values = {name: self._ort.OrtValue.ortvalue_from_numpy(tensor) for name, tensor in inputs.items()}
            return list(self._session.run_with_ort_values(None, values))
        except Exception as error:
            raise _failure(error, "run") from error


class ProfiledOnnxModel(OnnxModel):
    """A session whose profiler runs."""

    def end_profile(self, skip_runs: int) -> OperatorProfile:
        """Stop the profiler, which writes its file now, and read it."""
        return read_profile(Path(self._session.end_profiling()), skip_runs)


def _dtype(name: str, kind: str) -> str:
    if kind not in _DTYPES:
        raise RuntimeFailure(
            Outcome.UNSUPPORTED, f"input {name!r} has the type {kind}, which is not supported"
        )
    return _DTYPES[kind]


def _failure(error: Exception, doing: str) -> RuntimeFailure:
    """What an exception of ONNX Runtime means; its classes have no common base, so its text is read too."""
    text = _WHERE.sub("", " ".join(str(error).split()))
    text = _WHICH_NODE.sub(lambda found: f"in {' '.join(filter(None, found.groups()))}: ", text)
    if isinstance(error, MemoryError) or _OUT_OF_MEMORY.search(text):
        return RuntimeFailure(Outcome.OOM, f"onnxruntime ran out of memory: {text}")
    if type(error).__name__ == "NotImplemented" or _NOT_KNOWN.search(text):
        return RuntimeFailure(Outcome.UNSUPPORTED, f"onnxruntime does not support the model: {text}")
    return RuntimeFailure(Outcome.INVALID_MODEL, f"onnxruntime could not {doing} the model: {text}")
