"""A hog ends with its owner, however that ends. Waiting is bounded by the test's own timeout."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from noise.hog import Hog, HogPlan, client_of

BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"
CORE = max(os.sched_getaffinity(0))
OWNER = """
import sys, time
from noise.hog import Hog, HogPlan
hog = Hog(HogPlan(int(sys.argv[1]), idle_s=float(sys.argv[2])))
print(hog._connection._process.pid, flush=True)
{ending}
"""


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def wait_for_end(pid: int) -> None:
    while is_running(pid):
        time.sleep(0.02)


def start_owner(ending: str, idle_s: float) -> tuple[subprocess.Popen[str], int]:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER.format(ending=ending), str(CORE), str(idle_s)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | {"PYTHONPATH": str(BENCHMARKS)},
    )
    assert owner.stdout is not None
    return owner, int(owner.stdout.readline())


@pytest.mark.parametrize("idle_s", [0.0, 1000.0], ids=["busy", "idle"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_hog_dies_with_its_owner(number: signal.Signals, idle_s: float) -> None:
    owner, hog = start_owner("time.sleep(1000)", idle_s)
    with owner:
        assert is_running(hog)
        owner.send_signal(number)
        wait_for_end(hog)


@pytest.mark.parametrize("ending", ["raise SystemExit(3)", "1 / 0", "pass", "import os; os.abort()"])
def test_a_hog_dies_when_its_owner_ends_by_itself(ending: str) -> None:
    owner, hog = start_owner(ending, 0.0)
    with owner:
        wait_for_end(hog)


def test_leaving_it_ends_it() -> None:
    with Hog(HogPlan(CORE)) as hog:
        pid = hog._connection._process.pid  # type: ignore[attr-defined]
        assert is_running(pid)
    assert not is_running(pid)


def test_it_says_how_long_it_was_busy() -> None:
    with Hog(HogPlan(CORE)) as hog:
        while not cpu_s(hog._connection._process.pid) > 0.1:  # type: ignore[attr-defined]
            time.sleep(0.02)
        busy_s, passed_s = hog.held()
        assert 0.05 <= busy_s <= passed_s + 0.1
        assert hog.life_s >= passed_s
        assert hog.held()[1] < hog.life_s, "it says what passed since it was last asked"


@pytest.mark.parametrize("idle_s", [0.0, 1000.0], ids=["busy", "idle"])
def test_it_answers_and_goes_on(idle_s: float) -> None:
    with Hog(HogPlan(CORE, idle_s=idle_s)) as hog:
        pid = hog._connection._process.pid  # type: ignore[attr-defined]
        spoken = [hog.life_s]
        for _ in range(3):
            hog.held()
            spoken.append(hog.life_s)
        assert is_running(pid)
    assert spoken == sorted(set(spoken))


def test_one_that_ended_early_is_said() -> None:
    with Hog(HogPlan(CORE)) as hog:
        os.kill(hog._connection._process.pid, signal.SIGKILL)  # type: ignore[attr-defined]
        with pytest.raises(SystemExit, match="ended early"):
            hog.held()


def test_one_whose_life_is_over_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("noise.hog.LIFE_S", 0.1)
    with Hog(HogPlan(CORE, idle_s=1000.0)) as hog:
        while is_running(hog._connection._process.pid):  # type: ignore[attr-defined]
            time.sleep(0.02)
        with pytest.raises(SystemExit, match="ended early"):
            hog.held()


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_core_that_is_not_there_is_said() -> None:
    with pytest.raises(SystemExit, match="nothing can be run on core 4095"):
        Hog(HogPlan(4095))


def test_only_what_can_be_reached_is_disturbed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HYTNAS_DEVICES", str(tmp_path / "devices.toml"))
    assert client_of("local") is None
    with pytest.raises(SystemExit, match="nothing can be disturbed on 'icount'"):
        client_of("icount")
