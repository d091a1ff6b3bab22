"""What the agent tells a worker on standard input, and what the worker answers over its pipe."""

import msgspec

from hytnas_agent.core_speed import CoreSpeed
from hytnas_agent.pass_records import EnergyReading, OperatorProfile, SustainedSeries
from hytnas_agent.protocol import RuntimeInfo
from hytnas_agent.records import HealthSnapshot, MeasureJob, Outcome, ParityResult, ProcessorTime


class SpeedRequest(msgspec.Struct, frozen=True):
    """That the core's speed is to be watched.

    ``best_us`` is the best of the processes before, if any; ``wait_s`` is how long the core may be waited for
    before the first run. A process that ``may_end_early`` ends then, or once it cannot become valid.
    """

    best_us: float | None = None
    wait_s: float = 0.0
    may_end_early: bool = False


class WorkerRequest(msgspec.Struct, frozen=True):
    """A job with the paths of its files, the cores to run on, and the limit on private memory.

    ``scratch_path`` is an empty folder for a pass that needs one; the agent deletes it. ``speed`` is there
    where the core's speed is to be watched beside timed runs.
    """

    job: MeasureJob
    model_path: str
    cores: tuple[int, ...]
    data_limit_bytes: int
    agent_pid: int
    inputs_path: str | None = None
    outputs_path: str | None = None
    scratch_path: str | None = None
    speed: SpeedRequest | None = None


class Stage(msgspec.Struct, frozen=True, tag="stage"):
    """What the worker is about to do; ``runtime`` once imported, ``precision`` once the file is read.

    ``waited_s`` is how long it has waited for the core to be fast, once it has.
    """

    name: str
    runtime: RuntimeInfo | None = None
    precision: str | None = None
    waited_s: float | None = None


class Report(msgspec.Struct, frozen=True, tag="report"):
    """How the measurement ended, with everything that was measured until then."""

    outcome: Outcome
    message: str = ""
    load_ms: float | None = None
    cold_ms: float | None = None
    warmup_ms: tuple[float, ...] = ()
    steady: bool | None = None
    samples_ms: tuple[float, ...] = ()
    peak_rss_bytes: int | None = None
    parity: ParityResult | None = None
    involuntary_switches: int | None = None
    health_before: HealthSnapshot | None = None
    health_after: HealthSnapshot | None = None
    processor_time: ProcessorTime | None = None
    core_speed: CoreSpeed | None = None
    profile: OperatorProfile | None = None
    energy: EnergyReading | None = None
    sustained: SustainedSeries | None = None


WorkerMessage = Stage | Report
