"""The agent that runs on the board: it measures ONNX and TFLite models and answers a host.

Standard library and msgspec only; numpy and a runtime are imported inside worker processes.
"""

__version__ = "0.1.0"
