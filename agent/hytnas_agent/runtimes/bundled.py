"""The runtimes that the agent brings an adapter for."""

from typing import Final

from hytnas_agent.runtimes.base import RuntimeEntry

ONNXRUNTIME: Final = RuntimeEntry(
    "hytnas_agent.runtimes.onnx:OnnxRuntime", "onnxruntime", ("onnx",), extra="onnx"
)
AI_EDGE_LITERT: Final = RuntimeEntry(
    "hytnas_agent.runtimes.tflite:AiEdgeLitert", "ai-edge-litert", ("tflite",), extra="litert"
)
TFLITE_RUNTIME: Final = RuntimeEntry(
    "hytnas_agent.runtimes.tflite:TfliteRuntime", "tflite-runtime", ("tflite",), extra="tflite"
)
