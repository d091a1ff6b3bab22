"""What one measurement is: the types that travel from the worker to the agent, the host and the store."""

import hashlib
from enum import StrEnum
from typing import Final, Literal

import msgspec
from msgspec import UNSET, UnsetType

from hytnas_agent.core_speed import CoreSpeed, counted, counting
from hytnas_agent.pass_records import EnergyReading, OperatorProfile, SustainedSeries

ModelFormat = Literal["onnx", "tflite"]
Execution = Literal["native", "emulated", "simulated", "instruction_count"]

EXECUTION_WORDS: Final[dict[Execution, str]] = {
    "native": "measured on the device",
    "emulated": "EMULATED, not a real board",
    "instruction_count": "instruction-count latency, emulated Cortex-A53",
    "simulated": "SIMULATED, not measured",
}
"""What is said of latencies wherever they are shown, from the most real to the least."""


class MeasurePass(StrEnum):
    """What a process measures: each pass in fresh processes of its own, so that none disturbs another."""

    TIMED = "timed"
    """Single runs, of which latencies are made."""
    MEMORY = "memory"
    """The peak of the process's memory."""
    PROFILE = "profile"
    """The time of each operator."""
    ENERGY = "energy"
    """What a meter counts under load and while nothing runs."""
    SUSTAINED = "sustained"
    """Latency under minutes of load."""


EXTRA_PASSES: Final = (MeasurePass.PROFILE, MeasurePass.ENERGY, MeasurePass.SUSTAINED)
"""Those that are asked for beside latency and memory."""


class Outcome(StrEnum):
    """How a measurement ended. The set is closed: every ending is one of these.

    THROTTLED is a process that ran out of time while the device's health says that it was disturbed, or that
    timed no run because the core was slow for as long as it was waited for.
    """

    OK = "OK"
    TIMEOUT = "TIMEOUT"
    OOM = "OOM"
    CRASH = "CRASH"
    UNSUPPORTED = "UNSUPPORTED"
    INVALID_MODEL = "INVALID_MODEL"
    PARITY = "PARITY"
    UNSTABLE = "UNSTABLE"
    THROTTLED = "THROTTLED"
    CANCELLED = "CANCELLED"
    INTERNAL = "INTERNAL"


class MeasureSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How one process measures one model.

    A process warms up until two consecutive windows agree (or the cap), then takes timed runs until it has
    ``min_runs`` and has spent ``timed_budget_s``, or has ``max_runs``. ``load_s`` is how long the energy and
    the sustained pass keep the device busy; no other pass has it, and agents of before 1.2 do not know it.
    ``inputs_sha256`` names a spooled ``.npz`` of arrays called like the model's inputs, which a model without
    a reference is run with; else they are made up from ``input_seed``. Agents of before 1.6 do not know it.
    """

    threads: int = 1
    core: int | None = None
    warmup_window: int = 5
    warmup_max_runs: int = 60
    warmup_max_s: float = 10.0
    min_runs: int = 10
    max_runs: int = 100
    timed_budget_s: float = 0.5
    deadline_s: float = 120.0
    memory_limit_bytes: int | None = None
    input_seed: int = 0
    load_s: float | UnsetType = UNSET
    inputs_sha256: str | UnsetType = UNSET


class Reference(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Inputs and the outputs a correct runtime gives for them, each a spooled ``.npz`` named by its hash.

    ``inputs`` holds ``input_0, input_1, ...`` and ``outputs`` holds ``output_0, ...``; every array has a
    leading axis over the reference cases (k >= 2). ``spread`` is the standard deviation of the outputs over
    the cases; a run agrees if its largest absolute error is at most ``tolerance * spread``.
    """

    inputs_sha256: str
    outputs_sha256: str
    spread: float
    tolerance: float = 1e-3


