"""Where the probes read: the files of a device, and a Raspberry Pi's firmware. Tests pass made-up ones."""

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hytnas_agent.device.files import ROOT, read_device_tree

VCGENCMD = "/usr/bin/vcgencmd"
VCGENCMD_TIMEOUT_S = 5

Firmware = Callable[[str], str | None]


def vcgencmd(question: str) -> str | None:
    """What the firmware of a Raspberry Pi answers to a question such as ``measure_clock arm``, if it does.

    See https://www.raspberrypi.com/documentation/computers/os.html#vcgencmd.
    """
    try:
        run = subprocess.run(
            [VCGENCMD, *question.split()],
            capture_output=True,
            text=True,
            timeout=VCGENCMD_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return run.stdout.strip()[:200]


def no_firmware(_: str) -> None:
    """A device whose firmware says nothing."""
    return


@dataclass(frozen=True)
class Sources:
    """The folder that holds ``proc``, ``sys`` and ``etc``, and the firmware, asked on a Raspberry Pi only."""

    root: Path = ROOT
    firmware: Firmware = vcgencmd

    @classmethod
    def at(cls, root: Path) -> "Sources":
        """The device itself where ``root`` is ``/``; elsewhere files alone."""
        return cls(root) if root == ROOT else cls(root, no_firmware)

    def is_raspberry_pi(self) -> bool:
        """Whether the device tree names a Raspberry Pi."""
        return is_raspberry_pi(self.root)

    def ask_firmware(self, question: str) -> str | None:
        """The firmware's answer; None off a Raspberry Pi, where another program may have the same name."""
        return self.firmware(question) if self.is_raspberry_pi() else None


def is_raspberry_pi(root: Path = ROOT) -> bool:
    """Whether the device tree names a Raspberry Pi."""
    return "Raspberry Pi" in (read_device_tree("model", root) or "")
