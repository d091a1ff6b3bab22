"""Everything a report shows, as plain values: no file, clock or device is touched here."""

from dataclasses import dataclass, field
from typing import Final, Literal

from hytnas_agent.protocol import DeviceDescription
from hytnas_agent.records import EXECUTION_WORDS, Execution, Outcome
from hytnas_datasets.store import LabelQuality
from hytnas_datasets.targets import ACCURACY, LATENCY, Target, get_target
from hytnas_host.report.passes import PassData
from hytnas_host.search.result import Evaluated, Objective, SearchResult, Verification, VerifiedRow
from hytnas_predictors.result import Leaderboard

UNSTABLE: Final = Outcome.UNSTABLE.value


@dataclass(frozen=True)
class ModelSpread:
    """How far the measurements of one model agree.

    Attributes
    ----------
    model : str
        Architecture id, or the file's hash where the model has no architecture.
    median_ms : float
        The label, milliseconds.
    within_percent : float or None
        Robust standard deviation (1.4826 MAD) of the runs inside a process, percent of the process median;
        the median over the processes.
    between_percent : float or None
        Standard deviation of the log medians of the processes, percent. ``None`` with one process.
    half_width_percent : float or None
        Half the width of the label's 95 % interval, percent of the label.
    outcome : str
        OK, or UNSTABLE where that interval is wider than was asked for.
    disturbed : bool
        Whether too few undisturbed processes could be had for the label.
    """

    model: str
    median_ms: float
    within_percent: float | None
    between_percent: float | None
    half_width_percent: float | None
    outcome: str = "OK"
    disturbed: bool = False

    @property
    def unstable(self) -> bool:
        """Whether its interval is wider than was asked for."""
        return self.outcome == UNSTABLE

    @property
    def title(self) -> str:
        """What a tooltip calls it."""
        marks = [UNSTABLE] * self.unstable + ["measured while disturbed"] * self.disturbed
        return ", ".join(["Measured model", *marks])


CanaryState = Literal["kept", "former", "drifted"]


@dataclass(frozen=True)
class CanaryPoint:
    """The canary model measured once.

    Attributes
    ----------
    minutes : float
        Since the first time on any device.
    median_ms : float
    state : CanaryState
        ``kept``, or discarded: as one of a ``former`` speed, or because it had ``drifted``.
    level : int
        Lasting changes of the device's speed before it; of no meaning for one that had drifted.
    """

    minutes: float
    median_ms: float
    state: CanaryState = "kept"
    level: int = 0


@dataclass(frozen=True)
class DriftSpell:
    """A stretch whose timed processes were discarded for a drift; from and to when, in minutes, how many."""

    start_minutes: float
    end_minutes: float
    processes: int


@dataclass(frozen=True)
class DrawnCanary:
    """The canary on one device, called ``device``; the minutes of all series count from the same moment."""

    device: str
    points: tuple[CanaryPoint, ...]
    spells: tuple[DriftSpell, ...] = ()


@dataclass(frozen=True)
class StageTime:
    """One stage of the run that made the study."""

    stage: str
    seconds: float
    status: str = "done"
    note: str = ""


@dataclass(frozen=True)
class AccuracyTraining:
    """What the accuracy labels are.

    ``description`` says it in words, e.g. "short training on scikit-learn digits"; ``noise`` is the standard
    deviation between training seeds and ``chance`` the accuracy of guessing, both fractions.
    """

    description: str
    networks: int
    repeated: int = 0
    noise: float | None = None
    chance: float | None = None
    facts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class VariableCoverage:
    """How often each choice of one variable was sampled."""

    variable: str
    choices: tuple[str, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True)
class Failure:
    """A model without a label, and why."""

    model: str
    outcome: str
    message: str


@dataclass(frozen=True)
class DataSheet:
    """Counts of what the study holds."""

    facts: tuple[tuple[str, str], ...] = ()
    outcomes: tuple[tuple[str, int], ...] = ()
    failures: tuple[Failure, ...] = ()
    coverage: tuple[VariableCoverage, ...] = ()


