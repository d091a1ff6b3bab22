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
_ALONE = {"all", "canonical", "final"}
"""Criteria of Match without an argument."""
_COMMANDS = {"proxycommand", "remotecommand", "localcommand", "knownhostscommand"}
"""Their values go to the end of the line, whatever is in them."""
_MARK = "hytnasholds"
_EVALUATED = {"all", "canonical", "final", "host", "originalhost", "user", "localuser", "exec"}
_TIME = re.compile(r"(?:\d+[smhdw]?)+", re.IGNORECASE | re.ASCII)
_UNITS_S = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_MAX_S = 2**31 - 1  # as OpenSSH
_KEYWORD = re.compile(r"\s*(?P<keyword>\w+)(?:\s*=\s*|\s+)(?P<value>.*?)\s*")

Options = dict[str, str | list[str]]


class SshConfig:
    """What ``~/.ssh/config`` says about hosts.

    A block that does not hold for a host cannot stand in its way, whatever is in it.

    Parameters
    ----------
    path : Path
        One that does not exist says nothing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def lookup(self, host: str) -> Options:
        """The options for a host, in lower case, in the order in which they are said first.

        ``hostname`` is among them.

        Raises
        ------
        DeviceError
            The configuration cannot be read, or what holds for the host is malformed or not supported.
        """
        file = home_path(self._path)
        lines: list[str] = []
        try:
            if file.exists():
                _Reader(host, lines).read(file)
            return dict(paramiko.SSHConfig.from_text("\n".join(lines)).lookup(host))
        except paramiko.ConfigParseError as error:
            raise DeviceError(
                f"the SSH configuration {self._path} is malformed: {error}", "Correct it"
            ) from error
        except (paramiko.SSHException, ValueError) as error:
            raise DeviceError(f"the SSH configuration {self._path} has no way to {host}: {error}") from error


class _Reader:
    """Writes the configuration down as paramiko takes it, in one piece, as far as it concerns a host."""

    def __init__(self, host: str, lines: list[str]) -> None:
        self._host, self._lines = host, lines

    def read(self, path: Path, depth: int = 0) -> None:
        """Write down a file with those that it includes in their place."""
        self._lines.append("Host *")
        block: str | None = "Host *"  # which the lines belong to; None: one that does not hold
        for line in _read(path).splitlines():
            parts = _KEYWORD.fullmatch(line)
            keyword = parts["keyword"].lower() if parts else ""
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            value = "" if parts is None else parts["value"]
            if keyword not in _COMMANDS:
                value = _without_comment(value)
            if keyword in ("host", "match"):
                block = f"{keyword} {value}"
                if keyword == "match" and not self._is_supported(value, path):
                    block = None
                else:
                    self._lines.append(block)
            elif block is None:
                continue
            elif keyword == "include":
                if self._holds(block):
                    self._include(value, path, depth)
                    block = "Host *"  # the rest of it holds too, whatever the file has set
                    self._lines.append(block)
            elif value:
                self._lines.append(f"{keyword} {value}")
            elif self._holds(block):
                raise paramiko.ConfigParseError(f"Unparsable line {line.strip()}")

    def _holds(self, block: str) -> bool:
        """Whether a block that begins so, after all that was written down before, is for the host."""
        text = "\n".join([*self._lines, block, f"{_MARK} yes"])
        return _MARK in paramiko.SSHConfig.from_text(text).lookup(self._host)

    def _include(self, patterns: str, path: Path, depth: int) -> None:
        if depth == MAX_INCLUDE_DEPTH:
            raise DeviceError(
                f"the SSH configuration {path} has an Include too deep", "Look for a loop of them"
            )
        for pattern in _split(patterns, path):
            for file in _matching(pattern):
                self.read(file, depth + 1)

    def _is_supported(self, criteria: str, path: Path) -> bool:
        """Whether paramiko knows all criteria; those it does not it would take to hold for every host.

        Raises DeviceError where the criteria that it knows leave the block in force.
        """
        words = iter(_split(criteria, path))
        known: list[str] = []
        unknown = ""
        for word in words:
            kind = word.removeprefix("!")
            argument = [] if kind in _ALONE else [next(words, "")]
            if kind in _EVALUATED:
                known += [word, *argument]
            else:
                unknown = unknown or kind
        if unknown and (not known or self._holds(f"match {shlex.join(known)}")):
            raise DeviceError(
                f"the SSH configuration {path} has a 'Match {unknown}', which is not supported",
                "Write a Host block in its place",
            )
        return not unknown


def text_of(options: Options, key: str) -> str | None:
    """An option that is said at most once."""
    value = options.get(key)
    return value if isinstance(value, str) else None


def seconds_of(text: str) -> int | None:
    """A time as the configuration writes it; None where the text is none.

    Examples
    --------
    >>> seconds_of("90"), seconds_of("1m30s"), seconds_of("soon")
    (90, 90, None)
    """
    if not _TIME.fullmatch(text):
        return None
    seconds = sum(int(digits) * _UNITS_S[unit] for digits, unit in re.findall(r"(\d+)(\D?)", text.lower()))
    return seconds if seconds <= _MAX_S else None


def home_path(path: Path | str) -> Path:
    """The path with the home folder that a tilde stands for; that of an unknown user stays as it is."""
    return Path(os.path.expanduser(path))


def _without_comment(text: str) -> str:
    """A value less the comment behind it: a ``#`` at the beginning of a word outside quotes."""
    quote, previous = "", " "
    for index, character in enumerate(text):
        if previous == "\\":
            previous = ""  # escaped
            continue
        if character == "#" and not quote and previous.isspace():
            return text[:index].rstrip()
        if character in ("'", '"') and quote in ("", character):
            quote = "" if quote else character
        previous = character
    return text


def _split(text: str, path: Path) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise DeviceError(f"the SSH configuration {path} is malformed: {error}", "Correct it") from error


def _matching(pattern: str) -> list[Path]:
    # One that is not absolute is below ~/.ssh; joined to an absolute one, that is dropped.
    return [Path(found) for found in sorted(glob.glob(str(home_path("~/.ssh") / home_path(pattern))))]


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_CONFIG_BYTES + 1)
        if len(content) <= MAX_CONFIG_BYTES:
            return content.decode(errors="surrogateescape")  # a comment may be in any encoding
    except OSError as error:
        raise DeviceError(f"the SSH configuration {path} cannot be read: {error}") from error
    raise DeviceError(f"the SSH configuration {path} is larger than {MAX_CONFIG_BYTES >> 20} MiB")
