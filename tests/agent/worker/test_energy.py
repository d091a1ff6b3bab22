"""The energy pass against a fake clock and a meter that draws what it is told."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hytnas_agent.device import meters
from hytnas_agent.device.meters import Meter, MeterLostError, PowerSensor
from hytnas_agent.records import Outcome
from hytnas_agent.runtimes.base import RuntimeFailure
from hytnas_agent.worker import energy
from hytnas_agent.worker.energy import IDLE_SHARE, measure_energy

IDLE_W, LOAD_W, RUN_S = 2.0, 5.0, 0.25


class Bench:
    """A board on a fake clock: 2 W idle, 5 W while it runs, which takes a quarter of a second."""

    def __init__(self, root: Path) -> None:
        self.now = 100.0
        self.power = root / "power1_input"
        self.meter = PowerSensor(self.power, "ina219 test")
        self.draw(IDLE_W)

    def draw(self, watts: float) -> None:
        self.power.write_text(f"{round(watts * 1e6)}\n")

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.meter.poll(self.now)

    def run(self) -> None:
        self.draw(LOAD_W)
        self.meter.poll(self.now)
        self.now += RUN_S
        self.meter.poll(self.now)

    @contextmanager
    def polled(self, meter: Meter, clock: Callable[[], float]) -> Iterator[energy.Poll]:
        def poll() -> float:
            meter.poll(clock())
            return meter.joules

        yield poll


def test_load_and_idle_are_told_apart(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    reading = measure_energy(
        bench.meter, bench.run, load_s=10.0, clock=bench.clock, sleep=bench.sleep, polled=bench.polled
    )
    assert reading.meter == "ina219 test"
    assert reading.runs == 40
    assert reading.idle_s == pytest.approx(10 * IDLE_SHARE)
    assert reading.idle_w == pytest.approx(IDLE_W)
    assert reading.load_s == pytest.approx(10)
    assert reading.load_w == pytest.approx(LOAD_W)
    assert reading.mj_per_inference == pytest.approx(1000 * LOAD_W * RUN_S)
    assert reading.mj_above_idle == pytest.approx(1000 * (LOAD_W - IDLE_W) * RUN_S)


def test_a_run_longer_than_the_load_is_done_once(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    reading = measure_energy(
        bench.meter, bench.run, load_s=0.1, clock=bench.clock, sleep=bench.sleep, polled=bench.polled
    )
    assert reading.runs == 1
    assert reading.load_s == pytest.approx(RUN_S)


def test_a_meter_that_does_not_move_gives_no_figure(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.draw(0.0)
    with pytest.raises(RuntimeFailure, match="does not move") as raised:
        measure_energy(
            bench.meter,
            lambda: bench.sleep(0.1),
            load_s=1.0,
            clock=bench.clock,
            sleep=bench.sleep,
            polled=bench.polled,
        )
    assert raised.value.outcome is Outcome.UNSUPPORTED


def test_a_meter_lost_in_the_other_thread_is_said_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(energy, "POLL_INTERVAL_S", 0.001)
    lost = threading.Event()

    def wait_for_the_loss() -> None:
        """Until the other thread has seen it, and has had the time to say so."""
        lost.wait()
        time.sleep(0.05)

    class Dying:
        name, covers, joules = "dying", "nothing", 0.0

        def poll(self, _at_s: float) -> None:
            if threading.current_thread() is not threading.main_thread():
                lost.set()
                raise MeterLostError("the energy meter at /dev/null cannot be read any more")

    with pytest.raises(RuntimeFailure, match="cannot be read any more") as raised:
        measure_energy(Dying(), wait_for_the_loss, load_s=0.01)
    assert raised.value.outcome is Outcome.UNSUPPORTED


def test_no_meter_is_unsupported_and_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(energy, "find_meter", lambda: meters.find_meter(tmp_path))
    with pytest.raises(RuntimeFailure, match="no energy meter") as raised:
        energy.require_meter()
    assert raised.value.outcome is Outcome.UNSUPPORTED


def test_an_emulated_device_never_reports_its_hosts_energy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYTNAS_AGENT_EXECUTION", "emulated")
    from hytnas_agent.device import identity

    identity._own_hardware.cache_clear()
    try:
        with pytest.raises(RuntimeFailure, match="EMULATED"):
            energy.require_meter()
    finally:
        identity._own_hardware.cache_clear()
