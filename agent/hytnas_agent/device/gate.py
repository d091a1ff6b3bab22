"""Waiting for the board to be fit, before a process starts: for heat to go, for the core to be quiet.

The wait is bounded, can be cancelled, and is part of no duration that is measured. What it did not outlast is
in the record; whether the runs suffered is for the verdict to say.
"""

import time
from collections.abc import Callable, Collection, Sequence
from typing import Final

from hytnas_agent.core_speed import CoreSpeed
from hytnas_agent.device.health import health_snapshot
from hytnas_agent.device.probes import PROBES, Probe
from hytnas_agent.device.speed_memory import SpeedMemory
from hytnas_agent.records import GateReport, HealthSnapshot, Verdict

FIRST_PAUSE_S: Final = 0.1
FRESH_S: Final = 1.0
"""How long ago an undisturbed process may have ended for the board to need no look of its own.

Its verdict covers the time until then, the next one's own verdict its runs. What began in between is seen
from three ticks of work on: over a shorter gap not even a core that is wholly busy is.
"""

LONGEST_PAUSE_S: Final = 2.0
MIN_PATIENCE: Final = 1 / 8
MIN_PATIENCE_S: Final = 1.0
"""Share of a probe's patience, but no more than these seconds, that is left after waits in vain.

It halves each time: a state that stands, such as a weak supply, is not to cost every process a long wait.
"""

SPEED_PATIENCE_S: Final = 10.0
MIN_SPEED_PATIENCE_S: Final = 2.0
"""How long a worker waits for a fast core before its first run; the second after waits in vain.

That is what a process costs that runs to its end: a spell during which the core is slow all the time takes
no more of a model's attempts than if nothing had waited.
"""

MAX_WAIT_S: Final = max(probe.patience_s for probe in PROBES) + LONGEST_PAUSE_S

Pause = Callable[[float], bool]
"""Waits so many seconds; true at once where the job was cancelled."""


class Gate:
    """Holds jobs of one agent back, for a shorter time where the last waits were in vain.

    Without that a core that is always busy would cost every process the whole wait.

    Parameters
    ----------
    snapshot : callable
        The board's health now, for the cores that will measure.
    clock : callable
        Seconds, monotonic.
    speeds : SpeedMemory, optional
        Of how fast the cores have been; by default it begins empty and is kept nowhere.
    """

    def __init__(
        self,
        snapshot: Callable[[Sequence[int]], HealthSnapshot] = health_snapshot,
        clock: Callable[[], float] = time.monotonic,
        speeds: SpeedMemory | None = None,
    ) -> None:
        self._snapshot, self._clock = snapshot, clock
        self._speeds = speeds or SpeedMemory()
        self._patience_s = {probe: probe.patience_s for probe in PROBES}
        self._speed_patience_s = SPEED_PATIENCE_S
        self._fit: HealthSnapshot | None = None

    def remember(
        self, after: HealthSnapshot | None, verdict: Verdict | None, speed: CoreSpeed | None = None
    ) -> None:
        """How a process ended: after an undisturbed one the next needs no look of a tenth of a second.

        ``speed`` is what it saw of the core's, disturbed or not.
        """
        undisturbed = verdict is not None and verdict.status != "INVALID"
        self._fit = after if undisturbed else None
        if after is not None and speed is not None and speed.probe_us:
            self._speeds.add(after, speed)
        if speed is not None and speed.wait_limit_s:
            less_s = max(MIN_SPEED_PATIENCE_S, self._speed_patience_s / 2)
            self._speed_patience_s = less_s if speed.waited_in_vain else SPEED_PATIENCE_S

    @property
    def speed_patience_s(self) -> float:
        """How long the next worker may wait for a fast core: less after waits in vain."""
        return self._speed_patience_s

    def best_speed_us(self, now: HealthSnapshot) -> float | None:
        """What the fixed work of `hytnas_agent.core_speed` takes at best, by the processes before."""
        return self._speeds.best_us(now)

    def wait(self, cores: Sequence[int], pause: Pause) -> GateReport | None:
        """Wait until no probe holds the job back, or their patience is at its end; None once cancelled."""
        begin = self._clock()
        earlier = self._snapshot(cores)
        if self._was_just_fit(earlier):
            self._learn({})
            return GateReport(self._clock() - begin)
        pause_s = FIRST_PAUSE_S
        held: dict[str, str] = {}
        while not pause(pause_s):
            now = self._snapshot(cores)
            held_by = {probe: reason for probe in PROBES if (reason := probe.hold(earlier, now))}
            held |= {probe.name: reason for probe, reason in held_by.items()}
            waited_s = self._clock() - begin
            if all(waited_s >= self._patience_s[probe] for probe in held_by):
                self._learn(held_by)
                return GateReport(waited_s, tuple(held.values()), tuple(held_by.values()))
            earlier, pause_s = now, min(2 * pause_s, LONGEST_PAUSE_S)
        return None

    def _learn(self, held_by: Collection[Probe]) -> None:
        """Halve the patience of the probes that it was in vain for, and give the others all of it back."""
        for probe, patience_s in self._patience_s.items():
            least_s = min(MIN_PATIENCE_S, MIN_PATIENCE * probe.patience_s)
            self._patience_s[probe] = max(least_s, patience_s / 2) if probe in held_by else probe.patience_s

    def _was_just_fit(self, now: HealthSnapshot) -> bool:
        """Whether an undisturbed process ended a moment ago on these cores, and nothing came up since."""
        fit, self._fit = self._fit, None
        if fit is None or fit.cores != now.cores or fit.monotonic_s is None or now.monotonic_s is None:
            return False
        fresh = now.monotonic_s - fit.monotonic_s <= FRESH_S
        return fresh and not any(probe.hold(fit, now) for probe in PROBES)
