"""The person's SSH configuration: paramiko reads it, after its ``Include`` lines have been followed."""

import re
from pathlib import Path

import paramiko

from hytnas_host.devices.errors import DeviceError

MAX_CONFIG_BYTES = 1 << 20
MAX_INCLUDE_DEPTH = 16  # as OpenSSH: ssh_config(5)
_KEYWORD = re.compile(r"\s*(?P<keyword>\w+)(?:\s*=\s*|\s+)(?P<value>.*?)\s*")

Options = dict[str, str | list[str]]


class SshConfig:
    """What ``~/.ssh/config`` says about hosts.

    Parameters
    ----------
    path : Path
        One that does not exist says nothing.

    Raises
    ------
    DeviceError
        It cannot be read, or is malformed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        text = "\n".join(_lines(path.expanduser(), 0)) if path.expanduser().exists() else ""
        try:
            self._config = paramiko.SSHConfig.from_text(text)
        except paramiko.ConfigParseError as error:
            raise DeviceError(f"the SSH configuration {path} is malformed: {error}", "Correct it") from error

    def lookup(self, host: str) -> Options:
        """The options for a host, in lower case; ``hostname`` is among them."""
        try:
            return dict(self._config.lookup(host))
        except (paramiko.SSHException, paramiko.ConfigParseError) as error:
            raise DeviceError(f"the SSH configuration {self._path} has no way to {host}: {error}") from error


def text_of(options: Options, key: str) -> str | None:
    """An option that is said at most once."""
    value = options.get(key)
    return value if isinstance(value, str) else None


def _lines(path: Path, depth: int) -> list[str]:
    """The file's lines with those of included files in their place."""
    found: list[str] = []
    within = ""
    for line in _read(path).splitlines():
        parts = _KEYWORD.fullmatch(line)
        keyword = parts["keyword"].lower() if parts else ""
        if parts is None or keyword != "include":
            within = line.strip() if keyword in ("host", "match") else within
            found.append(line)
            continue
        if within or depth == MAX_INCLUDE_DEPTH:
            where = f"within {within!r}" if within else "too deep"
            raise DeviceError(f"the SSH configuration {path} has an Include {where}", "Move it to the top")
        for pattern in parts["value"].replace('"', "").split():
            for file in _matching(pattern):
                found += _lines(file, depth + 1)
        found.append("Host *")  # what follows is outside the included file's last block again
    return found


def _matching(pattern: str) -> list[Path]:
    expanded = Path(pattern).expanduser()
    if not expanded.is_absolute():
        expanded = Path("~/.ssh").expanduser() / expanded
    return sorted(Path(expanded.anchor).glob(str(expanded.relative_to(expanded.anchor))))


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_CONFIG_BYTES + 1)
        if len(content) <= MAX_CONFIG_BYTES:
            return content.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise DeviceError(f"the SSH configuration {path} cannot be read: {error}") from error
    raise DeviceError(f"the SSH configuration {path} is larger than {MAX_CONFIG_BYTES >> 20} MiB")
