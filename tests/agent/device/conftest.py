import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hytnas_agent.device.sources import Sources

TREES = Path(__file__).parent / "trees"
CORES = (3,)
"""Those that measure on a board of ``TREES``."""


def read_tree(name: str) -> tuple[dict[str, str], dict[str, str]]:
    """The files of a board in a certain state, and the answers of its firmware."""
    described: dict[str, Any] = tomllib.loads((TREES / f"{name}.toml").read_text())
    files, answers = read_tree(described["like"]) if "like" in described else ({}, {})
    files |= described.get("files", {})
    if described.get("vcgencmd") is False:
        return {path: text for path, text in files.items() if text is not False}, {}
    return files, answers | described.get("vcgencmd", {})


@pytest.fixture
def tree(tmp_path: Path) -> Callable[[str], Sources]:
    """Makes a board of ``TREES``, apart from any other of the test."""

    def make(name: str) -> Sources:
        files, answers = read_tree(name)
        root = tmp_path / name
        for place, text in files.items():
            path = root / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return Sources(root, answers.get)

    return make


@pytest.fixture
def board(tmp_path: Path) -> Callable[[dict[str, str]], Path]:
    """Makes a folder that stands for / of a device, from paths and their texts."""

    def make(files: dict[str, str]) -> Path:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return make


@pytest.fixture
def pi(board) -> Callable[..., Sources]:
    """Makes a Raspberry Pi of these files whose firmware answers with these bits."""

    def make(files: dict[str, str], bits: str = "0x0") -> Sources:
        return Sources(board(files), {"get_throttled": f"throttled={bits}"}.get)

    return make


CPUFREQ = "sys/devices/system/cpu/cpu0/cpufreq"


@pytest.fixture
def pi_files() -> dict[str, str]:
    """What a healthy Raspberry Pi 3 shows."""
    return {
        "proc/device-tree/model": "Raspberry Pi 3 Model B Rev 1.2\0",
        "proc/device-tree/compatible": "raspberrypi,3-model-b\0brcm,bcm2837\0",
        "proc/device-tree/serial-number": "00000000a1b2c3d4\0",
        "proc/cpuinfo": "processor\t: 0\nFeatures\t: fp asimd crc32\nCPU part\t: 0xd03\n",
        "proc/meminfo": "MemTotal: 948000 kB\nMemAvailable: 700000 kB\nSwapTotal: 100 kB\nSwapFree: 100 kB\n",
        "proc/loadavg": "0.05 0.10 0.09 1/120 999\n",
        "proc/stat": "cpu  100 0 50 800 10 0 5 3 0 0\ncpu0 100 0 50 800 10 0 5 3 0 0\n",
        "proc/vmstat": "nr_free_pages 1\npswpin 7\npswpout 5\n",
        "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
        "sys/class/thermal/thermal_zone0/temp": "48312\n",
        "sys/class/hwmon/hwmon1/name": "rpi_volt\n",
        "sys/class/hwmon/hwmon1/in0_lcrit_alarm": "0\n",
        f"{CPUFREQ}/scaling_cur_freq": "1200000\n",
        f"{CPUFREQ}/scaling_max_freq": "1200000\n",
        f"{CPUFREQ}/cpuinfo_max_freq": "1200000\n",
        "sys/class/thermal/cooling_device0/type": "fan\n",
        "sys/class/thermal/cooling_device0/cur_state": "1\n",
        "sys/class/thermal/cooling_device1/type": "cpufreq-cpu0\n",
        "sys/class/thermal/cooling_device1/cur_state": "0\n",
        f"{CPUFREQ}/scaling_governor": "performance\n",
        "etc/os-release": 'NAME="Debian"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
    }
