"""Debian packages for any architecture, downloaded and unpacked by an ordinary user, none installed.

apt gets a state of its own with an empty list of installed packages, so that it resolves and verifies
everything that a package needs and touches nothing of this system.
"""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from hytnas_host.devices.errors import DeviceError

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
COMMAND_TIMEOUT_S = 900.0


def run(command: Sequence[str], what: str, *, environment: dict[str, str] | None = None) -> str:
    """Standard output of a command.

    Raises
    ------
    DeviceError
        It failed, with the last thing it said.
    """
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT_S,
            check=False,
            stdin=subprocess.DEVNULL,
            env=os.environ | (environment or {}),
        )
    except FileNotFoundError as error:
        raise DeviceError(
            f"{what}: {command[0]} is not installed", "install it, then run the same command again"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise DeviceError(f"{what}: no end after {COMMAND_TIMEOUT_S:g} s", "check the network") from error
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise DeviceError(
            f"{what}: {said[-1] if said else f'{command[0]} left with status {done.returncode}'}",
            "check the network and the disk's free space, then run the same command again",
        )
    return done.stdout


class PackageSource:
    """One release of Debian, for one architecture.

    Parameters
    ----------
    folder : Path
        For apt's state and downloads.
    architecture : str
        As Debian names it: amd64, arm64.
    sources : sequence of str
        ``URI suite`` of each archive.
    """

    def __init__(self, folder: Path, architecture: str, sources: Sequence[str]) -> None:
        self._archives = folder / "cache" / "archives"
        for part in (folder / "state" / "lists" / "partial", self._archives / "partial"):
            part.mkdir(parents=True)
        status, listing = folder / "status", folder / "sources.list"
        status.touch()
        listing.write_text("".join(f"deb [signed-by={KEYRING}] {source} main\n" for source in sources))
        options = {
            "Dir::State": folder / "state",
            "Dir::State::status": status,
            "Dir::Cache": folder / "cache",
            "Dir::Etc::sourcelist": listing,
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::Etc::preferencesparts": "/dev/null",
            "APT::Architecture": architecture,
            "APT::Architectures": architecture,
            "APT::Sandbox::User": "",
            "Acquire::Languages": "none",
        }
        self._apt = ["apt-get", "-qq", *(f"-o{key}={value}" for key, value in options.items())]

    def unpack(self, packages: Sequence[str], root: Path) -> dict[str, str]:
        """Unpack packages and all they need into ``root``; the version of each. Raises DeviceError."""
        what = f"the packages {', '.join(packages)} cannot be had"
        run([*self._apt, "update"], what)
        run(
            [*self._apt, "install", "--yes", "--no-install-recommends", "--download-only", *packages],
            what,
            environment={"DEBIAN_FRONTEND": "noninteractive"},
        )
        versions = {}
        root.mkdir(parents=True)
        for archive in sorted(self._archives.glob("*.deb")):
            run(["dpkg-deb", "--extract", str(archive), str(root)], f"{archive.name} cannot be unpacked")
            name, version, *_ = archive.name.split("_")
            versions[name] = version.replace("%3a", ":")
        return versions
