"""Run by the board's own Python, read from standard input: prints as JSON what provisioning needs to know.

It must run on any Python 3, with the standard library alone. Argument: the folder, under the home folder,
that holds what provisioning installs.
"""

import glob
import importlib.util
import json
import os
import platform
import pwd
import struct
import sys


def _free_bytes(path: str) -> int:
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize


def _read(path: str) -> "str | None":
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(65536)
    except OSError:
        return None


def _link(path: str) -> "str | None":
    try:
        return os.path.basename(os.readlink(path))
    except OSError:
        return None


def _libc() -> str:
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (OSError, ValueError):
        return ""


def _markers() -> "dict[str, str]":
    """The variables of environment markers: PEP 508."""
    return {
        "implementation_name": sys.implementation.name,
        "implementation_version": platform.python_version(),
        "os_name": os.name,
        "platform_machine": platform.machine(),
        "platform_python_implementation": platform.python_implementation(),
        "platform_release": platform.release(),
        "platform_system": platform.system(),
        "platform_version": platform.version(),
        "python_full_version": platform.python_version(),
        "python_version": ".".join(platform.python_version_tuple()[:2]),
        "sys_platform": sys.platform,
    }


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def _facts(folder: str) -> "dict[str, object]":
    home = os.path.expanduser("~")
    root = os.path.join(home, folder)
    user = _user()
    wheels = glob.glob(os.path.join(root, "wheels", "*", "*"))
    complete = glob.glob(os.path.join(root, "environments", "*", "hytnas.json"))
    return {
        "machine": platform.machine(),
        "python_bits": struct.calcsize("P") * 8,
        "python": list(sys.version_info[:3]),
        "libc": _libc(),
        "has_venv": importlib.util.find_spec("venv") is not None,
        "markers": _markers(),
        "home": home,
        "user": user,
        "uid": os.getuid(),
        "free_bytes": _free_bytes(root),
        "user_services": os.path.exists(os.path.join("/run/user", str(os.getuid()), "systemd/private")),
        "linger": os.path.exists(os.path.join("/var/lib/systemd/linger", user)),
        "unit": _read(os.path.join(home, ".config/systemd/user/hytnas-agent.service")),
        "current": _link(os.path.join(root, "current")),
        "previous": _link(os.path.join(root, "previous")),
        "settled": (_read(os.path.join(root, "settled")) or "").strip() or None,
        "state": _read(os.path.join(root, "state")),
        "environments": {os.path.basename(os.path.dirname(path)): _read(path) for path in complete},
        "wheels": {os.path.relpath(path, root): os.path.getsize(path) for path in wheels},
    }


if __name__ == "__main__":
    sys.stdout.write("\n" + json.dumps(_facts(sys.argv[1])) + "\n")
