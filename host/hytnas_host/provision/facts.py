"""What a board is, asked of its own Python in one command."""

from collections.abc import Mapping
from importlib import resources

import msgspec

from hytnas_host.devices.board import refusal_32_bit
from hytnas_host.provision.board import Board
from hytnas_host.provision.errors import ProvisionError

ROOT = ".local/share/hytnas"
"""Where everything that is installed goes, under the home folder on the board."""

MAX_FACTS_BYTES = 1 << 20


class BoardFacts(msgspec.Struct, frozen=True):
    """The board's answer.

    ``libc`` is as ``getconf GNU_LIBC_VERSION`` says it, empty where the C library is another. ``current``,
    ``previous`` and ``settled`` name environments, ``state`` the agent's state folder, empty for its default;
    ``environments`` holds the complete ones and what is noted in them, ``wheels`` the bytes of each wheel by
    its path below the root.
    """

    machine: str
    python_bits: int
    python: tuple[int, int, int]
    libc: str
    has_venv: bool
    markers: Mapping[str, str]
    home: str
    user: str
    uid: int
    free_bytes: int
    user_services: bool
    linger: bool
    unit: str | None
    current: str | None
    previous: str | None
    settled: str | None
    state: str | None
    environments: Mapping[str, str]
    wheels: Mapping[str, int]

    @property
    def root(self) -> str:
        """The folder of what is installed."""
        return f"{self.home}/{ROOT}"


def ask_board(board: Board, python: str) -> BoardFacts:
    """Ask the board.

    Raises
    ------
    ProvisionError
        If it has no Python 3, or cannot be reached.
    """
    script = resources.files("hytnas_host.provision").joinpath("facts_script.py").read_bytes()
    what = "asking what it is"
    done = board.ask([python, "-I", "-", ROOT], what, stdin=script)
    if done.status != 0:
        _refuse_32_bit(board)
        said = done.stderr.decode(errors="replace").strip().splitlines()
        if done.status in (126, 127):
            raise ProvisionError(
                f"{board.name} has no {python}",
                "Install it there with: sudo apt install python3; or name another with --python",
            )
        raise ProvisionError(f"{board.name}: {what} failed: {said[-1] if said else f'status {done.status}'}")
    try:
        answer = done.stdout[-MAX_FACTS_BYTES:].strip().splitlines()[-1]
        return msgspec.json.decode(answer, type=BoardFacts)
    except (IndexError, ValueError) as error:
        raise ProvisionError(
            f"{board.name}: {python} gave no usable answer ({error})",
            "Log in by hand and check that it is a Python 3",
        ) from error


def _refuse_32_bit(board: Board) -> None:
    """A 32-bit system without Python is no reason to install one."""
    machine = board.ask(["uname", "-m"], "asking for its processor").stdout.decode(errors="replace").strip()
    bits = board.ask(["getconf", "LONG_BIT"], "asking for its word size").stdout.strip()
    if bits == b"32":
        raise ProvisionError(*refusal_32_bit(board.name, machine))
