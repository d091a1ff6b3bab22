"""Settings of the passes, and their findings in words."""

import pytest

from hytnas_agent.errors import AgentError
from hytnas_agent.pass_records import (
    EnergyReading,
    OperatorProfile,
    OperatorTime,
    SustainedSeries,
    SustainedWindow,
)
from hytnas_agent.passes import MAX_LOAD_S, describe_pass, pass_settings
from hytnas_agent.records import MeasureJob, MeasurePass, MeasureSettings, Outcome, Verdict
from hytnas_agent.server.checks import check_job

from .conftest import make_result

SETTINGS = MeasureSettings()


def words(**fields: object) -> str:
    return "\n".join(describe_pass(make_result(**fields)))


def test_a_profile_is_summed_by_operator() -> None:
    operators = (
        OperatorTime("a", "Conv", 1500),
        OperatorTime("b", "Gemm", 300),
        OperatorTime("c", "Conv", 200),
    )
    said = words(measure_pass="profile", profile=OperatorProfile(20, 7.1, operators))
    assert "3 operators take 2 ms (mean of 20 runs; a run under the profiler takes 7.1 ms)" in said
    assert said.index("85.0 %") < said.index("15.0 %")


def test_small_operators_are_added_up() -> None:
    operators = tuple(OperatorTime(str(i), f"Kind{i}", 100 - i) for i in range(12))
    said = words(measure_pass="profile", profile=OperatorProfile(20, 7.1, operators))
    assert "all others" in said
    assert len(said.splitlines()) == 10


def test_energy_names_its_meter_and_the_idle_power() -> None:
    reading = EnergyReading("ina219 hwmon2", "what the sensor is wired to", 40, 10.0, 50.0, 3.0, 6.0)
    said = words(measure_pass="energy", energy=reading)
    assert "1250 mJ an inference, 750 mJ above idle" in said
    assert "5 W under load" in said
    assert "2 W idle; meter: ina219 hwmon2 (what the sensor is wired to)" in said


@pytest.mark.parametrize("status", ["VALID", "INVALID"])
def test_what_disturbed_a_pass_is_said_with_it(status: str) -> None:
    reading = EnergyReading("ina219 hwmon2", "what the sensor is wired to", 40, 10.0, 50.0, 3.0, 6.0)
    verdict = Verdict(status, ("throttled", "12 pages were swapped") if status == "INVALID" else ())
    said = words(measure_pass="energy", energy=reading, verdict=verdict)
    assert said.startswith("energy: 1250 mJ")
    assert said.endswith("\n  DISTURBED: throttled; 12 pages were swapped") is (status == "INVALID")


def test_no_meter_is_said() -> None:
    said = words(
        measure_pass="energy", outcome=Outcome.UNSUPPORTED, message="this device has no energy meter"
    )
    assert said == "energy: UNSUPPORTED: this device has no energy meter"


def test_throttling_is_said_with_its_sign() -> None:
    windows = (SustainedWindow(1.0, 9, 20.0, 50.0), SustainedWindow(60.0, 9, 28.0, 81.0))
    said = words(measure_pass="sustained", sustained=SustainedSeries(windows, 20.0, 28.0, 31.0, "clock"))
    assert "28 ms after 60 s of load, 20 ms at its beginning (+40.0 %)" in said
    assert "throttled after 31 s, by its clock" in said
    assert "50 degrees Celsius at first, 81 at most" in said


def test_what_no_probe_tells_is_not_made_up() -> None:
    windows = (SustainedWindow(1.0, 9, 20.0),)
    said = words(measure_pass="sustained", sustained=SustainedSeries(windows, 20.0, 28.0, 31.0, "latency"))
    assert "temperature unknown" in said
    assert "other programs may be the reason" in said
    assert "no sign" in words(measure_pass="sustained", sustained=SustainedSeries(windows, 20.0, 20.0))


def test_the_deadline_leaves_time_for_the_load() -> None:
    assert pass_settings(SETTINGS, "profile") == SETTINGS
    sustained = pass_settings(SETTINGS, "sustained", 300.0)
    assert sustained.load_s == 300.0
    assert sustained.deadline_s > SETTINGS.deadline_s + 300.0
    assert pass_settings(SETTINGS, "energy").load_s == 10.0


@pytest.mark.parametrize("load_s", [0.0, -1.0, 1e9, float("nan")])
def test_a_load_that_makes_no_sense_is_refused(load_s: float) -> None:
    with pytest.raises(AgentError, match="seconds"):
        pass_settings(SETTINGS, "sustained", load_s)


@pytest.mark.parametrize("measure_pass", ["energy", "sustained"])
def test_a_server_takes_the_longest_load(measure_pass: MeasurePass) -> None:
    longest = pass_settings(SETTINGS, measure_pass, MAX_LOAD_S)
    check_job(MeasureJob("job", "a" * 64, "onnx", longest, measure_pass))
