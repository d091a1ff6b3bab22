"""What cannot have been measured is INTERNAL and says why; what can be is left alone."""

import math

import msgspec
import pytest

from hytnas_agent.core_speed import CoreSpeed
from hytnas_agent.label import aggregate, plausible, plausible_label
from hytnas_agent.pass_records import (
    EnergyReading,
    OperatorProfile,
    OperatorTime,
    SustainedSeries,
    SustainedWindow,
)
from hytnas_agent.records import DeviceContext, HealthSnapshot, Outcome, ProcessorTime

from ..conftest import make_result

SPEED = CoreSpeed(40.0, (40.0, 41.0, 60.0, 40.0), (0, 1, 2))
SAMPLES = {"samples_ms": (1.0, 2.0, 3.0), "median_ms": 2.0}
OPERATORS = (OperatorTime("a", "Conv", 900.0),)
SERIES = SustainedSeries((SustainedWindow(1.0, 10, 2.0),), 2.0, 2.1)
ENERGY = EnergyReading("ina219", "the board", 10, 5.0, 20.0, 5.0, 10.0)


def speed(**changes):
    return SAMPLES | {"core_speed": msgspec.structs.replace(SPEED, **changes)}


def of_pass(measure_pass, **found):
    return {"measure_pass": measure_pass} | found


def energy(**changes):
    return of_pass("energy", energy=msgspec.structs.replace(ENERGY, **changes))


def sustained(**changes):
    return of_pass("sustained", sustained=msgspec.structs.replace(SERIES, **changes))


CANNOT_BE = {
    "negative": ({"samples_ms": (-1.0,), "median_ms": -1.0}, "samples_ms is -1"),
    "zero": ({"samples_ms": (0.0, 0.0), "median_ms": 0.0}, "samples_ms is 0"),
    "one of them zero": ({"samples_ms": (1.0, 0.0, 2.0), "median_ms": 1.0}, "samples_ms is 0"),
    "tiny": ({"samples_ms": (5e-324,), "median_ms": 5e-324}, "samples_ms is 4.94"),
    "huge": ({"samples_ms": (1e308, 1e308), "median_ms": 1e308}, "samples_ms is 1e+308"),
    "no number": ({"samples_ms": (1.0, math.nan), "median_ms": 1.0}, "samples_ms is nan"),
    "none": ({"samples_ms": (), "median_ms": 1.0}, "there is no timed run"),
    "no median": ({"samples_ms": (1.0,), "median_ms": None}, "there is no median"),
    "another median": ({"samples_ms": (1.0, 2.0, 3.0), "median_ms": 2.1}, "that of its runs is 2"),
    "median of a failure": ({"outcome": Outcome.CRASH, "median_ms": -1.0}, "median_ms is -1"),
    "cold": (SAMPLES | {"cold_ms": -0.1}, "cold_ms is -0.1"),
    "load": (SAMPLES | {"load_ms": 1e12}, "load_ms is 1e+12"),
    "warm-up": (SAMPLES | {"warmup_ms": (1.0, -5.0)}, "warmup_ms is -5"),
    "start": (SAMPLES | {"started_unix_s": 1e15}, "started_unix_s is 1e+15"),
    "before 1970": (SAMPLES | {"started_unix_s": -1.0}, "started_unix_s is -1"),
    "duration": (SAMPLES | {"wall_s": -1.0}, "wall_s is -1"),
    "health": (SAMPLES | {"health_before": HealthSnapshot(1e15)}, "at_unix_s is 1e+15"),
    "memory": ({"measure_pass": "memory", "peak_rss_bytes": -1}, "peak_rss_bytes is -1"),
    "place below": (speed(before=(0, -1, 2)), "before is -1"),
    "place beyond": (speed(before=(0, 1, 4)), "before is 4"),
    "speed": (speed(best_us=0.0), "best_us is 0"),
    "probe": (speed(probe_us=(40.0, -1.0, 60.0, 40.0)), "probe_us is -1"),
    "wait": (speed(waited_s=1e300), "waited_s is 1e+300"),
    "profile of nothing": (of_pass("profile"), "there is no profile"),
    "operator": (
        of_pass("profile", profile=OperatorProfile(3, 1.0, (OperatorTime("a", "Conv", -1.0),))),
        "time_us is -1",
    ),
    "no operator": (of_pass("profile", profile=OperatorProfile(3, 1.0, ())), "no operator takes any time"),
    "energy of no runs": (energy(runs=0), "runs is 0"),
    "energy in no time": (energy(idle_s=0.0), "seconds of an energy is 0"),
    "energy below 0": (energy(load_j=-1.0), "joules is -1"),
    "load of no window": (sustained(windows=()), "there is no window"),
    "load of nothing": (sustained(burst_ms=0.0), "median_ms is 0"),
}


