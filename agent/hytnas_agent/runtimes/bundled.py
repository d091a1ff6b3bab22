"""The runtimes that the agent brings an adapter for."""

from typing import Final

from hytnas_agent.runtimes.base import RuntimeEntry

ONNXRUNTIME: Final = RuntimeEntry(
    "hytnas_agent.runtimes.onnx:OnnxRuntime",
    "onnxruntime",
    ("onnx",),
    extra="onnx",
    module="onnxruntime",
)
AI_EDGE_LITERT: Final = RuntimeEntry(
    "hytnas_agent.runtimes.tflite:AiEdgeLitert",
    "ai-edge-litert",
    ("tflite",),
    extra="litert",
    module="ai_edge_litert",
)
TFLITE_RUNTIME: Final = RuntimeEntry(
    "hytnas_agent.runtimes.tflite:TfliteRuntime",
    "tflite-runtime",
    ("tflite",),
    extra="tflite",
    module="tflite_runtime",
)
