"""The project's own wheel, made from what this host runs: the board gets the same code.

From a checkout (an editable installation) pip builds it. An installed distribution is packed again from its
own files, each checked against the hash in its RECORD: no network, and nothing that was changed by hand.
"""

import base64
import hashlib
import importlib.metadata
import importlib.util
import json
import subprocess
import sys
import zipfile
from importlib.metadata import Distribution, PackagePath
from pathlib import Path
from urllib.parse import unquote, urlsplit

from hytnas_host.provision.errors import ProvisionError

DISTRIBUTION = "hytnas"
BUILD_TIMEOUT_S = 600.0
NAME_ONE = "Name a wheel with --wheel"
_WRITTEN_BY_INSTALLERS = ("INSTALLER", "RECORD", "REQUESTED", "direct_url.json", "uv_cache.json")
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip file can say: the same wheel each time


def project_wheel(folder: Path) -> Path:
    """Make the wheel of the running toolkit in ``folder``.

    Raises
    ------
    ProvisionError
        If it can be neither built nor packed.
    """
    try:
        distribution = importlib.metadata.distribution(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError as error:
        raise ProvisionError(f"{DISTRIBUTION} is not installed here, only imported", NAME_ONE) from error
    checkout = _checkout(distribution)
    return pack(distribution, folder) if checkout is None else build(checkout, folder)


def _checkout(distribution: Distribution) -> Path | None:
    """The source folder of an editable installation: PEP 610."""
    found = json.loads(distribution.read_text("direct_url.json") or "{}")
    if not found.get("dir_info", {}).get("editable"):
        return None
    return Path(unquote(urlsplit(found["url"]).path))


def build(checkout: Path, folder: Path) -> Path:
    """Build the wheel of a checkout; with the installed build backend where there is one, else pip gets it.

    Raises
    ------
    ProvisionError
        If it cannot be built.
    """
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"]
    if importlib.util.find_spec("hatchling") is not None:
        command.append("--no-build-isolation")
    command += ["--wheel-dir", str(folder), str(checkout)]
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=BUILD_TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        raise ProvisionError(
            f"the wheel of {checkout} was not built within {BUILD_TIMEOUT_S:g} s", NAME_ONE
        ) from error
    built = list(folder.glob(f"{DISTRIBUTION}-*.whl"))
    if done.returncode != 0 or len(built) != 1:
        said = done.stderr.decode(errors="replace").strip().splitlines() or ["pip says nothing"]
        raise ProvisionError(f"the wheel of {checkout} cannot be built: {said[-1]}", NAME_ONE)
    return built[0]


def pack(distribution: Distribution, folder: Path) -> Path:
    """Pack the wheel of an installed distribution again.

    Raises
    ------
    ProvisionError
        If its list of files is missing, or a file is not as it was installed.
    """
    files = [file for file in distribution.files or [] if _belongs(file)]
    if not files:
        raise ProvisionError(f"the installed {distribution.name} does not list its files", NAME_ONE)
    (information,) = {file.parts[0] for file in files if file.parts[0].endswith(".dist-info")}
    path = folder / f"{distribution.name}-{distribution.version}-py3-none-any.whl"
    record = []
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(files):
            data = _unchanged(file)
            record.append(f"{file},{_digest(data)},{len(data)}\n")
            _add(archive, str(file), data)
        record.append(f"{information}/RECORD,,\n")
        _add(archive, f"{information}/RECORD", "".join(record).encode())
    return path


def _belongs(file: PackagePath) -> bool:
    """Whether a file was in the wheel, and not made by the installer or by running it."""
    made = file.parts[0].endswith(".dist-info") and file.name in _WRITTEN_BY_INSTALLERS
    return not (made or ".." in file.parts or file.is_absolute() or file.suffix == ".pyc")


def _unchanged(file: PackagePath) -> bytes:
    try:
        data = Path(str(file.locate())).read_bytes()
    except OSError as error:
        raise ProvisionError(f"the installed {file} cannot be read: {error.strerror}", NAME_ONE) from error
    if file.hash is not None and f"{file.hash.mode}={file.hash.value}" != _digest(data):
        raise ProvisionError(f"the installed {file} was changed after its installation", NAME_ONE)
    return data


def _digest(data: bytes) -> str:
    value = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
    return f"sha256={value}"


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    entry = zipfile.ZipInfo(name, date_time=_EPOCH)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    archive.writestr(entry, data)
