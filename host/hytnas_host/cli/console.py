"""What commands print with: one console, progress bars with rate and time left, JSON for programs."""

import json
import os
import re
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import IO, Any, Final, Self

import msgspec
from rich.console import Console, ConsoleOptions, RenderableType
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichBars
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from hytnas_agent.output import plain

PIPED_WIDTH = 140
"""Columns where standard output is no terminal and says none."""

LONGEST_NAME = 40
"""Characters up to which the first cell of a row stays on one line."""


ARCHITECTURE: Final = "architecture"
"""Title of a column of ids, which stay whole on any terminal: they are copied into other commands."""


class PlainConsole(Console):
    """A console whose terminal obeys rich alone, and nothing that is in the texts."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render with everything blank that is neither printable nor rich's own control."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(plain(segment.text, kept="\n"), segment.style)


out = PlainConsole(highlight=False)
if not out.is_terminal and "COLUMNS" not in os.environ:
    out.width = PIPED_WIDTH
err = PlainConsole(stderr=True, highlight=False)


class _RateColumn(ProgressColumn):
    """Units a minute, over the recent past."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed * 60:.0f}/min" if speed else "", style="progress.data.speed")


LINE_EVERY_S: Final = 60.0
"""So often at least a line is printed where there is no terminal, as long as work goes on."""


class BarProgress:
    """A terminal bar on standard error; without a terminal, a line at first, each tenth and each minute."""

    def __init__(
        self, description: str, total: int, done: int = 0, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._description, self._total, self._done = description, total, done
        self._clock, self._note = clock, ""
        self._began_s = self._line_s = clock()
        self._ended = threading.Event()
        self._bars = RichBars(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            _RateColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("[dim]{task.fields[note]}"),
            console=err,
            refresh_per_second=2,  # drawn beside timed runs
            disable=not err.is_terminal,
        )
        self._task = self._bars.add_task(escape(description), total=total, completed=done, note="")

    def __enter__(self) -> Self:
        self._bars.start()
        self._line()
        if not err.is_terminal:
            threading.Thread(target=self._go_on, daemon=True, name="progress").start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._bars.update(self._task, note="")
        self._bars.stop()

    def advance(self, steps: int = 1) -> None:
        """Count ``steps`` more units of work as done."""
        before = self._tenth()
        self._done += steps
        self._bars.advance(self._task, steps)
        if self._tenth() != before or self._is_due():
            self._line()

    def note(self, text: str) -> None:
        """Show one line about what is going on now; without a terminal, as a part of the next line."""
        self._note = text
        self._bars.update(self._task, note=escape(text))
        if self._is_due():
            self._line()

    def event(self, text: str) -> None:
        """Show one line that stays, about something that happened."""
        err.print(text, markup=False, soft_wrap=True)

    def _go_on(self) -> None:
        """Print lines although nothing is counted, such as while models are exported."""
        while not self._ended.wait(LINE_EVERY_S / 2):
            if self._is_due():
                self._line()

    def _tenth(self) -> int:
        return 10 * self._done // max(self._total, 1)

    def _is_due(self) -> bool:
        return self._clock() - self._line_s >= LINE_EVERY_S

    def _line(self) -> None:
        if err.is_terminal:
            return
        self._line_s = self._clock()
        minutes, seconds = divmod(round(self._line_s - self._began_s), 60)
        after = f" after {minutes}:{seconds:02}" if minutes or seconds else ""
        note = f"; {self._note}" if self._note else ""
        err.print(
            f"{self._description}: {self._done}/{self._total}{after}{note}", markup=False, soft_wrap=True
        )


def print_json(value: Any) -> None:
    """Print a struct, or a plain value, as one JSON document on standard output."""
    text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    # JSON need not escape the first, which some terminals obey, nor what the encoding of a terminal lacks.
    unsafe = "[\x7f-\x9f]" if _takes_all(out.file) else "[^\0-\x7e]"
    out.file.write(re.sub(unsafe, lambda found: json.dumps(found[0])[1:-1], text) + "\n")


def _takes_all(stream: IO[str]) -> bool:
    return (getattr(stream, "encoding", None) or "utf-8").lower().startswith("utf")


def print_table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], caption: str = ""
) -> None:
    """Print rows; columns whose name ends in a unit or is a number are set right."""
    table = Table(title=title, title_justify="left", caption=caption or None, caption_justify="left")
    for index, column in enumerate(columns):
        numeric = all(isinstance(row[index], int | float) or _figure(str(row[index])) for row in rows)
        # Names stay whole; sentences wrap, or a narrow terminal has no room for what is said of them.
        named = column == ARCHITECTURE or (
            index == 0 and all(len(str(row[0])) <= LONGEST_NAME for row in rows)
        )
        table.add_column(
            column, justify="right" if numeric and rows else "left", overflow="fold", no_wrap=named
        )
    for row in rows:
        table.add_row(*(escape(str(cell)) for cell in row))
    out.print(table)


def _figure(text: str) -> bool:
    return not text or text[0].isdigit() or (text[0] in "+-" and (len(text) == 1 or text[1].isdigit()))
