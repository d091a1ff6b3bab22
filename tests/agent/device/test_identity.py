import platform
import re
from pathlib import Path

import pytest

from hytnas_agent.device.identity import device_context, device_identity, own_serial, read_hardware
from hytnas_agent.device.sources import is_raspberry_pi
from hytnas_agent.errors import AgentError
from hytnas_agent.paths import StateFolder
from hytnas_agent.protocol import RuntimeInfo


@pytest.fixture(autouse=True)
def _no_declared_execution(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HYTNAS_AGENT_EXECUTION", raising=False)


def on_arm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")


def test_the_serial_makes_the_identity_and_is_not_in_it(board, pi_files, tmp_path: Path) -> None:
    state = StateFolder(tmp_path)
    first = device_identity(state, board(pi_files))
    assert first == device_identity(state, board(pi_files))
    assert re.fullmatch(r"[0-9a-f]{16}", first.device_id)
    assert "a1b2c3d4" not in first.device_id
    pi_files["proc/device-tree/serial-number"] = "00000000ffffffff\0"
    assert device_identity(state, board(pi_files)).device_id != first.device_id


def test_without_a_serial_it_is_the_machine_id(board, tmp_path: Path) -> None:
    state = StateFolder(tmp_path)
    first = device_identity(state, board({"etc/machine-id": "abc\n"}))
    unset = {"etc/machine-id": "abc\n", "proc/device-tree/serial-number": "0" * 16 + "\0"}
    assert device_identity(state, board(unset)) == first
    assert not state.identity.exists()


def test_without_either_one_is_made_and_kept(board, tmp_path: Path) -> None:
    state = StateFolder(tmp_path)
    first = device_identity(state, board({}))
    assert device_identity(state, board({})) == first
    state.identity.unlink()
    assert device_identity(state, board({})) != first
    assert [path.name for path in tmp_path.iterdir()] == ["identity"]


def test_a_pi_is_described(board, pi_files, monkeypatch: pytest.MonkeyPatch) -> None:
    on_arm(monkeypatch)
    hardware = read_hardware(board(pi_files))
    assert hardware.board == "Raspberry Pi 3 Model B Rev 1.2"
    assert hardware.soc == "brcm,bcm2837"
    assert hardware.memory_bytes == 948000 * 1024
    assert hardware.os == "Debian GNU/Linux 12 (bookworm)"
    assert hardware.cpu_features == ("fp", "asimd", "crc32")
    assert (hardware.execution, hardware.virtualisation) == ("native", "")


@pytest.mark.parametrize(
    "changed",
    [
        {"proc/device-tree/serial-number": "0000000000000000\0"},
        {"proc/device-tree/compatible": "linux,dummy-virt\0"},
        {"proc/cpuinfo": "vendor_id\t: GenuineIntel\nmodel name\t: Some x86\n"},
    ],
)
def test_an_emulated_board_gives_itself_away(
    board, pi_files, changed: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    on_arm(monkeypatch)
    assert read_hardware(board(pi_files | changed)).execution == "emulated"


def test_qemu_s_raspberry_pi_has_no_serial_number(board, pi_files, monkeypatch: pytest.MonkeyPatch) -> None:
    on_arm(monkeypatch)
    del pi_files["proc/device-tree/serial-number"]
    assert read_hardware(board(pi_files)).execution == "emulated"


def test_another_arm_board_without_a_serial_number_is_native(
    board, pi_files, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_arm(monkeypatch)
    del pi_files["proc/device-tree/serial-number"]
    pi_files["proc/device-tree/model"] = "Some Other Board\0"
    assert read_hardware(board(pi_files)).execution == "native"


@pytest.mark.parametrize(
    ("program", "execution"),
    [("/usr/bin/qemu-aarch64-static", "emulated"), ("/usr/bin/python3.11", "native")],
)
def test_qemu_user_is_seen_in_the_program_that_the_kernel_runs(
    board, pi_files, program: str, execution: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_arm(monkeypatch)
    root = board(pi_files)
    (root / "proc/thread-self").mkdir()
    (root / "proc/thread-self/exe").symlink_to(program)
    assert read_hardware(root).execution == execution


def test_the_device_tree_is_found_without_proc(board, pi_files, monkeypatch: pytest.MonkeyPatch) -> None:
    on_arm(monkeypatch)
    here, there = "proc/device-tree", "sys/firmware/devicetree/base"
    root = board({name.replace(here, there): text for name, text in pi_files.items()})
    hardware = read_hardware(root)
    assert (hardware.board, hardware.soc) == ("Raspberry Pi 3 Model B Rev 1.2", "brcm,bcm2837")
    assert hardware.execution == "native"
    assert own_serial(root) == "00000000a1b2c3d4"
    assert is_raspberry_pi(root)


def test_a_virtual_machine_on_x86_is_native_and_named(board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    files = {
        "proc/cpuinfo": "vendor_id\t: X\nmodel name\t: X 1\nflags\t: sse hypervisor\n",
        "sys/class/dmi/id/sys_vendor": "QEMU\n",
        "sys/class/dmi/id/product_name": "Standard PC\n",
    }
    hardware = read_hardware(board(files))
    assert (hardware.execution, hardware.virtualisation) == ("native", "virtual machine (QEMU)")
    assert (hardware.board, hardware.soc) == ("QEMU Standard PC", "X 1")


def test_a_board_that_nothing_names_is_called_by_its_processor(board) -> None:
    assert read_hardware(board({"proc/cpuinfo": "model name : Some CPU\n"})).board == "Some CPU machine"


def test_execution_may_be_declared(board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYTNAS_AGENT_EXECUTION", "simulated")
    assert read_hardware(board({})).execution == "simulated"


def test_an_unknown_declaration_is_refused(board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYTNAS_AGENT_EXECUTION", "imagined")
    with pytest.raises(AgentError, match="native, emulated, simulated"):
        read_hardware(board({"proc/cpuinfo": "imagined\t: yes\n"}))


def test_contexts_differ_by_what_a_label_depends_on(board, pi_files) -> None:
    hardware = read_hardware(board(pi_files))
    info = RuntimeInfo("onnxruntime", "1.31.1", "Release", ("onnx",), usable=True)
    one = device_context(hardware, info, 1)
    assert one.fingerprint() == device_context(hardware, info, 1).fingerprint()
    assert one.fingerprint() != device_context(hardware, info, 4).fingerprint()
    assert device_context(hardware, None, 1).runtime == "none"
