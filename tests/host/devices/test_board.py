"""What an enrolment finds out about a board, from what its plain commands say."""

import pytest

from hytnas_agent.device.identity import device_id_of
from hytnas_host.devices.board import UNKNOWN, read_board
from hytnas_host.devices.enrolment import default_name
from hytnas_host.devices.errors import DeviceError
from hytnas_host.devices.ssh import Completed

PI = {
    "cat /proc/device-tree/model": "Raspberry Pi 3 Model B Rev 1.2\0",
    "cat /proc/device-tree/serial-number": "00000000a1b2c3d4\0",
    "cat /proc/cpuinfo": "processor\t: 0\n\nModel\t\t: Raspberry Pi 3 Model B Rev 1.2\n",
    "cat /etc/machine-id": "0123456789abcdef0123456789abcdef\n",
    "cat /etc/os-release": 'ID=debian\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
    "uname -m": "aarch64\n",
    "getconf LONG_BIT": "64\n",
    "python3 --version": "Python 3.11.2\n",
}


class Shell:
    """Answers as a board with these files and programs; everything else fails."""

    def __init__(self, says: dict[str, str]) -> None:
        self._says = says

    def run(self, argv, *, limit_bytes: int) -> Completed:
        assert limit_bytes <= 1 << 20
        said = self._says.get(" ".join(argv))
        return Completed(1, b"", b"no\n") if said is None else Completed(0, said.encode(), b"")


def without(*commands: str, **changed: str) -> dict[str, str]:
    return {command: said for command, said in PI.items() if command not in commands} | changed


def test_a_pi_is_told_whole():
    facts = read_board(Shell(PI))
    assert facts.board == "Raspberry Pi 3 Model B Rev 1.2"
    assert facts.system == "Debian GNU/Linux 12 (bookworm)"
    assert (facts.architecture, facts.bits, facts.python) == ("aarch64", 64, "3.11.2")
    assert facts.device_id == device_id_of("00000000a1b2c3d4")
    facts.check_supported()
    assert facts.warnings() == []


def test_identity_is_the_one_its_agent_will_go_by():
    machine = device_id_of("0123456789abcdef0123456789abcdef")
    assert read_board(Shell(without("cat /proc/device-tree/serial-number"))).device_id == machine
    unset = PI | {"cat /proc/device-tree/serial-number": "0" * 16 + "\0"}
    assert read_board(Shell(unset)).device_id == machine


def test_what_does_not_answer_is_unknown():
    facts = read_board(Shell({}))
    assert (facts.board, facts.system, facts.architecture, facts.python) == (UNKNOWN,) * 4
    assert (facts.bits, facts.device_id) == (None, None)
    facts.check_supported()
    assert len(facts.warnings()) == 2


def test_model_is_found_where_there_is_no_device_tree():
    assert read_board(Shell(without("cat /proc/device-tree/model"))).board.startswith("Raspberry Pi 3")


@pytest.mark.parametrize(
    "system",
    [
        PI | {"getconf LONG_BIT": "32\n"},  # a 64-bit kernel under a 32-bit Raspberry Pi OS
        without("getconf LONG_BIT") | {"uname -m": "armv7l\n"},
    ],
)
def test_32_bit_system_is_refused_with_the_reason(system):
    with pytest.raises(DeviceError, match=r"32-bit.*no wheels of numpy.*64-bit Raspberry Pi OS"):
        read_board(Shell(system)).check_supported()


@pytest.mark.parametrize(("python", "warned"), [("3.11.2", 0), ("3.13.5", 0), ("3.9.2", 1), ("3.12.1", 1)])
def test_python_that_was_not_tested_is_warned_of(python, warned):
    facts = read_board(Shell(PI | {"python3 --version": f"Python {python}\n"}))
    assert len(facts.warnings()) == warned


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("raspberrypi.local", "raspberrypi"),
        ("Shelf_3", "shelf_3"),
        ("192.168.1.20", "192.168.1.20"),
        ("fe80::1%eth0", "fe80-1-eth0"),
        ("___", "board"),
    ],
)
def test_device_is_called_after_its_host(host, name):
    assert default_name(host) == name
