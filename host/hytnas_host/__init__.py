"""The workstation: devices, collection, training, search, verification and reports.

Functions that take a study's folder do what the command of that name does (``make_leaderboard``,
``search_study``); the others are the parts they are made of. Names are imported when they are first used.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hytnas_host.collect.accuracy import collect_accuracy as collect_accuracy
    from hytnas_host.collect.errors import CollectError as CollectError
    from hytnas_host.collect.latency import collect_files as collect_files
    from hytnas_host.collect.latency import collect_latency as collect_latency
    from hytnas_host.collect.options import MeasureOptions as MeasureOptions
    from hytnas_host.devices import AgentDevice as AgentDevice
    from hytnas_host.devices import DeviceError as DeviceError
    from hytnas_host.devices import open_device as open_device
    from hytnas_host.export import ExportTarget as ExportTarget
    from hytnas_host.export import export_model as export_model
    from hytnas_host.report import write_report as write_report
    from hytnas_host.search import CallableEvaluator as CallableEvaluator
    from hytnas_host.search import Constraint as Constraint
    from hytnas_host.search import PredictorEvaluator as PredictorEvaluator
    from hytnas_host.search import SearchError as SearchError
    from hytnas_host.search import TableEvaluator as TableEvaluator
    from hytnas_host.search import list_strategies as list_strategies
    from hytnas_host.search import parse_constraint as parse_constraint
    from hytnas_host.search import run_search as run_search
    from hytnas_host.search.exact_metrics import exact_metrics_of as exact_metrics_of
    from hytnas_host.search.result import SearchResult as SearchResult
    from hytnas_host.search.result import Verification as Verification
    from hytnas_host.search.verify import verify as verify
    from hytnas_host.workflow.labels import LabelChoice as LabelChoice
    from hytnas_host.workflow.labels import read_labels as read_labels
    from hytnas_host.workflow.leaderboards import make_leaderboard as make_leaderboard
    from hytnas_host.workflow.predictors import load_trained as load_trained
    from hytnas_host.workflow.predictors import train_predictor as train_predictor
    from hytnas_host.workflow.searches import search_study as search_study
    from hytnas_host.workflow.searches import verify_study as verify_study

_EXPORTS = {
    "hytnas_host.collect.accuracy": ("collect_accuracy",),
    "hytnas_host.collect.errors": ("CollectError",),
    "hytnas_host.collect.latency": ("collect_files", "collect_latency"),
    "hytnas_host.collect.options": ("MeasureOptions",),
    "hytnas_host.devices": ("AgentDevice", "DeviceError", "open_device"),
    "hytnas_host.export": ("ExportTarget", "export_model"),
    "hytnas_host.report": ("write_report",),
    "hytnas_host.search.exact_metrics": ("exact_metrics_of",),
    "hytnas_host.search": (
        "CallableEvaluator",
        "Constraint",
        "PredictorEvaluator",
        "SearchError",
        "TableEvaluator",
        "list_strategies",
        "parse_constraint",
        "run_search",
    ),
    "hytnas_host.search.verify": ("verify",),
    "hytnas_host.search.result": ("SearchResult", "Verification"),
    "hytnas_host.workflow.labels": ("LabelChoice", "read_labels"),
    "hytnas_host.workflow.leaderboards": ("make_leaderboard",),
    "hytnas_host.workflow.predictors": ("load_trained", "train_predictor"),
    "hytnas_host.workflow.searches": ("search_study", "verify_study"),
}
__all__ = [name for names in _EXPORTS.values() for name in names]

if not TYPE_CHECKING:

    def __getattr__(name):
        from hytnas_agent.lazy import export  # noqa: PLC0415 (nothing is imported before it is needed)

        return export(__name__, _EXPORTS, name)

    def __dir__():
        return sorted({*globals(), *__all__})
