"""The stand-ins for a Raspberry Pi are what the tests of provisioning and collecting take them for."""

import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from .board import Board, ChrootBoard, FullBoard

CPUINFO = "cat /proc/cpuinfo"
A53 = "CPU part\t: 0xd03"


def said(board: Board, command: str) -> str:
    return board.ssh(command, check=True).stdout.strip()


def check_is_a_pi(board: Board) -> None:
    assert said(board, "id -un") == "pi"
    assert said(board, "sudo -n id -un") == "root"
    assert said(board, "uname -m") == "aarch64"
    assert said(board, CPUINFO).count(A53) == 4
    assert said(board, "python3 --version").startswith("Python 3.11.")
    assert said(board, "python3 -c 'import venv, ensurepip, ctypes, sqlite3; print(1)'") == "1"
    assert said(board, "echo $HYTNAS_AGENT_EXECUTION") == "emulated"
    assert "libgomp.so.1" in said(board, "/sbin/ldconfig -p")


def check_keeps_files(board: Board, restart: Callable[[], None]) -> None:
    board.ssh("nohup sleep 10000 >/dev/null 2>&1 & echo kept > kept; sync", check=True)
    assert board.ssh("pgrep -x sleep").returncode == 0
    restart()
    assert said(board, "cat kept") == "kept"
    assert board.ssh("pgrep -x sleep").returncode == 1


@pytest.mark.board
class TestChroot:
    def test_looks_like_a_raspberry_pi(self, chroot_board: ChrootBoard) -> None:
        check_is_a_pi(chroot_board)
        tree = "/sys/firmware/devicetree/base"
        assert "Raspberry Pi 3 Model B" in said(chroot_board, f"cat {tree}/model")
        assert chroot_board.serial in said(chroot_board, f"cat {tree}/serial-number")

    def test_knows_nobody_else_s_processes(self, chroot_board: ChrootBoard) -> None:
        assert said(chroot_board, "pgrep -x chroot-init.sh || echo 1").splitlines()[0] == "1"
        assert len(said(chroot_board, "ps -e --no-headers").splitlines()) < 20

    def test_two_are_distinct(self, make_chroot_board: Callable[[str], ChrootBoard]) -> None:
        one, two = make_chroot_board("one"), make_chroot_board("two")
        one.ssh("echo one > mine", check=True)
        assert two.ssh("cat mine").returncode != 0
        for command in ("hostname", "cat /etc/machine-id", "grep Serial /proc/cpuinfo"):
            assert said(one, command) != said(two, command)
        assert one.host_key != two.host_key
        assert one.port != two.port

    def test_is_as_good_as_new_each_time(self) -> None:
        with ChrootBoard() as board:
            board.ssh("touch /home/pi/dirt; sudo touch /etc/dirt", check=True)
            folder = board.folder
        assert not folder.exists()
        with ChrootBoard() as board:
            assert said(board, "ls -A /home/pi/dirt /etc/dirt 2>/dev/null | wc -l") == "0"

    def test_a_power_cut_ends_processes_and_keeps_files(self, chroot_board: ChrootBoard) -> None:
        check_keeps_files(chroot_board, chroot_board.power_cut)

    def test_nothing_of_it_outlives_killed_tests(self) -> None:
        script = """
            import sys
            from tests.system.board import ChrootBoard
            board = ChrootBoard()
            board.start()
            board.ssh("nohup sleep 98765 >/dev/null 2>&1 &", check=True)
            print(board.folder, flush=True)
            sys.stdin.read()
        """
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(script)],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        with process:
            assert process.stdout is not None
            folder = Path(process.stdout.readline().strip())
            assert processes_of(folder)
            process.send_signal(signal.SIGKILL)
        wait_until_gone(folder)
        with ChrootBoard():
            assert not folder.exists()


def processes_of(folder: Path) -> list[str]:
    found = subprocess.run(["pgrep", "-f", str(folder)], capture_output=True, text=True, check=False)
    return found.stdout.split()


def wait_until_gone(folder: Path) -> None:
    import time

    deadline = time.monotonic() + 60
    while processes_of(folder):
        assert time.monotonic() < deadline, f"still there: {processes_of(folder)}"
        time.sleep(0.1)


@pytest.mark.board_full
class TestFull:
    def test_is_a_raspberry_pi(self, full_board: FullBoard) -> None:
        check_is_a_pi(full_board)
        assert said(full_board, "cat /proc/device-tree/model").startswith("Raspberry Pi 3 Model B")
        assert said(full_board, "nproc") == "4"
        assert said(full_board, "cat /etc/machine-id") == full_board.machine_id

    def test_runs_units_of_the_user_who_is_not_logged_in(self, full_board: FullBoard) -> None:
        full_board.ssh("sudo loginctl enable-linger pi", check=True)
        unit = "systemd-run --user --wait --pipe --quiet printenv HYTNAS_AGENT_EXECUTION"
        assert said(full_board, unit) == "emulated"

    def test_a_reboot_ends_processes_and_keeps_files(self, full_board: FullBoard) -> None:
        check_keeps_files(full_board, full_board.reboot)

    def test_a_power_cut_ends_processes_and_keeps_files(self, full_board: FullBoard) -> None:
        check_keeps_files(full_board, full_board.power_cut)
