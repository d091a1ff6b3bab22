"""How provisioning tells a person what it does: steps that take a while, and lines in between."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Steps(Protocol):
    """Where the steps are shown."""

    def step(self, what: str, size_bytes: int | None = None) -> AbstractContextManager[None]:
        """Show a step while it goes on, and how long it took once it is left."""
        ...

    def say(self, line: str) -> None:
        """Show a line."""
        ...


class SilentSteps:
    """Shows nothing."""

    @contextmanager
    def step(self, what: str, size_bytes: int | None = None) -> Iterator[None]:
        """Show nothing."""
        del what, size_bytes
        yield

    def say(self, line: str) -> None:
        """Show nothing."""