@dataclass(frozen=True)
class ReportData:
    """One study, ready to be drawn. A part that does not exist yet is ``None`` or empty.

    ``choices`` maps an architecture id to its (stage, choices) lines; ``commands`` are the command lines that
    made the study, in order, ``settings`` the newest one's configuration and ``environment`` the workstation
    it ran on; ``width_target_percent`` is the interval half-width that measuring aims at; ``passes`` holds
    profiles, energy and sustained latency; ``qualities`` says what the latency labels rest on.
    """

    study: str
    version: str = ""
    started: str | None = None
    device: DeviceDescription | None = None
    search: SearchResult | None = None
    verification: Verification | None = None
    leaderboards: tuple[Leaderboard, ...] = ()
    spreads: tuple[ModelSpread, ...] = ()
    canary: tuple[DrawnCanary, ...] = ()
    stages: tuple[StageTime, ...] = ()
    training: AccuracyTraining | None = None
    sheet: DataSheet = DataSheet()
    choices: dict[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    commands: tuple[str, ...] = ()
    settings: tuple[tuple[str, str], ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    width_target_percent: float = 1.5
    passes: PassData = field(default_factory=PassData)
    qualities: tuple[LabelQuality, ...] = ()

    @property
    def execution(self) -> Execution:
        """Where the latencies come from; the least real of what the parts say."""
        said = {board.context.execution for board in self.leaderboards if get_target(board.target).of_device}
        if self.device is not None:
            said.add(self.device.context.execution)
        said.update(part.execution for part in (self.search, self.verification) if part is not None)
        return max(said, key=list(EXECUTION_WORDS).index, default="native")

    @property
    def device_name(self) -> str:
        """The board in words, for titles."""
        if self.device is None:
            return self.verification.device if self.verification is not None else "an unknown device"
        return self.device.context.board or self.device.identity.hostname or self.device.identity.device_id

    @property
    def provenance(self) -> str:
        """What goes behind a latency where no axis says it; empty for those of a real board."""
        return "" if self.execution == "native" else f" ({EXECUTION_WORDS[self.execution]})"

    @property
    def latency_axis(self) -> str:
        """The title of every axis that shows latency, with its provenance."""
        return self.axis(LATENCY)

    def axis(self, target: Target) -> str:
        """The title of an axis that shows a target, with its provenance where a device measured it."""
        title = f"{target.words}, {target.display.unit}"
        return f"{title} ({EXECUTION_WORDS[self.execution]})" if target.of_device else title

    def leaderboard(self, target: Target = LATENCY) -> Leaderboard | None:
        """The leaderboard of one target, by default the latency, if it was made."""
        return next((board for board in self.leaderboards if board.target == target.name), None)

    @property
    def unstable(self) -> frozenset[str]:
        """The models whose labels are UNSTABLE."""
        return frozenset(spread.model for spread in self.spreads if spread.unstable)

    def verified(self) -> dict[str, VerifiedRow]:
        """The freshly measured row of each front architecture."""
        rows = self.verification.rows if self.verification is not None else ()
        return {row.architecture: row for row in rows if row.role == "front"}


@dataclass(frozen=True)
class Axes:
    """Which of a search's objectives are latency, accuracy and parameters; ``None`` where there is none."""

    latency: int | None
    accuracy: int | None
    params: int | None

    @classmethod
    def of(cls, objectives: tuple[Objective, ...]) -> "Axes":
        """Find the axes by the objectives' names."""
        places = {objective.name: place for place, objective in enumerate(objectives)}
        return cls(places.get(LATENCY.name), places.get(ACCURACY.name), places.get("params"))


MAX_BEHIND: Final = 1000
"""How many of the evaluated architectures behind the front are drawn: more make a page slow."""


def behind(search: SearchResult) -> list[Evaluated]:
    """Evaluated architectures that are not on the front; of many, `MAX_BEHIND` evenly over the search."""
    on_front = {member.architecture for member in search.front}
    others = [member for member in search.evaluated if member.architecture not in on_front]
    step = max(len(others) / MAX_BEHIND, 1.0)
    return [others[int(number * step)] for number in range(int(len(others) / step))]


def percent_of(value: float, objective: Objective) -> float:
    """An accuracy in percent, whether the objective counts in percent or in fractions."""
    return value if objective.unit in {"%", "percent"} else 100 * value
