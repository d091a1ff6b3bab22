"""What a login's start-up files do to a program: their output comes first, and their variables change Python.

sshd hands a command to the user's shell, which may read ``.bashrc`` and the like before. A marker line tells
where the output of the program itself begins.
"""

import secrets
import shlex
from collections.abc import Sequence
from typing import Final

from hytnas_host.devices.errors import DeviceError

MAX_STARTUP_BYTES: Final = 1 << 20
ADVICE: Final = "Let its start-up files (~/.bashrc) return at once where the shell is not interactive"
_CLEARED: Final = "PATH HOME STARTUP OPTIMIZE WARNINGS INSPECT VERBOSE MALLOC DEVMODE SAFEPATH"
"""Variables of Python, less ``PYTHON``, which a person may set for other programs."""


class Startup:
    """The beginning of a program's output, up to where the program begins.

    Examples
    --------
    >>> startup = Startup()
    >>> startup.strip(b"Welcome!\\n" + startup.marker[:5])
    b''
    >>> startup.strip(startup.marker[5:] + b"42")
    b'42'
    >>> startup.is_over, startup.last_words
    (True, 'Welcome!')
    """

    def __init__(self) -> None:
        self.marker = f"hytnas-begins-{secrets.token_hex(8)}\n".encode()
        self.is_over = False
        self._said = bytearray()

    def command(self, argv: Sequence[str]) -> str:
        """The text for the user's shell that runs the program; each argument arrives as it is."""
        cleared = " ".join(f"PYTHON{name}" for name in _CLEARED.split())
        script = f'm={self.marker.decode().strip()}; echo $m; echo $m >&2; unset m {cleared}; exec "$0" "$@"'
        return f"exec {shlex.join(['sh', '-c', script, *argv])}"

    def strip(self, data: bytes) -> bytes:
        """What of the next bytes is the program's. Raises DeviceError where it does not come to that."""
        if self.is_over:
            return data
        self._said += data
        before, marker, after = self._said.partition(self.marker)
        if marker:
            self._said, self.is_over = before, True
            return bytes(after)
        if len(self._said) > MAX_STARTUP_BYTES:
            raise DeviceError("the login prints without end before any program starts", ADVICE)
        return b""

    def without(self, errors: bytes) -> bytes:
        """The whole of the error stream less what the start-up files have written there."""
        before, _, after = errors.partition(self.marker)
        return after if self.is_over else before

    @property
    def last_words(self) -> str:
        """The last line that the start-up files have printed; empty if there is none."""
        lines = self._said.decode(errors="replace").strip().splitlines()
        return lines[-1].strip() if lines else ""
