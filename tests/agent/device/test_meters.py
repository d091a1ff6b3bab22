"""Meters on trees laid out as the kernel documents sysfs: a Raspberry Pi with an INA219, x86 processors."""

from pathlib import Path

import pytest

from hytnas_agent.device.meters import MeterLostError, NoMeterError, find_meter

INA219 = {
    "sys/class/hwmon/hwmon0/name": "cpu_thermal",
    "sys/class/hwmon/hwmon0/temp1_input": "48312",
    "sys/class/hwmon/hwmon1/name": "rpi_volt",
    "sys/class/hwmon/hwmon1/in0_lcrit_alarm": "0",
    "sys/class/hwmon/hwmon2/name": "ina219",
    "sys/class/hwmon/hwmon2/curr1_input": "412",
    "sys/class/hwmon/hwmon2/in0_input": "4",
    "sys/class/hwmon/hwmon2/in1_input": "5120",
    "sys/class/hwmon/hwmon2/power1_input": "2100000",
}
RAPL = {
    "sys/class/powercap/intel-rapl/enabled": "1",
    "sys/class/powercap/intel-rapl:0/name": "package-0",
    "sys/class/powercap/intel-rapl:0/energy_uj": "1000000",
    "sys/class/powercap/intel-rapl:0/max_energy_range_uj": "262143328850",
    "sys/class/powercap/intel-rapl:0:0/name": "core",
    "sys/class/powercap/intel-rapl:0:0/energy_uj": "500000",
    "sys/class/powercap/intel-rapl:0:0/max_energy_range_uj": "262143328850",
    "sys/class/powercap/intel-rapl:0:1/name": "dram",
    "sys/class/powercap/intel-rapl:0:1/energy_uj": "65712999000",
    "sys/class/powercap/intel-rapl:0:1/max_energy_range_uj": "65712999613",
}
GRAPHICS = {
    "sys/class/hwmon/hwmon0/name": "amdgpu",
    "sys/class/hwmon/hwmon0/power1_input": "9000000",
}


def plant(root: Path, tree: dict[str, str]) -> Path:
    for name, text in tree.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return root


def test_a_sensor_in_the_supply_is_integrated_by_trapezes(tmp_path: Path) -> None:
    plant(tmp_path, INA219)
    meter = find_meter(tmp_path)
    assert meter.name == "ina219 hwmon2"
    power = tmp_path / "sys/class/hwmon/hwmon2/power1_input"
    for at_s, microwatts in ((0.0, 2_000_000), (1.0, 4_000_000), (1.5, 4_000_000), (3.5, 0)):
        power.write_text(f"{microwatts}\n")
        meter.poll(at_s)
    assert meter.joules == pytest.approx(3.0 + 2.0 + 4.0)


def test_the_supply_goes_before_the_processor(tmp_path: Path) -> None:
    assert find_meter(plant(tmp_path, INA219 | RAPL)).name == "ina219 hwmon2"


def test_packages_and_memory_are_added_and_parts_of_a_package_are_not(tmp_path: Path) -> None:
    plant(tmp_path, RAPL)
    meter = find_meter(tmp_path)
    assert meter.name == "RAPL package-0 + dram"
    assert meter.covers == "the processor, not the board"
    zones = tmp_path / "sys/class/powercap"
    meter.poll(0.0)
    (zones / "intel-rapl:0/energy_uj").write_text("3500000")
    (zones / "intel-rapl:0:0/energy_uj").write_text("2900000")
    meter.poll(1.0)
    assert meter.joules == pytest.approx(2.5)
    (zones / "intel-rapl:0:1/energy_uj").write_text("1000000")  # past its end, once
    meter.poll(2.0)
    assert meter.joules == pytest.approx(2.5 + 1.000613)


def test_graphics_and_batteries_are_no_meters_of_the_board(tmp_path: Path) -> None:
    with pytest.raises(NoMeterError, match="neither an INA2xx power sensor nor RAPL"):
        find_meter(plant(tmp_path, GRAPHICS))


def test_without_any_it_says_what_could_be_done(tmp_path: Path) -> None:
    with pytest.raises(NoMeterError, match="INA219 into its supply"):
        find_meter(tmp_path)


def test_counters_that_only_root_may_read_are_named(tmp_path: Path) -> None:
    """Since Linux 5.10 that is so everywhere; a folder in its place cannot be read by root either."""
    plant(tmp_path, RAPL)
    counter = tmp_path / "sys/class/powercap/intel-rapl:0/energy_uj"
    counter.unlink()
    counter.mkdir()
    with pytest.raises(NoMeterError, match="chmod a\\+r"):
        find_meter(tmp_path)


def test_a_meter_that_goes_away_is_an_error(tmp_path: Path) -> None:
    plant(tmp_path, INA219)
    meter = find_meter(tmp_path)
    meter.poll(0.0)
    (tmp_path / "sys/class/hwmon/hwmon2/power1_input").unlink()
    with pytest.raises(MeterLostError, match="cannot be read any more"):
        meter.poll(1.0)
