"""The energy pass: what a meter counts while the device idles, then while it runs a model."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from hytnas_agent.device.identity import read_hardware
from hytnas_agent.device.meters import Meter, MeterLostError, NoMeterError, find_meter
from hytnas_agent.pass_records import EnergyReading
from hytnas_agent.records import EXECUTION_WORDS, Outcome
from hytnas_agent.runtimes.base import RuntimeFailure

IDLE_SHARE = 0.3
"""Of the load's time, for which the idle device is measured beforehand."""
POLL_INTERVAL_S = 0.1

Poll = Callable[[], float]
"""Reads the meter and gives its joules."""


def require_meter() -> Meter:
    """The meter of this device; raises RuntimeFailure (UNSUPPORTED) where none counts for it."""
    execution = read_hardware().execution
    if execution != "native":
        raise RuntimeFailure(
            Outcome.UNSUPPORTED, f"no energy of this device can be measured: {EXECUTION_WORDS[execution]}"
        )
    try:
        return find_meter()
    except NoMeterError as error:
        raise RuntimeFailure(Outcome.UNSUPPORTED, str(error)) from error


def measure_energy(
    meter: Meter,
    run: Callable[[], object],
    *,
    load_s: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    polled: "Callable[[Meter, Callable[[], float]], AbstractContextManager[Poll]] | None" = None,
) -> EnergyReading:
    """Energy of the idle device for a while, then of ``run`` again and again for ``load_s``.

    Parameters
    ----------
    meter : Meter
    run : callable
        One inference of a model that is warm.
    load_s : float
        Seconds of load; the run that is going then is the last one, and at least one is done.
    clock : callable
        Seconds.
    sleep : callable
        How to idle.
    polled : callable, optional
        Polls the meter within its context; by default a thread does.

    Raises
    ------
    RuntimeFailure
        UNSUPPORTED, if the meter fails or does not move.
    """
    try:
        with (polled or _polled)(meter, clock) as poll:
            began_s, began_j = clock(), poll()
            sleep(IDLE_SHARE * load_s)
            loaded_s, loaded_j = clock(), poll()
            runs = 0
            while runs == 0 or clock() - loaded_s < load_s:
                run()
                runs += 1
            ended_s, ended_j = clock(), poll()
    except MeterLostError as error:
        raise RuntimeFailure(Outcome.UNSUPPORTED, error.what) from error
    if ended_j <= loaded_j:
        raise RuntimeFailure(Outcome.UNSUPPORTED, f"the energy meter {meter.name} does not move")
    return EnergyReading(
        meter.name,
        meter.covers,
        runs,
        load_s=ended_s - loaded_s,
        load_j=ended_j - loaded_j,
        idle_s=loaded_s - began_s,
        idle_j=loaded_j - began_j,
    )


@contextmanager
def _polled(meter: Meter, clock: Callable[[], float]) -> Iterator[Poll]:
    """Poll a meter now and then from another thread; a failure there is raised by the next poll here."""
    lock, stop = threading.Lock(), threading.Event()
    failures: list[MeterLostError] = []

    def poll() -> float:
        with lock:
            if failures:
                raise failures[0]
            meter.poll(clock())
            return meter.joules

    def repeat() -> None:
        while not stop.wait(POLL_INTERVAL_S):
            try:
                poll()
            except MeterLostError as error:
                failures.append(error)
                return

    thread = threading.Thread(target=repeat, name="energy-meter", daemon=True)
    thread.start()
    try:
        yield poll
    finally:
        stop.set()
        thread.join()
