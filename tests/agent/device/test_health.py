from hytnas_agent.device.health import health_snapshot


def test_a_pi_says_all(board, pi_files: dict[str, str]) -> None:
    health = health_snapshot(0, board(pi_files))
    assert health.throttled_bits == 0
    assert health.under_voltage_alarm is False
    assert health.temperature_celsius == 48.312
    assert health.clock_mhz == 1200
    assert health.governor == "performance"
    assert health.load_1min == 0.05
    assert health.swapped_pages == 12
    assert health.steal_ticks == 3


def test_what_is_absent_is_unknown(board) -> None:
    health = health_snapshot(0, board({}))
    assert {name: getattr(health, name) for name in health.__struct_fields__ if name != "at_unix_s"} == {
        "throttled_bits": None,
        "under_voltage_alarm": None,
        "temperature_celsius": None,
        "clock_mhz": None,
        "governor": None,
        "load_1min": None,
        "swapped_pages": None,
        "steal_ticks": None,
    }


def test_what_is_nonsense_is_unknown(board, pi_files: dict[str, str]) -> None:
    nonsense = {name: "nonsense" for name in pi_files if "device-tree" not in name}
    health = health_snapshot(0, board(pi_files | nonsense))
    assert health.throttled_bits is None
    assert health.temperature_celsius is None
    assert health.clock_mhz is None
    assert health.load_1min is None


def test_bits_are_hexadecimal(board, pi_files: dict[str, str]) -> None:
    pi_files["sys/devices/platform/soc/soc:firmware/get_throttled"] = "50005\n"
    pi_files["sys/class/hwmon/hwmon1/in0_lcrit_alarm"] = "1\n"
    health = health_snapshot(0, board(pi_files))
    assert health.throttled_bits == 0x50005
    assert health.under_voltage_alarm is True


def test_only_a_pi_is_asked_for_throttling(board, pi_files: dict[str, str]) -> None:
    pi_files["proc/device-tree/model"] = "Some Other Board"
    assert health_snapshot(0, board(pi_files)).throttled_bits is None


def test_the_processors_zone_is_preferred(board, pi_files: dict[str, str]) -> None:
    pi_files["sys/class/thermal/thermal_zone0/type"] = "gpu\n"
    pi_files["sys/class/thermal/thermal_zone1/type"] = "cpu-thermal\n"
    pi_files["sys/class/thermal/thermal_zone1/temp"] = "61000\n"
    assert health_snapshot(0, board(pi_files)).temperature_celsius == 61
