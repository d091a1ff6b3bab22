"""The progress interface that long work here reports to; the workstation's bars satisfy it."""

from types import TracebackType
from typing import Protocol, Self


class Progress(Protocol):
    """One bar: entered, advanced, and left."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def advance(self, steps: int = 1) -> None:
        """Count ``steps`` more units of work as done."""
        ...


class ProgressFactory(Protocol):
    """Makes a bar for ``total`` units of work."""

    def __call__(self, description: str, total: int) -> Progress:
        """A new bar."""
        ...


class NoProgress:
    """Shows nothing."""

    def __init__(self, description: str = "", total: int = 0) -> None:
        del description, total

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def advance(self, steps: int = 1) -> None:
        """Count nothing."""
