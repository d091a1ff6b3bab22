import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hytnas_agent.device import core_watch
from hytnas_agent.device.core_watch import CoreWatch, watch_core
from hytnas_agent.device.doctor import MIN_WATCHED, check_core_speed, check_runtimes, examine
from hytnas_agent.device.identity import EXECUTION_VARIABLE
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
    "core speed",
    "steal time",
)
UNUSABLE = RuntimeInfo("onnxruntime", "", "", ("onnx",), usable=False, reason="dies of SIGILL on this device")
CALM = CoreWatch((100.0, 100.0, 100.0, 104.0) * 250)


def checks(sources: Sources, tmp_path: Path, watched: CoreWatch = CALM) -> dict[str, Check]:
    found = examine(
        StateFolder(tmp_path), [USABLE], sources, cores=(0,), sleep=lambda _: None, watch=lambda _: watched
    ).checks
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
    found = checks(Sources.at(board({})), tmp_path, CoreWatch(reason="no such core"))
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
        found = examine(
            state, (), Sources.at(board({})), cores=allowed, sleep=lambda _: None, watch=lambda _: CALM
        ).checks
        return next(check for check in found if check.name == "cores")

    assert (cores(0, 1, 2, 3).status, cores(0).status) == ("ok", "warn")
    assert "4 cores, the last one (core 3)" in cores(0, 1, 2, 3).found


def test_who_works_on_the_measuring_core_is_named(board, pi_files, tmp_path: Path) -> None:
    root = board(pi_files | {"proc/77/stat": f"77 (kworker (x)) R {'0 ' * 10}100 20 0"})

    def half_a_second_of_work(_: float) -> None:
        board({"proc/77/stat": f"77 (kworker (x)) R {'0 ' * 10}140 20 0"})
        board({"proc/stat": pi_files["proc/stat"].replace("cpu0 100", "cpu0 9999")})

    found = examine(
        StateFolder(tmp_path),
        [USABLE],
        Sources.at(root),
        cores=(0,),
        sleep=half_a_second_of_work,
        watch=lambda _: CALM,
    ).checks
    check = next(check for check in found if check.name == "other processes")
    assert check.status == "warn"
    assert "core 0 is 100% busy; at work: kworker (x) (77)" in check.found


@pytest.mark.parametrize(
    ("durations_us", "status", "found"),
    [
        pytest.param(CALM.durations_us, "ok", "within 4% of its best", id="calm"),
        pytest.param((100.0,) * 90 + (131.0,) * 10, "ok", "within 0% of its best", id="a tenth is no more"),
        pytest.param((50.0,) + (100.0,) * 99, "ok", "within 0% of its best", id="a lucky one"),
        pytest.param((100.0,) * 999 + (1e5,), "ok", "within 0% of its best", id="one waits for a process"),
        pytest.param((100.0,) * 89 + (131.0,) * 11, "warn", "31% slower than at best for 11%", id="barely"),
        pytest.param((131.0,) * 38 + (100.0,) * 62, "warn", "31% slower than at best for 38%", id="shared"),
        pytest.param((100.0,) * (MIN_WATCHED - 1), "unknown", "49 times in a second, 50 are", id="too few"),
        pytest.param((), "unknown", "0 times in a second", id="none"),
    ],
)
def test_a_core_that_somebody_shares_is_told_by_its_speed(
    durations_us: tuple[float, ...], status: str, found: str
) -> None:
    check = check_core_speed(1, CoreWatch(durations_us))
    assert check.status == status
    assert found in check.found
    assert ("another virtual machine on the same physical core" in check.advice) == (status == "warn")


def test_what_is_said_of_the_cores_speed_names_the_core() -> None:
    shared = CoreWatch((100.0,) * 62 + (131.0,) * 38)
    assert check_core_speed(1, shared).found == "core 1 was 31% slower than at best for 38% of a second"
    assert check_core_speed(3, CALM).found.startswith("core 3 keeps its speed: within 4% of its best")
    unknown = Check("core speed", "unknown", "no such core")
    assert check_core_speed(1, CoreWatch(reason="no such core")) == unknown


def test_work_that_tells_the_speed_is_nobody_elses(board, pi_files, tmp_path: Path) -> None:
    root = board(pi_files)
    watched = []

    def watch(core: int) -> CoreWatch:
        watched.append(core)
        board({"proc/stat": pi_files["proc/stat"].replace("cpu0 100", "cpu0 9999")})
        return CALM

    found = examine(
        StateFolder(tmp_path), [USABLE], Sources.at(root), cores=(0,), sleep=lambda _: None, watch=watch
    ).checks
    assert watched == [0]
    assert next(check for check in found if check.name == "other processes").status == "ok"
    names = [check.name for check in found]
    place = names.index("core speed")
    assert (names[place - 1], names[place + 1]) == ("other processes", "steal time")


