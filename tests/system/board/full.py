"""The whole stand-in: QEMU's Raspberry Pi 3 Model B with its kernel, device tree, SD card and systemd."""

import subprocess
import time
from pathlib import Path

from .base import HOST, Board, BoardError


class FullBoard(Board):
    """An emulated Raspberry Pi 3 Model B: four Cortex-A53, 1 GB, SD card, systemd. Boots in minutes.

    Has no cpufreq, no `vcgencmd`, no network but SSH, and says nothing about a real board's speed. Its host
    key is the image's, so two of these are told apart by machine id only.
    """

    start_timeout_s = 900

    def _prepare(self) -> str:
        # A whole (sparse) copy: killing QEMU is how the power is cut, and an overlay in qcow2 would then lose
        # its tables and with them what the card said to have stored, for QEMU's SD card knows no flush.
        copy = ["cp", "--sparse=always", "--reflink=auto"]
        subprocess.run([*copy, str(self.image.sd_card), str(self._sd_card)], check=True)
        return self.image.host_key

    @property
    def _sd_card(self) -> Path:
        return self.folder / "sd.img"

    def _command(self) -> list[str]:
        arguments = {
            "console": "ttyAMA0,115200",
            "root": "/dev/mmcblk0",
            "net.ifnames": "0",
            "loglevel": "4",
            "systemd.machine_id": self.machine_id,
            "systemd.hostname": self.name,
            # A Pi has no clock that runs without power; this is what it would ask the network for.
            "systemd.clock_usec": str(int(time.time() * 1e6)),
        }
        append = " ".join(f"{key}={value}" for key, value in arguments.items())
        options = {
            "-M": "raspi3b",
            "-m": "1G",
            "-kernel": str(self.image.folder / "Image"),
            "-initrd": str(self.image.folder / "initrd.img"),
            "-dtb": str(self.image.folder / "bcm2837-rpi-3-b.dtb"),
            "-append": append,
            "-drive": f"if=sd,format=raw,file={self._sd_card}",
            "-netdev": f"user,id=net,restrict=on,hostfwd=tcp:{HOST}:{self.port}-:22",
            "-device": "usb-net,netdev=net",
            "-display": "none",
            "-monitor": "none",
            "-serial": f"file:{self.folder / f'console-{self._boots():02}.log'}",
        }
        return ["nice", "qemu-system-aarch64", *(word for option in options.items() for word in option)]

    def _boots(self) -> int:
        return len(list(self.folder.glob("console-*.log")))

    def boot_id(self) -> str:
        """The kernel's name for this boot."""
        return self.ssh("cat /proc/sys/kernel/random/boot_id", check=True).stdout.strip()

    def reboot(self) -> None:
        """`sudo reboot`. Returns when SSH answers in the next boot."""
        before = self.boot_id()
        self.ssh("sudo systemctl reboot")
        self.wait_for_reboot(before)

    def wait_for_reboot(self, boot_id: str) -> None:
        """Wait until SSH answers in another boot than `boot_id`, however the reboot was asked for."""
        deadline = time.monotonic() + self.start_timeout_s
        while time.monotonic() < deadline:
            self.wait_for_ssh()
            answer = self.ssh("cat /proc/sys/kernel/random/boot_id")
            if answer.returncode == 0 and answer.stdout.strip() != boot_id:
                return
            time.sleep(1)
        raise BoardError(f"{self.name} did not reboot\n{self.logs()}")
