"""What the emulated processor is made of: which packages, which wheels, which plugin."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import msgspec

PLUGIN_SOURCE = Path(__file__).with_name("insncount.c")

# /proc/cpuinfo of a Cortex-A53. qemu-user would show the text of the x86 host, and ONNX Runtime's detection
# of the processor dies of SIGSEGV on that.
CPUINFO = """\
processor\t: 0
BogoMIPS\t: 38.40
Features\t: fp asimd evtstrm crc32 cpuid
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: 0xd03
CPU revision\t: 4
"""


@dataclass(frozen=True)
class EmulatorRecipe:
    """Everything that decides what is built; a change of any of it gives another folder.

    Attributes
    ----------
    suite, mirror, security_mirror : str
        The Debian release of the emulator and of the emulated system, and where its packages come from.
    emulator : tuple of str
        Packages for this machine's architecture.
    system : tuple of str
        Packages for arm64.
    wheels : tuple of str
        Python packages of the emulated system, pinned: they decide the counts.
    python : str
        Version of Python in ``system``.
    cpu : str
        The processor that QEMU emulates.
    instructions_per_s : int
        The rate at which instructions count as time: the clock of a Raspberry Pi 3B at one instruction a
        cycle, so that figures have a familiar size. No board's latency follows from it.
    """

    suite: str = "bookworm"
    mirror: str = "http://deb.debian.org/debian"
    security_mirror: str = "http://deb.debian.org/debian-security"
    emulator: tuple[str, ...] = ("qemu-user",)
    system: tuple[str, ...] = ("python3.11-minimal", "libpython3.11-stdlib", "libgomp1", "libstdc++6")
    wheels: tuple[str, ...] = ("onnxruntime==1.31.1", "numpy==2.4.6", "msgspec==0.22.0")
    python: str = "3.11"
    cpu: str = "cortex-a53"
    instructions_per_s: int = 1_200_000_000

    def hash(self) -> str:
        """The first 12 hexadecimal digits of the SHA-256 of the recipe, with plugin and cpuinfo."""
        parts = (msgspec.json.encode(self), PLUGIN_SOURCE.read_bytes(), CPUINFO.encode())
        return hashlib.sha256(b"\0".join(parts)).hexdigest()[:12]


RECIPE = EmulatorRecipe()
