"""Extension points: what is bundled, and what installed packages add to it by Python entry points.

A package adds something by an entry point in its ``pyproject.toml``, such as::

    [project.entry-points."hytnas.spaces"]
    tiny = "my_package.spaces:TINY"

Nothing is imported before it is asked for by name, so a broken package stops only those who want it.
"""

import difflib
import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Generic, TypeVar

from hytnas_agent.errors import HytnasError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

T = TypeVar("T")


class Registry(Generic[T]):
    """Things of one kind by name: the bundled ones first, then those of entry points.

    A bundled name cannot be taken: an entry point of the same name is ignored.

    Parameters
    ----------
    group : str
        Group of the entry points, such as ``hytnas.spaces``.
    noun : str
        What one of them is called in messages, such as "space".
    bundled : mapping of name to "module:attribute"
        In the order in which names are listed.
    error : callable
        Makes the exception that is raised, from what happened and the next step.
    accepts : callable
        Whether a loaded object is one of the kind.
    """

    def __init__(
        self,
        group: str,
        noun: str,
        bundled: Mapping[str, str],
        *,
        error: Callable[[str, str | None], HytnasError],
        accepts: Callable[[object], bool],
    ) -> None:
        self.group = group
        self.noun = noun
        self.bundled = dict(bundled)
        self._error = error
        self._accepts = accepts
        self._loaded: dict[str, T] = {}

    def names(self) -> tuple[str, ...]:
        """All names: the bundled ones in their order, then the others by the alphabet."""
        others = {point.name for point in _entry_points(self.group)}
        return (*self.bundled, *sorted(others - set(self.bundled)))

    def __contains__(self, name: str) -> bool:
        return name in self.bundled or any(point.name == name for point in _entry_points(self.group))

    def get(self, name: str) -> T:
        """What has this name; it is imported once.

        Raises
        ------
        HytnasError
            Of the registry's own kind: for an unknown name, for what cannot be imported or is something
            else, and for a name that two packages offer.
        """
        if name not in self._loaded:
            self._loaded[name] = self._load(name, self._source(name))
        return self._loaded[name]

    def _source(self, name: str) -> str:
        if name in self.bundled:
            return self.bundled[name]
        offers = sorted({point.value for point in _entry_points(self.group) if point.name == name})
        if not offers:
            raise self._error(f"There is no {self.noun} {name!r}", suggestion(name, self.names()))
        if len(offers) > 1:
            raise self._error(
                f"Several packages offer a {self.noun} {name!r}: {', '.join(offers)}", "Remove all but one"
            )
        return offers[0]

    def _load(self, name: str, source: str) -> T:
        module, _, attribute = source.partition(":")
        try:
            found: T = getattr(importlib.import_module(module), attribute)
        except Exception as error:
            raise self._error(
                f"The {self.noun} {name!r} ({source}) cannot be imported: {error}",
                "Repair or remove the package that brings it",
            ) from error
        if not self._accepts(found):
            raise self._error(
                f"What {source} offers as {self.noun} {name!r} is no {self.noun}",
                "Repair or remove the package that brings it",
            )
        return found


def suggestion(name: str, known: Sequence[str]) -> str:
    """A next step for a name that is not known: the nearest one, and the list where it is short."""
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    return f"{hint}Known: {', '.join(known)}" if len(known) <= 25 else hint.strip()


def _entry_points(group: str) -> "Sequence[EntryPoint]":
    from importlib.metadata import entry_points  # noqa: PLC0415 (a megabyte that a board's server does without)

    return tuple(entry_points(group=group))
