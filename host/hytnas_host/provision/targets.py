"""Which wheels a board can install: its platform tags."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from packaging.tags import Tag, compatible_tags, cpython_tags

from hytnas_host.devices.board import refusal_32_bit
from hytnas_host.provision.errors import ProvisionError
from hytnas_host.provision.facts import BoardFacts

MACHINES = ("aarch64", "x86_64")
OLDEST_PYTHON = (3, 11)
NEWEST_PYTHON = (3, 99)  # tags are made of each minor version: a board must not have us make a million
OLDEST_GLIBC_MINOR = 17  # manylinux2014, the oldest that wheels for aarch64 exist for: PEP 599


@dataclass(frozen=True)
class WheelTarget:
    """Processor, Python and C library of a board, as wheel tags see them."""

    machine: str
    python: tuple[int, int]
    glibc_minor: int

    def __str__(self) -> str:
        return f"Python {self.python[0]}.{self.python[1]}, {self.machine}, glibc 2.{self.glibc_minor}"

    @property
    def python_tag(self) -> str:
        """As ``cp311``."""
        return f"cp{self.python[0]}{self.python[1]}"

    @property
    def abis(self) -> tuple[str, ...]:
        """The binary interfaces that its Python loads."""
        return (self.python_tag, "abi3", "none")

    @property
    def platforms(self) -> tuple[str, ...]:
        """Platform tags, best first.

        Each older one has to be named: a wheel may carry any single one of them (tflite-runtime 2.14.0 has
        ``manylinux_2_34`` only), and pip does not derive them from the newest.
        """
        newest_first = range(self.glibc_minor, OLDEST_GLIBC_MINOR - 1, -1)
        perennial = [f"manylinux_2_{minor}_{self.machine}" for minor in newest_first]
        return (*perennial, f"manylinux2014_{self.machine}", f"linux_{self.machine}")

    def tags(self) -> frozenset[Tag]:
        """Every tag that a wheel for this board may have."""
        platforms = list(self.platforms)
        return frozenset(
            [
                *cpython_tags(self.python, [self.python_tag], platforms),
                *compatible_tags(self.python, self.python_tag, platforms),
            ]
        )


def target_of(name: str, facts: BoardFacts) -> WheelTarget:
    """The board's tags.

    Raises
    ------
    ProvisionError
        If there can be no wheels for it: 32-bit, another processor, an old Python, another C library.
    """
    if facts.python_bits != 64:
        raise ProvisionError(*refusal_32_bit(name, facts.machine))
    if facts.machine not in MACHINES:
        raise ProvisionError(
            f"{name} is of an architecture that is not supported: {facts.machine}", _known(MACHINES)
        )
    if (
        not OLDEST_PYTHON <= facts.python[:2] <= NEWEST_PYTHON
        or facts.markers.get("implementation_name") != "cpython"
    ):
        found = ".".join(map(str, facts.python))
        raise ProvisionError(
            f"{name} has {facts.markers.get('platform_python_implementation', 'Python')} {found}; "
            f"the agent needs CPython {OLDEST_PYTHON[0]}.{OLDEST_PYTHON[1]} or later",
            "Write Raspberry Pi OS Bookworm or later to its SD card, or name another Python with --python",
        )
    glibc = re.fullmatch(r"glibc 2\.(\d{1,2})(\..*)?", facts.libc)
    if glibc is None:
        raise ProvisionError(
            f"{name} has another C library than glibc ({facts.libc or 'not named'})",
            "The runtimes have wheels for glibc only: use Raspberry Pi OS, Debian or Ubuntu",
        )
    return WheelTarget(facts.machine, facts.python[:2], int(glibc[1]))


def _known(machines: Sequence[str]) -> str:
    return f"Supported are: {', '.join(machines)}"
