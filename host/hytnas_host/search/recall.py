"""Answers that depend on the question alone: recent ones are remembered, in bounded memory."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

REMEMBERED: Final = 8192
"""How many answers are remembered; a generation of a search asks for the same few hundred several times."""


class Recall(Generic[K, V]):
    """Asks ``answer`` for what it was not asked lately.

    Parameters
    ----------
    answer : callable
        Takes n different questions and gives n answers, each of which depends on its question alone.
    limit : int
        How many answers are remembered. Beyond it all are forgotten, and asked for again.

    Examples
    --------
    >>> squares = Recall(lambda numbers: [number**2 for number in numbers])
    >>> squares([3, 3, 4])
    [9, 9, 16]
    """

    def __init__(self, answer: Callable[[list[K]], Iterable[V]], limit: int = REMEMBERED) -> None:
        self._answer = answer
        self._limit = limit
        self._known: dict[K, V] = {}

    def __len__(self) -> int:
        return len(self._known)

    def __call__(self, questions: Sequence[K]) -> list[V]:
        """The answers to n questions, in order."""
        new = [each for each in dict.fromkeys(questions) if each not in self._known]
        if new and len(self._known) + len(new) > self._limit:
            self._known = {}
            new = list(dict.fromkeys(questions))
        if new:
            self._known.update(zip(new, self._answer(new), strict=True))
        return [self._known[each] for each in questions]
