"""The agent that runs on the board: it measures ONNX and TFLite models and answers a host.

`measure_file` measures a model on this machine; the records say what came of it. Importing the package costs
nothing: its names are imported when they are first used, numpy and a runtime only inside worker processes.
"""

__version__ = "0.1.0"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hytnas_agent.direct import Measurement as Measurement
    from hytnas_agent.direct import measure_file as measure_file
    from hytnas_agent.errors import HytnasError as HytnasError
    from hytnas_agent.records import DeviceContext as DeviceContext
    from hytnas_agent.records import LatencyLabel as LatencyLabel
    from hytnas_agent.records import MeasureSettings as MeasureSettings
    from hytnas_agent.records import Outcome as Outcome
    from hytnas_agent.records import ProcessResult as ProcessResult
    from hytnas_agent.registry import Registry as Registry

_EXPORTS = {
    "hytnas_agent.direct": ("Measurement", "measure_file"),
    "hytnas_agent.errors": ("HytnasError",),
    "hytnas_agent.records": ("DeviceContext", "LatencyLabel", "MeasureSettings", "Outcome", "ProcessResult"),
    "hytnas_agent.registry": ("Registry",),
}
__all__ = [name for names in _EXPORTS.values() for name in names]

if not TYPE_CHECKING:

    def __getattr__(name):
        from hytnas_agent.lazy import export  # noqa: PLC0415 (nothing is imported before it is needed)

        return export(__name__, _EXPORTS, name)

    def __dir__():
        return sorted({*globals(), *__all__})
