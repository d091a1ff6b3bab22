"""Wheels for a board, resolved and downloaded by pip on the host into a cache.

A cache folder is named by what was asked for, and holds a list of its files with their hashes: it is whole
where the list is there, and needs no network then.
"""

import contextlib
import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from packaging.requirements import Requirement

from hytnas_agent.account import base_folder
from hytnas_host.provision.errors import ProvisionError
from hytnas_host.provision.targets import WheelTarget
from hytnas_host.provision.wheels import Wheel, closure, read_wheel

PIP = Requirement("pip")
DOWNLOAD_TIMEOUT_S = 3600.0
MAX_ROUNDS = 5
_LIST = "resolved.json"
_OFFLINE = ("NewConnectionError", "NameResolutionError", "ConnectTimeoutError", "ProxyError")


class _Resolved(msgspec.Struct, frozen=True):
    sha256_by_file: dict[str, str]


@dataclass(frozen=True)
class Request:
    """What is asked of pip.

    Parameters
    ----------
    target : WheelTarget
        The board's tags.
    markers : mapping
        The board's environment markers.
    requirements : sequence of Requirement
        What the project's wheel needs on the board, runtimes included.
    constraints : sequence of tuple of str
        Lines of constraints files: the first that can be satisfied is taken.
    folder : Path, optional
        Take wheels from here, and from no index.
    """

    target: WheelTarget
    markers: Mapping[str, str]
    requirements: Sequence[Requirement]
    constraints: Sequence[tuple[str, ...]]
    folder: Path | None = None

    @property
    def key(self) -> str:
        """Names its cache folder."""
        contents = sorted(path.name for path in self.folder.glob("*.whl")) if self.folder else []
        described = (
            *(str(self.target), str(self.folder), contents),
            sorted(map(str, self.requirements)),
            list(self.constraints),
        )
        return hashlib.sha256(msgspec.json.encode(described)).hexdigest()[:16]


def cache_folder() -> Path:
    """Where downloaded wheels are kept: ``$XDG_CACHE_HOME/hytnas/wheels``."""
    return base_folder("XDG_CACHE_HOME", ".cache") / "hytnas" / "wheels"


def resolve(request: Request, cache: Path) -> tuple[tuple[Wheel, ...], Wheel]:
    """The wheels that the board is to install, and pip's own, which installs them there.

    Raises
    ------
    ProvisionError
        If pip cannot resolve the requirements for the board's tags, or cannot reach its index.
    """
    folder = cache / request.key
    wheels = _cached(folder)
    needed, missing = closure(request.requirements, wheels, request.markers)
    if not wheels or missing:
        wheels = _download_into(folder, request)
        needed, _ = closure(request.requirements, wheels, request.markers)
    return needed, next(wheel for wheel in wheels if wheel.name == PIP.name)


def _cached(folder: Path) -> list[Wheel]:
    """The wheels of a cache folder; none where it is not whole."""
    try:
        listed = msgspec.json.decode((folder / _LIST).read_bytes(), type=_Resolved)
        wheels = [read_wheel(folder / name) for name in listed.sha256_by_file]
    except (OSError, ValueError, ProvisionError):
        return []
    whole = all(wheel.sha256 == listed.sha256_by_file[wheel.path.name] for wheel in wheels)
    return wheels if whole else []


def _download_into(folder: Path, request: Request) -> list[Wheel]:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
    except OSError as error:
        raise ProvisionError(
            f"the wheel cache {folder.parent} cannot be written: {error.strerror}",
            "Set XDG_CACHE_HOME to a folder that can be written",
        ) from error
    try:
        wheels = _download(draft, request)
        listed = _Resolved({wheel.path.name: wheel.sha256 for wheel in wheels})
        (draft / _LIST).write_bytes(msgspec.json.encode(listed))
        shutil.rmtree(folder, ignore_errors=True)
        # Another command may have made the same folder meanwhile: either serves.
        with contextlib.suppress(OSError):
            draft.replace(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    found = _cached(folder)
    if not found:
        raise ProvisionError(f"the wheel cache {folder} is damaged", f"Remove {folder} and run it again")
    return found


def _download(draft: Path, request: Request) -> list[Wheel]:
    """Let pip resolve, then ask again for what only the board's markers want."""
    asked = [*request.requirements, PIP]
    for _ in range(MAX_ROUNDS):
        for path in draft.glob("*.whl"):
            path.unlink()
        _try_constraints(draft, request, asked)
        wheels = [read_wheel(path) for path in sorted(draft.glob("*.whl"))]
        _, missing = closure(request.requirements, wheels, request.markers)
        if not missing:
            return wheels
        asked += missing
    raise ProvisionError(f"{', '.join(map(str, missing))} cannot be resolved for {request.target}")


def _try_constraints(draft: Path, request: Request, asked: Sequence[Requirement]) -> None:
    for lines in request.constraints[:-1]:
        with contextlib.suppress(_UnresolvableError):
            return _pip_download(draft, request, asked, lines)
    return _pip_download(draft, request, asked, request.constraints[-1])


class _UnresolvableError(ProvisionError):
    """pip was asked for something that does not exist, or contradicts itself."""


def _pip_download(
    draft: Path, request: Request, asked: Sequence[Requirement], constraints: Sequence[str]
) -> None:
    listed = draft / "constraints.txt"
    listed.write_text("".join(f"{line}\n" for line in constraints))
    target = request.target
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
    ]
    command += ["--only-binary", ":all:", "--implementation", "cp"]
    command += ["--python-version", ".".join(map(str, target.python))]
    command += [word for abi in target.abis for word in ("--abi", abi)]
    command += [word for platform in target.platforms for word in ("--platform", platform)]
    if request.folder is not None:
        command += ["--no-index", "--find-links", str(request.folder)]
    command += ["--constraint", str(listed), "--dest", str(draft), *map(str, asked)]
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=DOWNLOAD_TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        raise ProvisionError(f"pip has not ended within {DOWNLOAD_TIMEOUT_S:g} s") from error
    if done.returncode != 0:
        raise _explained(done.stderr.decode(errors="replace"), request)


def _explained(said: str, request: Request) -> ProvisionError:
    """What pip said, as one line: which package, for which board, and what to do."""
    errors = [line.removeprefix("ERROR: ") for line in said.splitlines() if line.startswith("ERROR: ")]
    reason = errors[-1] if errors else (said.strip().splitlines() or ["it says nothing"])[-1]
    what = f"no wheels for {request.target}: {reason}"
    if "No module named pip" in said:
        return ProvisionError("this Python has no pip", f"Install it with: {sys.executable} -m ensurepip")
    if any(word in said for word in _OFFLINE):
        return ProvisionError(
            f"{what}: the package index cannot be reached",
            "Connect this host to it, or name a folder of wheels with --wheel-folder",
        )
    if "No space left on device" in said:
        return ProvisionError("the disk of this host is full: pip cannot download wheels", "Free some space")
    tags = ", ".join((request.target.python_tag, request.target.platforms[0]))
    where = f"add it to {request.folder}" if request.folder else "choose other runtimes with --runtime"
    return _UnresolvableError(
        f"{what} (tags up to {tags})", f"Install another Python on the board, or {where}"
    )
