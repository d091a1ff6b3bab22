"""Multi-objective search over a space: strategies, evaluators, checkpoints, picks and verification."""

from hytnas_host.search.constraints import Constraint, parse_constraint
from hytnas_host.search.effort import Effort, default_effort
from hytnas_host.search.errors import CheckpointError, ConstraintError, EvaluationError, SearchError
from hytnas_host.search.evaluators import CallableEvaluator, Evaluator, PredictorEvaluator, TableEvaluator
from hytnas_host.search.exact_metrics import ExactMetrics, NoMetrics, PlanMetrics, exact_metrics_of
from hytnas_host.search.objectives import get_objective, parse_objectives
from hytnas_host.search.run import run_search
from hytnas_host.search.strategies import STRATEGIES, list_strategies, make_strategy
from hytnas_host.search.verify import verify

__all__ = [
    "STRATEGIES",
    "CallableEvaluator",
    "CheckpointError",
    "Constraint",
    "ConstraintError",
    "Effort",
    "EvaluationError",
    "Evaluator",
    "ExactMetrics",
    "NoMetrics",
    "PlanMetrics",
    "PredictorEvaluator",
    "SearchError",
    "TableEvaluator",
    "default_effort",
    "exact_metrics_of",
    "get_objective",
    "list_strategies",
    "make_strategy",
    "parse_constraint",
    "parse_objectives",
    "run_search",
    "verify",
]
