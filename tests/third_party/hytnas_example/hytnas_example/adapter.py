"""ONNX Runtime without optimisations of the graph, to see what they are worth."""

from importlib.metadata import version

import msgspec

from hytnas_agent.records import Outcome
from hytnas_agent.runtimes.base import RuntimeFailure
from hytnas_agent.runtimes.onnx import OnnxRuntime


class PlainOnnx(OnnxRuntime):
    def info(self):
        return msgspec.structs.replace(super().info(), name="example-onnx", version=version("hytnas-example"))

    def _options(self, threads):
        options = super()._options(threads)
        options.graph_optimization_level = self._ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        return options

    def load_profiled(self, path, *, threads, folder):
        raise RuntimeFailure(Outcome.UNSUPPORTED, "example-onnx does not time operators")
