"""Reading the small text files of /proc and /sys, any of which may be missing.

Every reader takes ``root``, the folder that holds ``proc``, ``sys`` and ``etc``: tests pass a made-up one.
"""

from pathlib import Path

ROOT = Path("/")
_MAX_BYTES = 1 << 20


def read_text(path: Path) -> str | None:
    """The file's text without surrounding blanks and zero bytes, or None if it cannot be read or is empty."""
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES)
    except OSError:
        return None
    return data.decode(errors="replace").strip("\0 \t\r\n") or None


def read_int(path: Path, base: int = 10) -> int | None:
    """The file's whole number, or None."""
    text = read_text(path)
    try:
        return None if text is None else int(text, base)
    except ValueError:
        return None


def read_device_tree(name: str, root: Path = ROOT) -> str | None:
    """A property of the device tree's root, such as ``model``, or None.

    ``/proc/device-tree`` is a link to the other folder, and missing where /proc is another system's.
    """
    return read_text(root / "proc/device-tree" / name) or read_text(
        root / "sys/firmware/devicetree/base" / name
    )


def read_fields(path: Path) -> dict[str, str]:
    """The ``key: value`` lines of a file such as /proc/meminfo; the first of repeated keys counts."""
    fields: dict[str, str] = {}
    for line in (read_text(path) or "").splitlines():
        key, separator, value = line.partition(":")
        if separator:
            fields.setdefault(key.strip(), value.strip())
    return fields


def read_counters(path: Path) -> dict[str, int]:
    """The ``key value`` lines of a file such as /proc/vmstat."""
    counters = {}
    for line in (read_text(path) or "").splitlines():
        key, _, value = line.partition(" ")
        if value.isdigit():
            counters[key] = int(value)
    return counters


def meminfo_bytes(key: str, root: Path = ROOT) -> int | None:
    """One entry of /proc/meminfo in bytes, or None."""
    value = read_fields(root / "proc/meminfo").get(key, "").removesuffix(" kB")
    return int(value) * 1024 if value.isdigit() else None
