"""How a collection measures: one value instead of the same list of options everywhere."""

from dataclasses import dataclass, field

from hytnas_agent.records import MeasureSettings
from hytnas_host.collect.errors import CollectError
from hytnas_host.export.target import ExportTarget


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
        Fresh timed processes a model.
    window : int
        Models among which the processes are spread.
    canary_every : int
        Timed processes between two of the canary; 0 for no canary.
    runtime : str or None
        The device's first usable one by default.
    target : ExportTarget
        What networks are exported to.

    Raises
    ------
    CollectError
        A number makes no sense.
    """

    seed: int = 0
    settings: MeasureSettings = field(default_factory=MeasureSettings)
    processes: int = 5
    window: int = 20
    canary_every: int = 20
    runtime: str | None = None
    target: ExportTarget = field(default_factory=ExportTarget)

    def __post_init__(self) -> None:
        for name, least in (("seed", 0), ("processes", 1), ("window", 1), ("canary_every", 0)):
            if getattr(self, name) < least:
                raise CollectError(f"{name} is {getattr(self, name)}", f"give at least {least}")
