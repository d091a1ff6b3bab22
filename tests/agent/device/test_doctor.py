import sys
from pathlib import Path

import pytest

from hytnas_agent.device.doctor import check_runtimes, examine
from hytnas_agent.device.sources import Sources
from hytnas_agent.paths import StateFolder
from hytnas_agent.protocol import Check, RuntimeInfo
from hytnas_agent.runtimes.probe import try_here

USABLE = RuntimeInfo("onnxruntime", "1.31.1", "Release", ("onnx",), usable=True)
HEALTH = (
    "governor",
    "clock",
    "throttling",
    "temperature",
    "memory",
    "swap",
    "load",
    "other processes",
    "steal time",
)
UNUSABLE = RuntimeInfo("onnxruntime", "", "", ("onnx",), usable=False, reason="dies of SIGILL on this device")


def checks(sources: Sources, tmp_path: Path) -> dict[str, Check]:
    found = examine(StateFolder(tmp_path), [USABLE], sources, cores=(0,), sleep=lambda _: None).checks
    return {check.name: check for check in found}


def test_a_healthy_pi_has_nothing_to_worry_about(pi, pi_files, tmp_path: Path) -> None:
    found = checks(pi(pi_files), tmp_path)
    for name in HEALTH:
        assert found[name].status == "ok", found[name]


@pytest.mark.parametrize(
    ("file", "text", "expected"),
    [
        ("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "ondemand", ("governor", "warn")),
        ("sys/devices/system/cpu/cpu0/cpufreq/scaling_max_freq", "600000", ("clock", "warn")),
        ("sys/class/hwmon/hwmon1/in0_lcrit_alarm", "1", ("throttling", "fail")),
        ("sys/class/thermal/thermal_zone0/temp", "81000", ("temperature", "warn")),
        ("proc/meminfo", "MemAvailable: 1000 kB", ("memory", "warn")),
        ("proc/meminfo", "SwapTotal: 5000 kB\nSwapFree: 100 kB", ("swap", "warn")),
        ("proc/loadavg", "3.50 1 1 1/1 1", ("load", "warn")),
        ("proc/stat", "cpu 100 0 0 100 0 0 0 50", ("steal time", "warn")),
    ],
)
def test_each_trouble_is_found_with_advice(
    pi, pi_files, tmp_path: Path, *, file: str, text: str, expected: tuple[str, str]
) -> None:
    name, status = expected
    found = checks(pi(pi_files | {file: text}), tmp_path)[name]
    assert found.status == status
    assert found.advice


@pytest.mark.parametrize(
    ("bits", "status", "found"),
    [
        ("0x50005", "fail", "now: under voltage, throttled (bits 0x50005)"),
        ("0x50000", "warn", "earlier: under voltage, throttled (bits 0x50000)"),
        ("error", "unknown", "the firmware does not answer to vcgencmd get_throttled"),
    ],
)
def test_throttling_is_what_the_firmware_says(
    pi, pi_files, tmp_path: Path, *, bits: str, status: str, found: str
) -> None:
    check = checks(pi(pi_files, bits), tmp_path)["throttling"]
    assert (check.status, check.found) == (status, found)
    assert check.advice


def test_what_cannot_be_seen_is_unknown_and_never_ok(board, tmp_path: Path) -> None:
    found = checks(Sources.at(board({})), tmp_path)
    for name in HEALTH:
        assert found[name].status == "unknown", found[name]


def test_without_a_usable_runtime_nothing_can_be_measured() -> None:
    (check,) = check_runtimes([UNUSABLE])
    assert (check.status, check.found) == ("fail", "dies of SIGILL on this device")
    assert "pip install 'hytnas[onnx]'" in check.advice


def test_a_runtime_that_nobody_needs_is_not_missed() -> None:
    newer = RuntimeInfo("ai-edge-litert", "2.1.6", "", ("tflite",), usable=True)
    absent = RuntimeInfo("tflite-runtime", "", "", ("tflite",), usable=False, reason="not installed")
    broken = RuntimeInfo("tflite-runtime", "2.14.0", "", ("tflite",), usable=False, reason="wants numpy 1")
    assert [check.status for check in check_runtimes([newer, absent])] == ["ok"]
    assert [check.status for check in check_runtimes([newer, broken])] == ["ok", "warn"]
    assert [check.status for check in check_runtimes([USABLE, absent])] == ["ok", "warn"]


def test_how_to_install_a_runtime_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hytnas_agent.runtimes.onnx", None)
    (check,) = check_runtimes([try_here("onnxruntime")])
    assert "it comes with hytnas[onnx]" in check.found
    assert "pip" not in check.found


def test_examining_changes_nothing(board, pi_files, tmp_path: Path) -> None:
    root = board(pi_files)
    before = {path: path.read_text() for path in root.rglob("*") if path.is_file()}
    assert checks(Sources.at(root), tmp_path)["governor"].status == "ok"
    assert {path: path.read_text() for path in root.rglob("*") if path.is_file()} == before


def test_the_servers_own_affinity_does_not_count(board, tmp_path: Path) -> None:
    state = StateFolder(tmp_path / "state").create()

    def cores(*allowed: int) -> Check:
        found = examine(state, (), Sources.at(board({})), cores=allowed, sleep=lambda _: None).checks
        return next(check for check in found if check.name == "cores")

    assert (cores(0, 1, 2, 3).status, cores(0).status) == ("ok", "warn")
    assert "4 cores, the last one (core 3)" in cores(0, 1, 2, 3).found


def test_who_works_on_the_measuring_core_is_named(board, pi_files, tmp_path: Path) -> None:
    root = board(pi_files | {"proc/77/stat": f"77 (kworker (x)) R {'0 ' * 10}100 20 0"})

    def half_a_second_of_work(_: float) -> None:
        board({"proc/77/stat": f"77 (kworker (x)) R {'0 ' * 10}140 20 0"})
        board({"proc/stat": pi_files["proc/stat"].replace("cpu0 100", "cpu0 9999")})

    found = examine(
        StateFolder(tmp_path), [USABLE], Sources.at(root), cores=(0,), sleep=half_a_second_of_work
    ).checks
    check = next(check for check in found if check.name == "other processes")
    assert check.status == "warn"
    assert "core 0 is 100% busy; at work: kworker (x) (77)" in check.found
