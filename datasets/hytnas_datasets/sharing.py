"""What is taken out of a study's texts before others read them: host names, user names, places on a disk."""

import re
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from hytnas_agent.output import plain
from hytnas_agent.records import DeviceIdentity

ELSEWHERE: Final = "\N{HORIZONTAL ELLIPSIS}"
"""What stands for what was taken out."""

MIN_NAME: Final = 3
"""Characters of a host name from which it is looked for in texts; a shorter one is in too many words."""

_HOME: Final = re.compile(r"(?:/(?:home|Users)/[^/\s'\":;,()]+|/root|~[\w.-]*)(?=$|[\s'\":;,.()])")
_PLACE: Final = re.compile(r"(?<![\w.\-])(?:~[\w.-]*)?/(?:[^/\n'\"<>|:;,()]+/)+([^\s/'\"<>|:;,()]*)")
_ADDRESS: Final = re.compile(r"[\w.+-]+@[\w.-]+")
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""With which a cell begins that a spreadsheet reckons."""


class Places:
    """Takes the places of a study out of values.

    Parameters
    ----------
    hostnames : iterable of str
        Those of the study's devices.
    """

    def __init__(self, hostnames: Iterable[str] = ()) -> None:
        names = sorted(
            {re.escape(name) for name in hostnames if len(name) >= MIN_NAME}, key=len, reverse=True
        )
        self._hosts = re.compile(rf"(?<![\w-])(?:{'|'.join(names)})(?![\w-])") if names else None

    def out_of(self, value: Any) -> Any:
        """The value as plain data, without them: of a path only the file's name is left.

        Examples
        --------
        >>> Places(["box17"]).out_of({"models": "/home/me/nets", "on": "me@box17", "n": 3})
        {'models': '\N{HORIZONTAL ELLIPSIS}/nets', 'on': '\N{HORIZONTAL ELLIPSIS}', 'n': 3}
        """
        if isinstance(value, DeviceIdentity):
            value = msgspec.structs.replace(value, hostname="")
        if isinstance(value, msgspec.Struct):
            value = {name: getattr(value, name) for name in value.__struct_fields__}
        if isinstance(value, dict):
            return {self._text(str(key)): self.out_of(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.out_of(item) for item in value]
        return self._text(value) if isinstance(value, str) else value

    def text(self, text: str) -> str:
        """A text without them."""
        return self._text(text)

    def _text(self, text: str) -> str:
        text = _ADDRESS.sub(ELSEWHERE, _HOME.sub(ELSEWHERE, text))
        text = _PLACE.sub(lambda found: f"{ELSEWHERE}/{found[1]}" if found[1] else ELSEWHERE, text)
        return text if self._hosts is None else self._hosts.sub(ELSEWHERE, text)


def cell(value: Any) -> Any:
    """A value for a table: text is one line of printable characters that no spreadsheet takes for a formula.

    Examples
    --------
    >>> cell("=1+1"), cell("a\\x1b[31mb"), cell(-1.5)
    ("'=1+1", 'a [31mb', -1.5)
    """
    if not isinstance(value, str):
        return value
    text = plain(value)
    return f"'{text}" if value.startswith(_FORMULA) or text.lstrip().startswith(_FORMULA) else text
