"""The image the boards start from: built once, kept outside the repository."""

import fcntl
import os
import subprocess
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Image:
    """The folder that build.sh made."""

    folder: Path

    @property
    def root(self) -> Path:
        """The root file system as a folder; never to be written to."""
        return self.folder / "root"

    @property
    def sd_card(self) -> Path:
        """The same as an SD card's content, raw."""
        return self.folder / "sd.img"

    @property
    def key_file(self) -> Path:
        """The private key that `pi` and `root` accept."""
        return self.folder / "id_ed25519"

    @property
    def host_key(self) -> str:
        """The host key that is built in, as `ssh-ed25519 AAAA...`."""
        return " ".join((self.folder / "ssh_host_ed25519_key.pub").read_text().split()[:2])

    def in_use(self) -> int:
        """A descriptor that keeps build.sh from removing this image for a newer one until it is closed."""
        descriptor = os.open(self.folder, os.O_RDONLY | os.O_CLOEXEC)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        return descriptor


@lru_cache(maxsize=1)
def board_image() -> Image:
    """The image, built now if it is not there (about 10 minutes; says so on standard error)."""
    done = subprocess.run([HERE / "build.sh"], stdout=subprocess.PIPE, text=True, check=True)
    return Image(Path(done.stdout.strip()))
