"""What a board is made of, found with plain commands over SSH: there is no agent on it yet."""

import re
from dataclasses import dataclass

from hytnas_agent.device.identity import device_id_of, first_serial
from hytnas_host.devices.errors import DeviceError
from hytnas_host.devices.ssh import SshClient

UNKNOWN = "UNKNOWN"
TESTED_PYTHONS = ("3.11", "3.13")
_FILE_BYTES = 64 * 1024
_BLANKS = "\0 \t\r\n"


@dataclass(frozen=True)
class FoundBoard:
    """What an enrolment records; what does not answer is ``UNKNOWN``, or None.

    Attributes
    ----------
    board : str
        E.g. ``Raspberry Pi 3 Model B Rev 1.2``.
    system : str
        E.g. ``Debian GNU/Linux 12 (bookworm)``.
    architecture : str
        As ``uname -m`` says, which is the kernel's.
    bits : int or None
        Of the programs, which may be fewer than the kernel's.
    python : str
    device_id : str or None
        The hash of the serial number, else of the machine id, that the board's agent will go by.
    """

    board: str
    system: str
    architecture: str
    bits: int | None
    python: str
    device_id: str | None

    def check_supported(self) -> None:
        """Raise DeviceError where the agent could not be installed on the board."""
        if self.bits == 32:
            raise DeviceError(*refusal_32_bit(self.board, self.architecture))

    def warnings(self) -> list[str]:
        """What may stand in the way later, each with what to do."""
        found = []
        if self.python == UNKNOWN:
            found.append("no python3 was found on it: install Python 3.11 or 3.13 before provisioning")
        elif ".".join(self.python.split(".")[:2]) not in TESTED_PYTHONS:
            tested = " and ".join(TESTED_PYTHONS)
            found.append(f"its Python is {self.python}; provisioning is tested with {tested}")
        if self.device_id is None:
            found.append("it has neither serial number nor machine id: its agent will make an identity up")
        return found


def refusal_32_bit(name: str, machine: str) -> tuple[str, str]:
    """What is wrong with a 32-bit system, which may well run on a 64-bit kernel, and what to do about it."""
    kernel = f"its kernel says {machine}, but its programs are 32-bit" if machine == "aarch64" else machine
    return (
        f"{name} runs a 32-bit system ({kernel}): there are no wheels of numpy and msgspec for it",
        "Write the 64-bit Raspberry Pi OS (Lite) to its SD card: every Raspberry Pi 3 and later runs it",
    )


def read_board(client: SshClient) -> FoundBoard:
    """Ask the board; raises DeviceError where SSH fails."""
    model = (
        _device_tree(client, "model")
        or _field(client, "/proc/cpuinfo", "Model", ":")
        or _text(client, "/sys/class/dmi/id/product_name")
    )
    serial = first_serial(_device_tree(client, "serial-number"), _text(client, "/etc/machine-id"))
    architecture = _said(client, "uname", "-m") or UNKNOWN
    return FoundBoard(
        board=model or UNKNOWN,
        system=_field(client, "/etc/os-release", "PRETTY_NAME", "=") or UNKNOWN,
        architecture=architecture,
        bits=_bits(client, architecture),
        python=(_said(client, "python3", "--version") or UNKNOWN).removeprefix("Python "),
        device_id=None if serial is None else device_id_of(serial),
    )


def _bits(client: SshClient, architecture: str) -> int | None:
    said = _said(client, "getconf", "LONG_BIT")
    if said in ("32", "64"):
        return int(said)
    return 32 if re.fullmatch(r"armv[5-8]l|i.86", architecture) else None


def _said(client: SshClient, *argv: str) -> str | None:
    """The output of a program that ended well, in one line."""
    done = client.run(argv, limit_bytes=_FILE_BYTES)
    return " ".join(done.text.split()) or None if done.status == 0 else None


def _text(client: SshClient, path: str) -> str | None:
    done = client.run(["cat", path], limit_bytes=_FILE_BYTES)
    return done.stdout.decode(errors="replace").strip(_BLANKS) or None if done.status == 0 else None


def _device_tree(client: SshClient, name: str) -> str | None:
    """As the agent reads it, so that both find the same identity."""
    return _text(client, f"/proc/device-tree/{name}") or _text(
        client, f"/sys/firmware/devicetree/base/{name}"
    )


def _field(client: SshClient, path: str, key: str, separator: str) -> str | None:
    for line in (_text(client, path) or "").splitlines():
        name, found, value = line.partition(separator)
        if found and name.strip() == key:
            return value.strip(_BLANKS + '"') or None
    return None
