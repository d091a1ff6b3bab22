"""What is known of the runtime before it is imported."""

from hytnas_agent.runtimes.base import RuntimeEntry

ENTRY = RuntimeEntry("hytnas_example.adapter:PlainOnnx", distribution="hytnas-example", formats=("onnx",))
