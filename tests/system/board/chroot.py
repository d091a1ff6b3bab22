"""The quick stand-in: arm64 Debian under qemu-user in namespaces of its own, with its own sshd."""

import os
import subprocess
from pathlib import Path

from .base import HOST, Board, BoardError
from .image import HERE

_CORE = """\
processor\t: {core}
BogoMIPS\t: 38.40
Features\t: fp asimd evtstrm crc32 cpuid
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: 0xd03
CPU revision\t: 4

"""
_MODEL = "Raspberry Pi 3 Model B Rev 1.2"
_COMPATIBLE = ("raspberrypi,3-model-b", "brcm,bcm2837")


class ChrootBoard(Board):
    """A Pi's userland, SSH and processor text on this machine's kernel. Needs root; starts in seconds.

    Has no systemd, no /proc/device-tree (but /sys/firmware/devicetree/base, which that is a link to on a
    real board) and this machine's memory and number of processors. A reboot is a power cut here.

    Parameters
    ----------
    name : the host name.
    like : a board whose home folder is copied, as one copies an SD card; it must be off.
    core : the one core of this machine that it gets: boards that share one disturb each other's measurements,
        and measure again. All of them by default.
    """

    start_timeout_s = 180

    def __init__(
        self, name: str = "raspberrypi", *, like: "ChrootBoard | None" = None, core: int | None = None
    ) -> None:
        self._like = like
        self._core = core
        super().__init__(name)

    def _prepare(self) -> str:
        if os.geteuid() != 0:
            raise BoardError("The chroot board needs root: run the tests as root (sudo make board-test)")
        upper = self._upper
        ssh = upper / "etc/ssh"
        (ssh / "sshd_config.d").mkdir(parents=True)
        self.folder.chmod(0o755)  # `pi` has to get through to the root folder
        _write(self.folder / "cpuinfo", self._cpuinfo())
        tree = self.folder / "device-tree"
        _write(tree / "model", f"{_MODEL}\0")
        _write(tree / "serial-number", f"{self.serial}\0")
        _write(tree / "compatible", "".join(f"{name}\0" for name in _COMPATIBLE))
        _write(upper / "etc/hostname", f"{self.name}\n")
        _write(upper / "etc/hosts", f"127.0.0.1 localhost {self.name}\n")
        _write(upper / "etc/machine-id", f"{self.machine_id}\n")
        key = ssh / "ssh_host_ed25519_key"
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", self.name, "-f", str(key)]
        subprocess.run(words, check=True)
        if self._like is not None:
            if self._like.running:
                raise BoardError(f"{self._like.name} must be off to be copied")
            subprocess.run(["cp", "--archive", str(self._like._upper / "home"), str(upper)], check=True)
        return " ".join(key.with_suffix(".pub").read_text().split()[:2])

    @property
    def _upper(self) -> Path:
        """What the board has written, over the image's root."""
        return self.folder / "upper"

    def _cpuinfo(self) -> str:
        cores = "".join(_CORE.format(core=core) for core in range(4))
        return f"{cores}Revision\t: a02082\nSerial\t\t: {self.serial}\nModel\t\t: {_MODEL}\n"

    def _command(self) -> list[str]:
        settings = (
            f"Port {self.port}\nListenAddress {HOST}\n"
            # PAM wants things that namespaces do not have; without it, sshd sets the environment.
            "UsePAM no\nSetEnv QEMU_CPU=cortex-a53 HYTNAS_AGENT_EXECUTION=emulated\n"
        )
        _write(self._upper / "etc/ssh/sshd_config.d/10-chroot.conf", settings)
        namespaces = ["--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child"]
        pinned = [] if self._core is None else ["taskset", "--cpu-list", str(self._core)]
        return [
            *pinned,
            "unshare",
            *namespaces,
            str(HERE / "chroot-init.sh"),
            str(self.image.root),
            str(self.folder),
        ]

    def reboot(self) -> None:
        """Restart; files stay, processes end, /run and /tmp are empty. Returns when SSH answers again."""
        self.power_cut()


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
