"""How long work tells a person where it is: an interface, so that libraries never print."""

from types import TracebackType
from typing import Protocol, Self


class Progress(Protocol):
    """One bar: entered with a description and a total, advanced, and left."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def advance(self, steps: int = 1) -> None:
        """Count ``steps`` more units of work as done."""
        ...

    def note(self, text: str) -> None:
        """Show one line about what is going on now."""
        ...

    def event(self, text: str) -> None:
        """Show one line that stays, about something that happened."""
        ...


class ProgressFactory(Protocol):
    """Makes a bar for ``total`` units of work, ``done`` of which are behind us already."""

    def __call__(self, description: str, total: int, done: int = 0) -> Progress:
        """A new bar."""
        ...


class SilentProgress:
    """Shows nothing."""

    def __init__(self, description: str = "", total: int = 0, done: int = 0) -> None:
        del description, total, done

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def advance(self, steps: int = 1) -> None:
        """Count nothing."""

    def note(self, text: str) -> None:
        """Show nothing."""

    def event(self, text: str) -> None:
        """Show nothing."""
