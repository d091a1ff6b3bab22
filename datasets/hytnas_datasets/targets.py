"""Targets: what is predicted of a network, and everything that the toolkit knows of each.

A target is one entry of `TARGETS`. The entry says where a study keeps the labels, how predictors are fitted
to them, what a search does with them and how a report shows them.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from hytnas_agent.records import LatencyLabel, MeasurePass, ProcessResult
from hytnas_datasets.errors import DataSetError

Direction = Literal["min", "max"]
Scale = Literal["identity", "log"]
Noise = Literal["relative", "absolute", "none"]


@dataclass(frozen=True)
class Reading:
    """One label as it was measured: ``value``, and the independent ``repeats`` behind it, in one unit."""

    value: float
    repeats: tuple[float, ...] = ()


@dataclass(frozen=True)
class FromLatencyLabels:
    """The labels lie in a study's latency labels.

    Attributes
    ----------
    read : callable
        Takes a usable latency label; gives ``None`` where it does not hold the value.
    timed : bool
        Whether the value is computed from the timed runs. The quality flags of the latency label (UNSTABLE,
        too few undisturbed processes) then hold for it, too.
    """

    read: Callable[[LatencyLabel], Reading | None]
    timed: bool = False


@dataclass(frozen=True)
class FromPass:
    """The labels lie in the results of a pass beside the timed one.

    Attributes
    ----------
    measure_pass : MeasurePass
    read : callable
        Takes the result of a pass that went well; gives ``None`` where it does not hold the value.
    """

    measure_pass: MeasurePass
    read: Callable[[ProcessResult], float | None]


@dataclass(frozen=True)
class FromTrainings:
    """The labels are the accuracies of a study's trainings, the mean over the seeds of a network."""


Source = FromLatencyLabels | FromPass | FromTrainings


@dataclass(frozen=True)
class Shown:
    """How a value is shown to people: multiplied by ``factor``, in ``unit``."""

    unit: str
    factor: float = 1.0


@dataclass(frozen=True)
class Target:
    """What is predicted of a network.

    Attributes
    ----------
    name : str
        Its name in commands and files, with the unit where there is one, e.g. ``latency_ms``.
    words : str
        Its name in sentences, e.g. "latency".
    unit, unit_words : str
        The unit of its labels, short and in words, e.g. "ms" and "milliseconds".
    direction : "min" or "max"
        Whether a search minimises or maximises it.
    source : Source
        Where a study keeps its labels.
    how : str
        How a label comes about, in words.
    collect : str
        The command that collects labels.
    scale : "log" or "identity"
        What predictors are fitted to: the logarithm of the label, or the label.
    noise : "relative", "absolute" or "none"
        How labels scatter: by a share of the label (a label is then the median of its repeats), by the same
        amount everywhere (a label is the mean of its repeats), or not at all.
    minimum, maximum : float
        A valid label lies between them, both included. On the log scale it is above 0, too.
    repeat : str
        What one independent repeat of a label is, e.g. "process".
    units : mapping of str to float
        Units in which people may give a bound, and how many ``unit`` each is; "" is no unit.
    aliases : tuple of str
        Other names in constraints.
    shown : Shown or None
        Unit in which reports show it; ``unit`` where it is ``None``.
    follows_latency : bool
        Whether it rises or falls with the latency, so that an estimate of the latency (the roofline) is a
        baseline that its predictors must beat.
    adds_up : bool
        Whether the label of a network is about the sum of what its layers add, as time is.
    """

    name: str
    words: str
    unit: str
    unit_words: str
    direction: Direction
    source: Source
    how: str
    collect: str
    scale: Scale = "log"
    noise: Noise = "relative"
    minimum: float = 0.0
    maximum: float = math.inf
    repeat: str = "process"
    units: Mapping[str, float] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    shown: Shown | None = None
    follows_latency: bool = False
    adds_up: bool = False

    @property
    def of_device(self) -> bool:
        """Whether a device measures it, so that its labels hold for that device and its model files alone."""
        return not isinstance(self.source, FromTrainings)

    @property
    def has_flags(self) -> bool:
        """Whether its labels are said to be UNSTABLE or disturbed: those of the timed runs and of passes."""
        return self.is_timed or isinstance(self.source, FromPass)

    @property
    def is_timed(self) -> bool:
        """Whether its labels are computed from the timed runs."""
        return isinstance(self.source, FromLatencyLabels) and self.source.timed

    @property
    def slug(self) -> str:
        """Its name in the files and keys of figures, e.g. "peak-memory"."""
        return self.words.replace(" ", "-")

    @property
    def display(self) -> Shown:
        """How reports show a value."""
        return self.shown or Shown(self.unit)

    def is_valid(self, value: float) -> bool:
        """Whether ``value`` can be a label.

        >>> get_target("accuracy").is_valid(1.2)
        False
        """
        above = value > 0 if self.scale == "log" else True
        return math.isfinite(value) and above and self.minimum <= value <= self.maximum

    def describe_range(self) -> str:
        """The valid range in words.

        >>> get_target("accuracy").describe_range()
        'a number from 0 to 1'
        """
        if math.isfinite(self.maximum):
            return f"a number from {self.minimum:g} to {self.maximum:g}"
        return "a positive number" if self.scale == "log" else f"a number of at least {self.minimum:g}"


