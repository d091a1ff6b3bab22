"""How a collection measures: one value instead of the same list of options everywhere."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, Final, Self

from hytnas_agent.label import DEFAULT_TARGET, MIN_ADAPTIVE, StoppingRule
from hytnas_agent.records import MeasurePass, MeasureSettings
from hytnas_datasets.store.agreement import TOLERANCE
from hytnas_host.collect.drift import DRIFT_PAUSES_S, DRIFT_TOLERANCE, DriftRule
from hytnas_host.collect.errors import CollectError
from hytnas_host.collect.schedule import Passes
from hytnas_host.devices.base import Method
from hytnas_host.export.target import ExportTarget

# Over five minutes in all: a Raspberry Pi 3 takes one to boot.
REJOIN_PAUSES_S: Final = (2.0, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0)


@dataclass(frozen=True)
class MeasureOptions:
    """How a collection measures.

    Attributes
    ----------
    seed : int
        Of the sample, the weights and the order of the processes.
    settings : MeasureSettings
        How one process measures one model.
    processes : int
        Fresh timed processes a model at least.
    max_processes : int
        The budget: beyond ``processes``, more are measured until the label's interval is narrow enough. No
        more than ``processes``, as by default, make a fixed number.
    precision_target : float
        Half the width of a label's 95 % interval, relative to its centre, at which to stop.
    window : int
        Models among which the processes are spread.
    canary_every : int
        Timed processes between two of the canary; 0 for no canary.
    drift_tolerance : float
        Ratio of the canary's latency to that of before, less 1, up to which the device has not drifted.
    drift_pauses_s : tuple of float
        Pauses after which the canary of a device that has drifted is tried again.
    stop_on_drift : bool
        Give up a device whose canary does not come back, instead of going on at its new speed.
    memory_pass : bool
        Whether each model's peak memory is measured, in a process of its own.
    runtime : str or None
        The device's first usable one by default.
    target : ExportTarget
        What networks are exported to.
    keep_apart : bool
        Several devices measure every model each, for data sets of their own, instead of sharing one.
    board_tolerance : float
        Ratio of the canary's latencies, less 1, up to which devices may share a data set.
    rejoin_pauses_s : tuple of float
        Pauses after which a lost device is tried again. While another device works the last one is repeated.
    budget_s : float
        Time after which no more models are begun; infinite by default. See `TimeBudget`.
    least_models : int
        So many models are begun even where the last of them need the grace.
    clock : callable
        Seconds of a steady clock, for that time.

    Raises
    ------
    CollectError
        A number makes no sense.
    """

    seed: int = 0
    settings: MeasureSettings = field(default_factory=MeasureSettings)
    processes: int = 5
    max_processes: int = 0
    precision_target: float = DEFAULT_TARGET
    window: int = 20
    canary_every: int = 20
    drift_tolerance: float = DRIFT_TOLERANCE
    drift_pauses_s: tuple[float, ...] = DRIFT_PAUSES_S
    stop_on_drift: bool = False
    memory_pass: bool = True
    runtime: str | None = None
    target: ExportTarget = field(default_factory=ExportTarget)
    keep_apart: bool = False
    board_tolerance: float = TOLERANCE
    rejoin_pauses_s: tuple[float, ...] = REJOIN_PAUSES_S
    budget_s: float = math.inf
    least_models: int = 0
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        for name, least in (
            ("seed", 0), ("processes", 1), ("window", 1), ("canary_every", 0),
            ("budget_s", 0), ("least_models", 0),
        ):  # fmt: skip
            if getattr(self, name) < least:
                raise CollectError(f"{name} is {getattr(self, name)}", f"give at least {least}")
        try:
            self.rule  # noqa: B018 (built to see whether it can be)
        except ValueError as error:
            raise CollectError(
                str(error), "see --processes, --max-processes and --precision-target"
            ) from error

    @classmethod
    def of(cls, method: Method, **chosen: Any) -> Self:
        """What a device's method says, but for what is chosen here.

        Parameters
        ----------
        method : Method
            How a device is measured on where nobody says otherwise.
        **chosen
            Attributes; ``None`` leaves the choice to the method, or else to the default. Fewer processes than
            a rule needs that looks at them are a fixed number.
        """
        by_method = {item.name: getattr(method, item.name) for item in fields(method)}
        least, most = chosen.get("processes"), chosen.get("max_processes")
        if least is not None and most is None and least < MIN_ADAPTIVE:
            by_method["max_processes"] = least
        if most is not None and least is None:
            by_method["processes"] = min(most, method.processes)
        return cls(**(by_method | {name: value for name, value in chosen.items() if value is not None}))

    @property
    def rule(self) -> StoppingRule:
        """How many timed processes a model gets."""
        if self.max_processes <= self.processes:
            return StoppingRule.fixed(self.processes)
        return StoppingRule(self.precision_target, self.processes, self.max_processes)

    @property
    def drift(self) -> DriftRule:
        """What is done about a canary that has drifted."""
        return DriftRule(self.drift_tolerance, self.drift_pauses_s, self.stop_on_drift)

    @property
    def passes(self) -> Passes:
        """What is measured of each model."""
        return Passes(self.rule, (MeasurePass.MEMORY,) if self.memory_pass else ())
