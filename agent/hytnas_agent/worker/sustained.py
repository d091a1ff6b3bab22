"""The sustained pass: minutes of load, cut into windows, and when the device gave in."""

from collections.abc import Callable, Sequence

from hytnas_agent.pass_records import SustainedSeries, SustainedWindow
from hytnas_agent.records import HealthSnapshot
from hytnas_agent.statistics import median

MIN_WINDOW_S = 1.0
MAX_WINDOWS = 600
BURST_S = 5.0
"""Windows that begin so early make the burst latency, however long the load: a board throttles in minutes."""
LAST_SHARE = 0.25
"""Of the windows, whose median is the sustained latency."""
SLOWDOWN = 0.05
"""Above the burst latency: more counts as giving in, if it lasts."""
LASTING_WINDOWS = 3
"""Windows that must be slow one after another: a single one may be another program's doing."""
CLOCK_DROP = 0.05
THROTTLED_NOW = 0xE
"""Bits 1-3 of ``get_throttled``: frequency capped, throttled, or soft temperature limit now."""


def run_windows(
    run: Callable[[], object],
    *,
    load_s: float,
    clock: Callable[[], int],
    health: Callable[[], HealthSnapshot],
) -> list[SustainedWindow]:
    """Run for ``load_s`` without a pause but for a look at the device's health between windows.

    Parameters
    ----------
    run : callable
        One inference.
    load_s : float
        Seconds. A window is a second of them, longer where a run takes longer and, after the first five
        seconds, where there would be more than 600 windows.
    clock : callable
        Nanoseconds.
    health : callable
        The device's state now.
    """
    later_window_s = max(MIN_WINDOW_S, (load_s - BURST_S) / (MAX_WINDOWS - BURST_S / MIN_WINDOW_S))
    windows: list[SustainedWindow] = []
    state = health()
    begin = clock()
    while not windows or clock() - begin < load_s * 1e9:
        durations: list[int] = []
        opened = clock()
        window_s = MIN_WINDOW_S if opened - begin < BURST_S * 1e9 else later_window_s
        while not durations or clock() - opened < window_s * 1e9:
            before = clock()
            run()
            durations.append(clock() - before)
        end_s = (clock() - begin) / 1e9
        earlier, state = state, health()
        windows.append(_window(end_s, durations, earlier, state))
    return windows


def _window(
    end_s: float, durations: Sequence[int], earlier: HealthSnapshot, state: HealthSnapshot
) -> SustainedWindow:
    known = earlier.steal_ticks is not None and state.steal_ticks is not None
    return SustainedWindow(
        end_s,
        len(durations),
        median(durations) / 1e6,
        temperature_celsius=state.temperature_celsius,
        clock_mhz=state.clock_mhz,
        throttled_bits=state.throttled_bits,
        steal_ticks=(state.steal_ticks or 0) - (earlier.steal_ticks or 0) if known else None,
        measured_clock_mhz=state.measured_clock_mhz,
    )


def judge_windows(windows: Sequence[SustainedWindow], /) -> SustainedSeries:
    """Burst against sustained latency, and the first sign of throttling, of (n,) windows, n >= 1.

    The burst latency is the median of the windows that begin within the first five seconds. A sign is,
    whichever comes first: throttling bits of the firmware; a clock, counted or else asked for, more than 5 %
    below that of the first window; or three windows in a row more than 5 % slower than the burst. The last
    one alone may also be another program's doing.
    """
    medians = [window.median_ms for window in windows]
    early = sum(1 for start_s in _starts_s(windows) if start_s < BURST_S)
    burst_ms = median(medians[:early])
    last = max(1, round(LAST_SHARE * len(windows)))
    after_s, sign = _first_sign(windows, burst_ms)
    return SustainedSeries(tuple(windows), burst_ms, median(medians[-last:]), after_s, sign)


def _first_sign(windows: Sequence[SustainedWindow], burst_ms: float) -> tuple[float | None, str | None]:
    starts_s = _starts_s(windows)
    slow = [window.median_ms > (1 + SLOWDOWN) * burst_ms for window in windows]
    for index, window in enumerate(windows):
        if window.throttled_bits is not None and window.throttled_bits & THROTTLED_NOW:
            return window.end_s, "throttling bits"
        if _clock_fell(windows[0], window):
            return window.end_s, "clock"
        following = slow[index : index + LASTING_WINDOWS]
        if len(following) == LASTING_WINDOWS and all(following):
            return starts_s[index], "latency"
    return None, None


def _starts_s(windows: Sequence[SustainedWindow]) -> list[float]:
    return [0.0, *(window.end_s for window in windows[:-1])]


def _clock_fell(first: SustainedWindow, window: SustainedWindow) -> bool:
    """By what the firmware counts, where it does: the kernel's word is what the driver asked for."""
    was, now = first.measured_clock_mhz, window.measured_clock_mhz
    if was is None or now is None:
        was, now = first.clock_mhz, window.clock_mhz
    return was is not None and now is not None and now < (1 - CLOCK_DROP) * was