def test_an_emulated_speed_is_not_looked_at(board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(EXECUTION_VARIABLE, "emulated")
    check = checks(Sources.at(board({})), tmp_path)["core speed"]
    assert (check.status, check.found) == ("unknown", "emulated: a speed says nothing")


def test_a_core_of_this_machine_is_watched() -> None:
    found = watch_core(max(os.sched_getaffinity(0)))
    assert found.reason == ""
    assert len(found.durations_us) >= MIN_WATCHED


@pytest.fixture
def python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts a shell script in the place of this Python."""

    def put(script: str) -> None:
        path = tmp_path / "python"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o700)
        monkeypatch.setattr(sys, "executable", str(path))

    return put


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("exec sleep 60", "gave no answer within 0.2 s"),
        ("kill -KILL $$", "dies of SIGKILL on this device"),
        ("echo Traceback >&2; echo 'OSError: no such core' >&2; exit 1", "OSError: no such core"),
        ("exit 3", "left with status 3"),
        ("echo nonsense", "gave an answer that is malformed"),
        ("echo '{\"durations_us\": [100.0, 0.0]}'", "gave an answer that is malformed"),
    ],
)
def test_a_core_that_cannot_be_watched_is_unknown(
    python: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, *, script: str, reason: str
) -> None:
    if "sleep" in script:
        monkeypatch.setattr(core_watch, "TIMEOUT_S", 0.2)
    python(script)
    found = watch_core(0)
    assert found.durations_us == ()
    assert found.reason.startswith(reason)
    assert check_core_speed(0, found).status == "unknown"


def test_without_a_python_the_speed_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    assert watch_core(0).reason.startswith("/nonexistent/python cannot be started: No such file")


def test_an_answer_without_end_is_not_read_to_its_end(
    python: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core_watch, "MAX_OUTPUT_BYTES", 20)
    python("echo '{\"durations_us\": [100.0, 100.0, 100.0]}'")
    assert watch_core(0).reason.startswith("gave an answer that is malformed")


CGROUP = "proc/self/cgroup"
V2, V1 = "sys/fs/cgroup/user.slice/mine", "sys/fs/cgroup/cpu,cpuacct/docker/1f"


@pytest.mark.parametrize(
    ("files", "name", "found"),
    [
        ({CGROUP: "0::/user.slice/mine", f"{V2}/cpu.max": "50000 100000"}, "processor quota", "of 0.5 of 1"),
        ({CGROUP: "0::/user.slice/mine", "sys/fs/cgroup/user.slice/cpu.max": "20000 100000"},
         "processor quota", "of 0.2 of 1"),
        ({CGROUP: "2:cpu,cpuacct:/docker/1f", f"{V1}/cpu.cfs_quota_us": "25000",
          f"{V1}/cpu.cfs_period_us": "100000"}, "processor quota", "of 0.25 of 1"),
        ({CGROUP: "0::/not/of/this/container", "sys/fs/cgroup/cpu.max": "50000 100000"},
         "processor quota", "of 0.5 of 1"),
        ({CGROUP: "0::/user.slice/mine", f"{V2}/memory.max": "200000000",
          f"{V2}/memory.current": "190000000", f"{V2}/memory.stat": "anon 7\ninactive_file 90000000"},
         "memory", "95 MiB left to this control group"),
        ({CGROUP: "4:memory:/box", "sys/fs/cgroup/memory/box/memory.limit_in_bytes": "200000000",
          "sys/fs/cgroup/memory/box/memory.usage_in_bytes": "150000000"}, "memory", "47 MiB left"),
    ],
)  # fmt: skip
def test_what_control_groups_leave_is_what_there_is(
    pi, pi_files, tmp_path: Path, *, files, name, found
) -> None:
    check = checks(pi(pi_files | files), tmp_path)[name]
    assert check.status == "warn"
    assert found in check.found
    assert check.advice


def test_a_slow_core_under_a_quota_is_blamed_on_the_quota(pi, pi_files, tmp_path: Path) -> None:
    files = pi_files | {CGROUP: "0::/", "sys/fs/cgroup/cpu.max": "50000 100000"}
    stopped = CoreWatch((100.0, 100.0, 100.0, 900.0) * 250)
    check = checks(pi(files), tmp_path, stopped)["core speed"]
    assert (check.status, check.advice) == ("warn", "The processor quota of this control group does that")


def test_limits_of_the_login_are_named(pi, pi_files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda limit: (60, 60 if limit == resource.RLIMIT_CPU else -1))
    check = checks(pi(pi_files), tmp_path)["limits"]
    assert (check.status, check.found) == ("warn", "seconds of processor time (-t): 60")
