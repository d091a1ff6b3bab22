from hytnas_agent.device.health import health_snapshot
from hytnas_agent.device.sources import Sources

at = Sources.at


def test_a_pi_says_all(board, pi_files: dict[str, str]) -> None:
    health = health_snapshot((0,), at(board(pi_files)))
    assert health.throttled_bits == 0
    assert health.under_voltage_alarm is False
    assert health.temperature_celsius == 48.312
    assert health.clock_mhz == 1200
    assert health.governor == "performance"
    assert health.load_1min == 0.05
    assert health.swapped_pages == 12
    assert health.steal_ticks == 3
    assert health.temperature_limit_celsius == 80
    assert health.max_clock_mhz == 1200
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


def test_bits_are_hexadecimal(board, pi_files: dict[str, str]) -> None:
    pi_files["sys/devices/platform/soc/soc:firmware/get_throttled"] = "50005\n"
    pi_files["sys/class/hwmon/hwmon1/in0_lcrit_alarm"] = "1\n"
    health = health_snapshot((0,), at(board(pi_files)))
    assert health.throttled_bits == 0x50005
    assert health.under_voltage_alarm is True


def test_only_a_pi_is_asked_for_throttling(board, pi_files: dict[str, str]) -> None:
    pi_files["proc/device-tree/model"] = "Some Other Board"
    assert health_snapshot((0,), at(board(pi_files))).throttled_bits is None


def test_the_processors_zone_is_preferred(board, pi_files: dict[str, str]) -> None:
    pi_files["sys/class/thermal/thermal_zone0/type"] = "gpu\n"
    pi_files["sys/class/thermal/thermal_zone1/type"] = "cpu-thermal\n"
    pi_files["sys/class/thermal/thermal_zone1/temp"] = "61000\n"
    assert health_snapshot((0,), at(board(pi_files))).temperature_celsius == 61