def _latency(label: LatencyLabel) -> Reading | None:
    return None if label.median_ms is None else Reading(label.median_ms, label.process_medians_ms)


def _throughput(label: LatencyLabel) -> Reading | None:
    if not label.median_ms or not all(label.process_medians_ms):
        return None
    return Reading(1e3 / label.median_ms, tuple(1e3 / median for median in label.process_medians_ms))


def _peak_memory(label: LatencyLabel) -> Reading | None:
    return None if label.peak_rss_bytes is None else Reading(float(label.peak_rss_bytes))


def _model_size(label: LatencyLabel) -> Reading | None:
    return None if label.model_bytes is None else Reading(float(label.model_bytes))


def _energy(result: ProcessResult) -> float | None:
    return None if result.energy is None else result.energy.mj_per_inference


_BYTES: Final[Mapping[str, float]] = {
    "B": 1.0,
    "kB": 1e3,
    "MB": 1e6,
    "GB": 1e9,
    "KiB": 2.0**10,
    "MiB": 2.0**20,
    "GiB": 2.0**30,
}
_MEBIBYTES: Final = Shown("MiB", 2.0**-20)

LATENCY: Final = Target(
    name="latency_ms",
    words="latency",
    unit="ms",
    unit_words="milliseconds",
    direction="min",
    source=FromLatencyLabels(_latency, timed=True),
    how="median of the medians of fresh processes",
    collect="hytnas-profile collect latency",
    units={"us": 1e-3, "ms": 1.0, "s": 1e3},
    aliases=("latency",),
    follows_latency=True,
    adds_up=True,
)
ACCURACY: Final = Target(
    name="accuracy",
    words="accuracy",
    unit="fraction",
    unit_words="fraction of the test images",
    direction="max",
    source=FromTrainings(),
    how="mean accuracy of trainings from several seeds",
    collect="hytnas-profile collect accuracy",
    scale="identity",
    noise="absolute",
    maximum=1.0,
    repeat="training",
    units={"": 1.0, "%": 1e-2},
    shown=Shown("%", 100.0),
)
ENERGY: Final = Target(
    name="energy_mj",
    words="energy",
    unit="mJ",
    unit_words="millijoules an inference",
    direction="min",
    source=FromPass(MeasurePass.ENERGY, _energy),
    how="energy that a meter counts under load, for each inference",
    collect="hytnas-profile collect passes --energy",
    units={"uJ": 1e-3, "mJ": 1.0, "J": 1e3},
    aliases=("energy",),
    repeat="pass",
    follows_latency=True,
    adds_up=True,
)
PEAK_MEMORY: Final = Target(
    name="peak_memory_bytes",
    words="peak memory",
    unit="bytes",
    unit_words="bytes, interpreter and runtime included",
    direction="min",
    source=FromLatencyLabels(_peak_memory),
    how="peak resident memory of a process of its own",
    collect="hytnas-profile collect latency",
    units=_BYTES,
    aliases=("peak_memory", "memory"),
    shown=_MEBIBYTES,
)
THROUGHPUT: Final = Target(
    name="throughput_per_s",
    words="throughput",
    unit="1/s",
    unit_words="inferences a second, one at a time",
    direction="max",
    source=FromLatencyLabels(_throughput, timed=True),
    how="inferences in the median time of one",
    collect="hytnas-profile collect latency",
    units={"": 1.0},
    aliases=("throughput",),
    follows_latency=True,
)
MODEL_SIZE: Final = Target(
    name="model_bytes",
    words="model size",
    unit="bytes",
    unit_words="bytes of the model file",
    direction="min",
    source=FromLatencyLabels(_model_size),
    how="size of the model file",
    collect="hytnas-profile collect latency",
    noise="none",
    units=_BYTES,
    aliases=("model_size",),
    shown=_MEBIBYTES,
    adds_up=True,
)

TARGETS: Final[dict[str, Target]] = {
    target.name: target for target in (LATENCY, ACCURACY, ENERGY, PEAK_MEMORY, THROUGHPUT, MODEL_SIZE)
}
"""Every target by its name, the first two in the order in which the main job takes them."""


def get_target(name: str) -> Target:
    """The target of this name; raises DataSetError, which names those that there are.

    >>> get_target("latency_ms").direction
    'min'
    """
    if name not in TARGETS:
        raise DataSetError(f"there is no target {name!r}", f"Choose one of {', '.join(TARGETS)}")
    return TARGETS[name]