@pytest.mark.parametrize(("fields", "why"), CANNOT_BE.values(), ids=CANNOT_BE)
def test_what_cannot_be_is_internal_and_says_why(fields, why):
    found = plausible(make_result(**fields))
    assert found.outcome is Outcome.INTERNAL
    assert found.message.startswith("the device sent what cannot be: ")
    assert why in found.message
    assert (found.samples_ms, found.median_ms, found.core_speed, found.energy) == ((), None, None, None)
    assert plausible(found) is found
    assert found.job_id == "job"


CAN_BE = {
    "fast and slow": {"samples_ms": (1e-5, 0.5, 3e6), "median_ms": 0.5},
    "a clock that was never set": SAMPLES | {"started_unix_s": 0.0},
    "median of the runs that count": {"samples_ms": (1.0, 1.1, 1.2, 1.3, 1.4, 9.0), "median_ms": 1.2}
    | {"core_speed": CoreSpeed(40.0, (40.0, 40.0, 60.0), (0, 0, 0, 0, 0, 1))},
    "median of all runs": speed(),
    "rounded": {"samples_ms": (1.0, 2.0 / 3, 0.1), "median_ms": 0.6666667},
    "a failure": {"outcome": Outcome.TIMEOUT},
    "profile": of_pass("profile", profile=OperatorProfile(3, 1.0, OPERATORS)),
    "energy": energy(),
    "sustained": sustained(),
    "memory": {"measure_pass": "memory", "peak_rss_bytes": 1 << 30},
}


@pytest.mark.parametrize("fields", CAN_BE.values(), ids=CAN_BE)
def test_what_can_be_is_left_alone(fields):
    result = make_result(**fields)
    assert plausible(result, arriving=True) is result


@pytest.mark.parametrize("odd", [math.nan, math.inf, 10**400])
def test_of_what_arrives_every_number_is_looked_at(odd):
    result = make_result(**SAMPLES, processor_time=ProcessorTime(odd, 1.0))
    assert plausible(result) is result
    assert "wall_s is" in plausible(result, arriving=True).message
    board = DeviceContext(
        "Pi", "bcm", "aarch64", 4, odd, "Debian", "6.1", "ort", "1.23", "x", 1, "performance"
    )
    found = plausible(make_result(**SAMPLES, context=board), arriving=True)
    assert (found.outcome, found.context) == (Outcome.INTERNAL, None)


@pytest.mark.parametrize(
    "changes",
    [{"median_ms": 0.0}, {"ci_low_ms": -1.0}, {"process_medians_ms": (1e308,)}, {"mad_ms": math.nan}],
)
def test_a_label_that_cannot_be_has_no_latency(changes):
    label = aggregate([make_result(**SAMPLES)])
    assert plausible_label(label) is label
    found = plausible_label(msgspec.structs.replace(label, **changes))
    assert (found.outcome, found.usable, found.jobs) == (Outcome.INTERNAL, False, ())
    assert found.mean_ms is None
