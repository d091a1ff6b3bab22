import pytest

from hytnas_agent.device.health import health_snapshot
from hytnas_agent.device.sources import Sources

at = Sources.at


COPY = "sys/devices/platform/soc/soc:firmware/get_throttled"


def test_a_pi_says_all(pi, pi_files: dict[str, str]) -> None:
    health = health_snapshot((0,), pi(pi_files))
    assert health.throttled_bits == 0
    assert health.under_voltage_alarm is False
    assert health.temperature_celsius == 48.312
    assert health.clock_mhz == 1200
    assert health.governor == "performance"
    assert health.load_1min == 0.05
    assert health.swapped_pages == 12
    assert health.steal_ticks == 3
    assert health.temperature_limit_celsius == 80
    assert (health.max_clock_mhz, health.hardware_max_clock_mhz, health.cooling_state) == (1200, 1200, 0)
    assert health.firmware_sets_clock is True
    assert health.swap_used_bytes == 0
    assert (health.cores, health.core_busy_s, health.core_steal_s, health.busy_s) == ((0,), 1.55, 0.03, 1.55)


def test_what_is_absent_is_unknown(board) -> None:
    health = health_snapshot((0,), at(board({})))
    always = {"at_unix_s", "monotonic_s", "cores"}
    probed = {name for name in health.__struct_fields__ if name not in always}
    assert {getattr(health, name) for name in probed} == {None}


def test_what_is_nonsense_is_unknown(board, pi_files: dict[str, str]) -> None:
    nonsense = {name: "nonsense" for name in pi_files if "device-tree" not in name}
    health = health_snapshot((0,), at(board(pi_files | nonsense)))
    assert health.throttled_bits is None
    assert health.temperature_celsius is None
    assert health.clock_mhz is None
    assert health.load_1min is None


def test_bits_are_hexadecimal(pi, pi_files: dict[str, str]) -> None:
    pi_files["sys/class/hwmon/hwmon1/in0_lcrit_alarm"] = "1\n"
    health = health_snapshot((0,), pi(pi_files, "0x50005"))
    assert health.throttled_bits == 0x50005
    assert health.under_voltage_alarm is True


@pytest.mark.parametrize("copy", ["0\n", "50005\n"])
def test_the_firmware_is_believed_before_the_kernels_copy(pi, pi_files: dict[str, str], copy: str) -> None:
    assert health_snapshot((0,), pi(pi_files | {COPY: copy}, "0xe0008")).throttled_bits == 0xE0008


@pytest.mark.parametrize(("copy", "bits"), [("0\n", None), ("50000\n", None), ("50005\n", 0x50005)])
def test_a_copy_that_may_be_old_accuses_and_does_not_acquit(
    board, pi_files: dict[str, str], copy: str, bits: int | None
) -> None:
    assert health_snapshot((0,), at(board(pi_files | {COPY: copy}))).throttled_bits == bits


def test_only_a_pi_is_asked_for_throttling(pi, pi_files: dict[str, str]) -> None:
    pi_files |= {"proc/device-tree/model": "Some Other Board", COPY: "50005\n"}
    assert health_snapshot((0,), pi(pi_files, "0x50005")).throttled_bits is None


def test_the_processors_zone_is_preferred(board, pi_files: dict[str, str]) -> None:
    pi_files["sys/class/thermal/thermal_zone0/type"] = "gpu\n"
    pi_files["sys/class/thermal/thermal_zone1/type"] = "cpu-thermal\n"
    pi_files["sys/class/thermal/thermal_zone1/temp"] = "61000\n"
    assert health_snapshot((0,), at(board(pi_files))).temperature_celsius == 61