class MeasureJob(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One fresh process measuring one model once. ``job_id`` is issued by the host, one for each attempt.

    With a ``gate`` of false it begins at once, however unfit the device is: for comparing with methods that
    do not look. Agents of before 1.2 do not know the field. A process that ``may_end_early`` ends once it is
    certain that it is disturbed: whoever says so measures it again then. Agents of before 1.5 do not know it.
    """

    job_id: str
    model_sha256: str
    format: ModelFormat
    settings: MeasureSettings
    measure_pass: MeasurePass = MeasurePass.TIMED
    runtime: str | None = None
    reference: Reference | None = None
    gate: bool | UnsetType = UNSET
    may_end_early: bool | UnsetType = UNSET


class DeviceIdentity(msgspec.Struct, frozen=True):
    """Which board this is. ``device_id`` is a hash, never the serial number itself."""

    device_id: str
    hostname: str


class DeviceContext(msgspec.Struct, frozen=True):
    """Everything a latency label depends on besides the model. Equal contexts may share a predictor."""

    board: str
    soc: str
    architecture: str
    cores: int
    memory_bytes: int
    os: str
    kernel: str
    runtime: str
    runtime_version: str
    runtime_build: str
    threads: int
    governor: str
    precision: str = "fp32"
    execution: Execution = "native"

    def fingerprint(self) -> str:
        """The first 16 hexadecimal digits of the SHA-256 of the context in canonical JSON."""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()[:16]


class HealthSnapshot(msgspec.Struct, frozen=True):
    """The state of the board at one moment. A probe that is absent is ``None``: UNKNOWN, never healthy.

    ``core_busy_s`` and ``core_steal_s`` are of the measuring ``cores`` together, ``busy_s`` and
    ``steal_ticks`` of all; they, ``swapped_pages`` and ``throttle_events`` count since boot.
    ``measured_clock_mhz`` is what the firmware counts, ``clock_mhz`` what the kernel says, ``max_clock_mhz``
    what it allows now and ``hardware_max_clock_mhz`` what the processor can. ``cooling_state`` is above 0
    while the kernel lowers that limit for heat. ``firmware_sets_clock`` is true on a Raspberry Pi, whose
    firmware may lower the clock behind the kernel: ``clock_mhz`` is what was asked for there.
    """

    at_unix_s: float
    throttled_bits: int | None = None
    under_voltage_alarm: bool | None = None
    temperature_celsius: float | None = None
    clock_mhz: float | None = None
    governor: str | None = None
    load_1min: float | None = None
    swapped_pages: int | None = None
    steal_ticks: int | None = None
    monotonic_s: float | None = None
    throttle_events: int | None = None
    temperature_limit_celsius: float | None = None
    max_clock_mhz: float | None = None
    measured_clock_mhz: float | None = None
    swap_used_bytes: int | None = None
    cores: tuple[int, ...] = ()
    core_busy_s: float | None = None
    core_steal_s: float | None = None
    busy_s: float | None = None
    hardware_max_clock_mhz: float | None = None
    cooling_state: int | None = None
    firmware_sets_clock: bool | None = None


class ProcessorTime(msgspec.Struct, frozen=True):
    """What the timed runs of a process got of the processor.

    ``cpu_s`` is the processor time of all its threads, ``run_delay_s`` how long they were ready to run and
    had to wait for others; ``None`` where the kernel does not count that. ``preemptions`` is how often
    another thread was put in the place of one, over all of the ``runs``.
    """

    wall_s: float
    cpu_s: float
    run_delay_s: float | None = None
    preemptions: int | None = None
    runs: int | None = None


class GateReport(msgspec.Struct, frozen=True):
    """The wait before a process: how long, for what, and what still held it back when patience ended."""

    waited_s: float
    waited_for: tuple[str, ...] = ()
    given_up: tuple[str, ...] = ()


class Verdict(msgspec.Struct, frozen=True):
    """Whether a process may stand in a label, by the board's health before, during and after its timed runs.

    Or whether to trust what a profile, energy or sustained pass found; the last is judged by others' work.

    ``reasons`` says in words what disturbed it. ``unverified`` names the probes that the board does not have
    or that did not look: what they would have shown is unknown, not healthy.
    """

    status: Literal["VALID", "VALID_UNVERIFIED", "INVALID"]
    reasons: tuple[str, ...] = ()
    unverified: tuple[str, ...] = ()

    @property
    def usable(self) -> bool:
        """Whether nothing was seen that disturbed the process."""
        return self.status != "INVALID"


class ParityResult(msgspec.Struct, frozen=True):
    """Largest absolute error against the reference outputs and the limit it was held to."""

    max_error: float
    limit: float


class ProcessResult(msgspec.Struct, frozen=True):
    """What one fresh process measured, raw samples included. Durations are in the unit of their name."""

    job_id: str
    model_sha256: str
    measure_pass: MeasurePass
    outcome: Outcome
    settings: MeasureSettings
    started_unix_s: float
    wall_s: float
    agent_version: str
    identity: DeviceIdentity
    context: DeviceContext | None = None
    message: str = ""
    signal: str | None = None
    load_ms: float | None = None
    cold_ms: float | None = None
    warmup_ms: tuple[float, ...] = ()
    steady: bool | None = None
    samples_ms: tuple[float, ...] = ()
    median_ms: float | None = None
    peak_rss_bytes: int | None = None
    model_bytes: int | None = None
    parity: ParityResult | None = None
    involuntary_switches: int | None = None
    health_before: HealthSnapshot | None = None
    health_after: HealthSnapshot | None = None
    profile: OperatorProfile | None = None
    energy: EnergyReading | None = None
    sustained: SustainedSeries | None = None
    verdict: Verdict | None = None
    processor_time: ProcessorTime | None = None
    gate: GateReport | None = None
    core_speed: CoreSpeed | None = None

    @property
    def counts(self) -> tuple[bool, ...]:
        """For each of ``samples_ms`` whether it counts: those at the core's speed if enough, else all."""
        return tuple(counting(len(self.samples_ms), self.core_speed))

    @property
    def counted_ms(self) -> tuple[float, ...]:
        """The timed runs that count; ``median_ms`` is their median."""
        return counted(self.samples_ms, self.core_speed)

    @property
    def is_disturbed(self) -> bool:
        """Whether the board's health says that this process may stand in no label, or a pass be doubted."""
        return self.verdict is not None and not self.verdict.usable

    @property
    def asks_again(self) -> bool:
        """Whether it is to be measured again for that: not after minutes or hours of lasting load."""
        return self.is_disturbed and self.measure_pass != MeasurePass.SUSTAINED


class LatencyLabel(msgspec.Struct, frozen=True):
    """The label of one model on one device: the median of the medians of several fresh processes.

    ``jobs`` are the ids of the jobs whose processes make it, in the order of ``process_medians_ms``.
    ``ci_low_ms``/``ci_high_ms`` bound a 95 % t-interval on the log process medians (DESIGN 5.4), and
    ``half_width`` is half of it relative to its centre. Where processes were added until that was at most
    ``target_half_width``, ``looks`` says how often it was looked at and ``look_confidence`` what confidence
    each look was held to, so that the whole is 95 %. A label whose interval stayed wider is UNSTABLE and has
    a latency all the same. ``disturbed_processes`` went well but for the health of the board.
    ``too_few_undisturbed`` says that fewer than three did better (or than were asked for): the label is of
    these, or of the fastest disturbed one where there is none. ``mad_ms``, ``mean_ms``, ``p90_ms`` and
    ``p99_ms`` are of the pooled timed samples.
    """

    model_sha256: str
    outcome: Outcome
    processes: int
    samples: int
    median_ms: float | None
    process_medians_ms: tuple[float, ...]
    jobs: tuple[str, ...]
    ci_low_ms: float | None
    ci_high_ms: float | None
    mad_ms: float | None
    mean_ms: float | None
    p90_ms: float | None
    p99_ms: float | None
    cold_ms: float | None
    load_ms: float | None
    throughput_per_s: float | None
    peak_rss_bytes: int | None
    model_bytes: int | None
    steady_processes: int
    message: str = ""
    half_width: float | None = None
    target_half_width: float | None = None
    looks: int = 0
    look_confidence: float = 0.95
    disturbed_processes: int = 0
    too_few_undisturbed: bool = False

    @property
    def usable(self) -> bool:
        """Whether there is a latency: OK, or UNSTABLE, which is less certain than asked for."""
        return self.median_ms is not None and self.outcome in (Outcome.OK, Outcome.UNSTABLE)
