"""The person's SSH configuration: paramiko reads it, after its ``Include`` lines have been followed."""

import glob
import os
import re
import shlex
from pathlib import Path

import paramiko

from hytnas_host.devices.errors import DeviceError

MAX_CONFIG_BYTES = 1 << 20
MAX_INCLUDE_DEPTH = 16  # as OpenSSH: ssh_config(5)
_EVALUATED = {"all", "canonical", "final", "host", "originalhost", "user", "localuser", "exec"}
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
        file = home_path(path)
        text = "\n".join(_lines(file, 0)) if file.exists() else ""
        try:
            self._config = paramiko.SSHConfig.from_text(text)
        except (paramiko.ConfigParseError, ValueError) as error:
            raise DeviceError(f"the SSH configuration {path} is malformed: {error}", "Correct it") from error

    def lookup(self, host: str) -> Options:
        """The options for a host, in lower case; ``hostname`` is among them."""
        try:
            return dict(self._config.lookup(host))
        except (paramiko.SSHException, paramiko.ConfigParseError, ValueError) as error:
            raise DeviceError(f"the SSH configuration {self._path} has no way to {host}: {error}") from error


def text_of(options: Options, key: str) -> str | None:
    """An option that is said at most once."""
    value = options.get(key)
    return value if isinstance(value, str) else None


def home_path(path: Path | str) -> Path:
    """The path with the home folder that a tilde stands for; that of an unknown user stays as it is."""
    return Path(os.path.expanduser(path))


def _lines(path: Path, depth: int) -> list[str]:
    """The file's lines with those of included files in their place."""
    found: list[str] = []
    within = ""
    for line in _read(path).splitlines():
        parts = _KEYWORD.fullmatch(line)
        keyword = parts["keyword"].lower() if parts else ""
        if parts is None or keyword != "include":
            within = line.strip() if keyword in ("host", "match") else within
            if parts is not None and keyword == "match":
                _check_match(parts["value"], path)
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


def _check_match(criteria: str, path: Path) -> None:
    """Refuse criteria that paramiko does not know: it would apply their block to every host."""
    try:
        words = iter(shlex.split(criteria))
    except ValueError as error:
        raise DeviceError(f"the SSH configuration {path} is malformed: {error}", "Correct it") from error
    for word in words:
        kind = word.removeprefix("!")
        if kind not in _EVALUATED:
            raise DeviceError(
                f"the SSH configuration {path} has a 'Match {kind}', which is not supported",
                "Write a Host block in its place",
            )
        if kind not in ("all", "canonical", "final"):
            next(words, None)


def _matching(pattern: str) -> list[Path]:
    # One that is not absolute is below ~/.ssh; joined to an absolute one, that is dropped.
    return [Path(found) for found in sorted(glob.glob(str(home_path("~/.ssh") / home_path(pattern))))]


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_CONFIG_BYTES + 1)
        if len(content) <= MAX_CONFIG_BYTES:
            return content.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise DeviceError(f"the SSH configuration {path} cannot be read: {error}") from error
    raise DeviceError(f"the SSH configuration {path} is larger than {MAX_CONFIG_BYTES >> 20} MiB")
