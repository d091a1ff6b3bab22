"""What the passes beside the timed one give: a profile of operators, energy, latency under lasting load."""

import math

import msgspec


class OperatorTime(msgspec.Struct, frozen=True):
    """One operator of the graph that the runtime ran.

    ``name`` is the runtime's: that of the file's node, or one it made up for a fused or inserted operator.
    ``time_us`` is the interquartile mean over the runs, in microseconds, of all its calls in one run.
    """

    name: str
    op_type: str
    time_us: float


class OperatorProfile(msgspec.Struct, frozen=True):
    """Where one inference spends its time, operators in the order they ran.

    ``run_ms`` is the interquartile mean of whole runs, profiling included: it is no latency. What of it lies
    outside the operators (``outside_ms``) is the runtime's own work and that of profiling.
    """

    runs: int
    run_ms: float
    operators: tuple[OperatorTime, ...]

    @property
    def kernel_ms(self) -> float:
        """Sum over the operators."""
        return math.fsum(operator.time_us for operator in self.operators) / 1000

    @property
    def outside_ms(self) -> float:
        """Time of a run that no operator took."""
        return max(0.0, self.run_ms - self.kernel_ms)


class EnergyReading(msgspec.Struct, frozen=True):
    """What a meter counted while a model ran for ``load_s``, and before, while nothing did, for ``idle_s``.

    ``meter`` names it and ``covers`` says in words what draws the energy that it counts.
    """

    meter: str
    covers: str
    runs: int
    load_s: float
    load_j: float
    idle_s: float
    idle_j: float

    @property
    def load_w(self) -> float:
        """Mean power under load, watts."""
        return self.load_j / self.load_s

    @property
    def idle_w(self) -> float:
        """Mean power of the idle device, watts."""
        return self.idle_j / self.idle_s

    @property
    def mj_per_inference(self) -> float:
        """Energy of one inference in millijoules, all that the meter counts included."""
        return 1000 * self.load_j / self.runs

    @property
    def mj_above_idle(self) -> float:
        """The same without what the idle device would have drawn meanwhile."""
        return 1000 * (self.load_j - self.idle_w * self.load_s) / self.runs


class SustainedWindow(msgspec.Struct, frozen=True):
    """A few seconds of lasting load: when it ended, its runs, and the device's state then.

    What no probe could tell is ``None``. ``steal_ticks`` were taken by a hypervisor within the window.
    ``measured_clock_mhz`` is what the firmware counts, ``clock_mhz`` what the kernel says.
    """

    end_s: float
    runs: int
    median_ms: float
    temperature_celsius: float | None = None
    clock_mhz: float | None = None
    throttled_bits: int | None = None
    steal_ticks: int | None = None
    measured_clock_mhz: float | None = None


class SustainedSeries(msgspec.Struct, frozen=True):
    """Latency under lasting load, against that of its beginning.

    ``burst_ms`` is the median of the windows of the first seconds, ``sustained_ms`` that of the last quarter
    of the windows. ``throttled_after_s`` says when the device first gave in, and ``throttle_sign`` what
    showed it; both are ``None`` if it did not.
    """

    windows: tuple[SustainedWindow, ...]
    burst_ms: float
    sustained_ms: float
    throttled_after_s: float | None = None
    throttle_sign: str | None = None

    @property
    def slowdown(self) -> float:
        """Sustained over burst latency, less 1."""
        return self.sustained_ms / self.burst_ms - 1
