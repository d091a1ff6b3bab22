"""Wheel files on the host: what one is, what it asks for, and which of several a board needs."""

import email.policy
import hashlib
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from email.parser import BytesHeaderParser
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.tags import Tag
from packaging.utils import InvalidWheelFilename, NormalizedName, canonicalize_name, parse_wheel_filename
from packaging.version import Version

from hytnas_host.provision.errors import ProvisionError

MAX_METADATA_BYTES = 4 << 20


@dataclass(frozen=True)
class Wheel:
    """A wheel file.

    ``unpacked_bytes`` is what its files take once installed; ``requires`` and ``extras`` are those of its
    metadata.
    """

    path: Path
    name: NormalizedName
    version: Version
    tags: frozenset[Tag]
    sha256: str
    size_bytes: int
    unpacked_bytes: int
    requires: tuple[str, ...]
    extras: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.name} {self.version}"

    def wanted(self, markers: Mapping[str, str], extras: Iterable[str] = ()) -> list[Requirement]:
        """What it asks for on a board with these environment markers (PEP 508), less the markers."""
        found = []
        for line in self.requires:
            requirement = Requirement(line)
            marker, requirement.marker = requirement.marker, None
            if marker is None or any(marker.evaluate({**markers, "extra": extra}) for extra in ("", *extras)):
                found.append(requirement)
        return found


def read_wheel(path: Path) -> Wheel:
    """Read a wheel's name, metadata and hash.

    Raises
    ------
    ProvisionError
        If it is no wheel.
    """
    try:
        name, version, _, tags = parse_wheel_filename(path.name)
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            metadata = next(
                member
                for member in members
                if member.filename.count("/") == 1 and member.filename.endswith(".dist-info/METADATA")
            )
            if metadata.file_size > MAX_METADATA_BYTES:
                raise ProvisionError(f"{path} has metadata of more than {MAX_METADATA_BYTES} bytes")
            headers = BytesHeaderParser(policy=email.policy.compat32).parsebytes(archive.read(metadata))
        requires = tuple(str(Requirement(str(line))) for line in headers.get_all("Requires-Dist", []))
        digest = hashlib.sha256(path.read_bytes())
    except (InvalidWheelFilename, InvalidRequirement, StopIteration, zipfile.BadZipFile) as error:
        raise ProvisionError(
            f"{path} is no wheel: {error}", "Name a .whl file that pip could install"
        ) from error
    except OSError as error:
        raise ProvisionError(f"{path} cannot be read: {error.strerror}") from error
    return Wheel(
        path,
        name,
        version,
        tags,
        digest.hexdigest(),
        path.stat().st_size,
        sum(member.file_size for member in members),
        requires,
        tuple(str(line) for line in headers.get_all("Provides-Extra", [])),
    )


def closure(
    roots: Sequence[Requirement], wheels: Sequence[Wheel], markers: Mapping[str, str]
) -> tuple[tuple[Wheel, ...], tuple[Requirement, ...]]:
    """The wheels that satisfy the roots and everything they need in turn, and what none satisfies.

    pip evaluates environment markers for the Python that it runs on, not for the one it downloads for; here
    they are the board's.
    """
    by_name = {wheel.name: wheel for wheel in wheels}
    needed: dict[NormalizedName, Wheel] = {}
    missing: list[Requirement] = []
    seen: set[str] = set()
    waiting = list(roots)
    while waiting:
        requirement = waiting.pop()
        if str(requirement) in seen:
            continue
        seen.add(str(requirement))
        wheel = by_name.get(canonicalize_name(requirement.name))
        if wheel is None or not requirement.specifier.contains(wheel.version, prereleases=True):
            missing.append(requirement)
            continue
        needed[wheel.name] = wheel
        waiting += wheel.wanted(markers, requirement.extras)
    return tuple(sorted(needed.values(), key=lambda wheel: wheel.name)), tuple(missing)
