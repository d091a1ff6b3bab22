"""What a search and a verification leave behind: JSON-able values that reports read."""

from typing import Literal

import msgspec

from hytnas_agent.records import Execution
from hytnas_datasets.plan import Task


class Objective(msgspec.Struct, frozen=True):
    """One axis of the search, in natural units."""

    name: str
    unit: str
    direction: Literal["min", "max"]
    source: str = ""


class Evaluated(msgspec.Struct, frozen=True):
    """One architecture the search has evaluated; ``values`` in natural units, in the objectives' order.

    ``std`` are their standard deviations, 0 for exact ones and empty where nothing is known of that;
    ``extrapolated`` says that a predictor was asked outside the range of its training.
    """

    architecture: str
    plan_hash: str
    values: tuple[float, ...]
    evaluation: int
    std: tuple[float, ...] = ()
    extrapolated: bool = False


class Pick(msgspec.Struct, frozen=True):
    """One of the paper's three picks: best latency (BL), best accuracy (BA), optimal trade-off (O)."""

    label: Literal["BL", "BA", "O"]
    architecture: str
    values: tuple[float, ...]


class SearchResult(msgspec.Struct, frozen=True):
    """The outcome of one search.

    ``task`` is what exact metrics are counted for. ``hypervolume`` holds (evaluations so far, hypervolume)
    pairs against the fixed ``reference_point``, which is in the minimised objective space (a maximised
    objective is negated).
    """

    space: str
    strategy: str
    seed: int
    task: Task
    objectives: tuple[Objective, ...]
    constraints: tuple[str, ...]
    reference_point: tuple[float, ...]
    evaluated: tuple[Evaluated, ...]
    front: tuple[Evaluated, ...]
    hypervolume: tuple[tuple[int, float], ...]
    picks: tuple[Pick, ...]
    seconds: float
    execution: Execution = "native"
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raise ValueError where a value is missing, as in a file that was changed."""
        rows = [each.values for each in (*self.evaluated, *self.front)] + [each.values for each in self.picks]
        if any(len(row) != len(self.objectives) for row in rows):
            raise ValueError("its networks do not have a value for each objective")
        if self.evaluated and len(self.reference_point) != len(self.objectives):
            raise ValueError("its reference point does not have a value for each objective")


class VerifiedRow(msgspec.Struct, frozen=True):
    """One architecture measured afresh: predicted beside measured."""

    architecture: str
    role: Literal["front", "control"]
    predicted_ms: float
    measured_ms: float | None
    ci_low_ms: float | None
    ci_high_ms: float | None
    outcome: str
    extrapolated: bool = False


class Verification(msgspec.Struct, frozen=True):
    """Front and random controls measured afresh on the device, never with the labels that chose them.

    ``left_out`` more were chosen, and there was no time to measure them.
    """

    device: str
    execution: Execution
    predictor: str
    rows: tuple[VerifiedRow, ...]
    front_mape: float | None
    control_mape: float | None
    front_bias_percent: float | None
    control_bias_percent: float | None
    kendall_tau: float | None
    kendall_tau_low: float | None
    kendall_tau_high: float | None
    left_out: int = 0
