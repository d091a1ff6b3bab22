"""Which board this is, and what a latency measured on it depends on."""

import hashlib
import os
import platform
import secrets
from functools import lru_cache
from pathlib import Path
from typing import get_args

import msgspec

from hytnas_agent.device.files import ROOT, meminfo_bytes, read_device_tree, read_fields, read_text
from hytnas_agent.device.hardware import Hardware
from hytnas_agent.device.probes.clock import governor
from hytnas_agent.device.sources import is_raspberry_pi
from hytnas_agent.errors import AgentError
from hytnas_agent.launcher import current_launcher
from hytnas_agent.paths import StateFolder
from hytnas_agent.protocol import RuntimeInfo
from hytnas_agent.records import DeviceContext, DeviceIdentity, Execution
from hytnas_agent.whole_file import written_once

EXECUTION_VARIABLE = "HYTNAS_AGENT_EXECUTION"
_UNSET_SERIALS = {"0" * 16, "None", "Default string", "To Be Filled By O.E.M."}


def device_identity(state: StateFolder, root: Path = ROOT) -> DeviceIdentity:
    """The device's identity: a hash of its serial number, else of its machine id, else a generated one.

    An emulated device has the serial number that its launcher declares.
    """
    serial = current_launcher().serial or own_serial(root) or _generated_identity(state)
    return DeviceIdentity(device_id_of(serial), platform.node())


def own_serial(root: Path = ROOT) -> str | None:
    """This device's serial number, else its machine id, if it has one of its own."""
    candidates = (read_device_tree("serial-number", root), read_text(root / "etc/machine-id"))
    return first_serial(*candidates)


def first_serial(*candidates: str | None) -> str | None:
    """The first that is a serial number, not what makers leave where there is none."""
    return next((serial for serial in candidates if serial and serial not in _UNSET_SERIALS), None)


def device_id_of(serial: str) -> str:
    """The name of the device with this serial number: a hash, which does not give the number away."""
    return hashlib.sha256(b"hytnas-device:" + serial.encode()).hexdigest()[:16]


def _generated_identity(state: StateFolder) -> str:
    return written_once(state.identity, secrets.token_hex(16), private=True)


def read_hardware(root: Path = ROOT) -> Hardware:
    """What the board is made of: as the launcher declares it, else from the device tree, DMI and /proc."""
    return current_launcher().hardware or _own_hardware(root)


@lru_cache(maxsize=4)
def _own_hardware(root: Path) -> Hardware:
    cpu = read_fields(root / "proc/cpuinfo")
    architecture = platform.machine()
    cpu_model = cpu.get("model name") or cpu.get("Model name") or _arm_core(cpu) or architecture
    return Hardware(
        board=_board(root) or f"{cpu_model} machine",
        soc=_soc(root) or cpu_model,
        architecture=architecture,
        cores=os.cpu_count() or 1,
        memory_bytes=meminfo_bytes("MemTotal", root) or 0,
        os=_operating_system(root),
        kernel=platform.release(),
        cpu_model=cpu_model,
        cpu_features=tuple((cpu.get("Features") or cpu.get("flags") or "").split()),
        virtualisation=_virtualisation(cpu, root),
        execution=_execution(cpu, architecture, root),
    )


def device_context(
    hardware: Hardware, runtime: RuntimeInfo | None, threads: int, precision: str = "fp32"
) -> DeviceContext:
    """The context of measuring models of this precision on this hardware, by this runtime and threads."""
    launcher = current_launcher()
    launcher.check_threads(threads)
    return DeviceContext(
        board=hardware.board,
        soc=hardware.soc,
        architecture=hardware.architecture,
        cores=hardware.cores,
        memory_bytes=hardware.memory_bytes,
        os=hardware.os,
        kernel=hardware.kernel,
        runtime=runtime.name if runtime else "none",
        runtime_version=runtime.version if runtime else "",
        runtime_build=runtime.build if runtime else "",
        threads=threads,
        governor="none" if launcher.hardware else governor() or "none",
        precision=precision,
        execution=hardware.execution,
    )


def _board(root: Path) -> str | None:
    model = read_device_tree("model", root)
    if model:
        return model
    dmi = root / "sys/class/dmi/id"
    parts = [read_text(dmi / "sys_vendor"), read_text(dmi / "product_name")]
    return " ".join(part for part in parts if part) or None


def _soc(root: Path) -> str | None:
    compatible = read_device_tree("compatible", root)
    return compatible.split("\0")[-1] if compatible else None


def _arm_core(cpu: dict[str, str]) -> str | None:
    if "CPU part" not in cpu:
        return None
    return f"ARM implementer {cpu.get('CPU implementer', '?')} part {cpu['CPU part']}"


def _operating_system(root: Path) -> str:
    for line in (read_text(root / "etc/os-release") or "").splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip('"')
    return platform.system()


def _virtualisation(cpu: dict[str, str], root: Path) -> str:
    compatible = read_device_tree("compatible", root) or ""
    if "linux,dummy-virt" in compatible:
        return "virtual machine (QEMU virt board)"
    if "hypervisor" in cpu.get("flags", "").split():
        product = read_text(root / "sys/class/dmi/id/sys_vendor")
        return f"virtual machine ({product})" if product else "virtual machine"
    return ""


def _execution(cpu: dict[str, str], architecture: str, root: Path) -> Execution:
    declared = os.environ.get(EXECUTION_VARIABLE)
    if declared:
        try:
            execution: Execution = msgspec.convert(declared, Execution)
        except msgspec.ValidationError as error:
            what = f"{EXECUTION_VARIABLE} is {declared!r}"
            raise AgentError(what, f"Set it to {', '.join(get_args(Execution))}, or unset it") from error
        return execution
    arm = architecture.startswith(("aarch64", "arm"))
    if _runs_in_qemu_user(root) or (arm and ("vendor_id" in cpu or _is_qemu_board(root))):
        return "emulated"
    return "native"


def _runs_in_qemu_user(root: Path) -> bool:
    """Whether the kernel runs QEMU in the place of this program, which QEMU hides in /proc/self only."""
    try:
        program = (root / "proc/thread-self/exe").readlink().name
    except OSError:
        return False
    return program.startswith("qemu-")


def _is_qemu_board(root: Path) -> bool:
    """Whether it is QEMU's own board, or its Raspberry Pi: a real one's firmware tells the serial number."""
    if "linux,dummy-virt" in (read_device_tree("compatible", root) or ""):
        return True
    serial = read_device_tree("serial-number", root)
    return set(serial) == {"0"} if serial else is_raspberry_pi(root)
