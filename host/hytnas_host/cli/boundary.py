"""Where errors become one clear line and an exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""

import errno
import sqlite3
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, NoReturn

import typer
from rich.markup import escape
from typer.core import TyperGroup

from hytnas_agent.errors import HytnasError
from hytnas_agent.output import plain
from hytnas_datasets.errors import DamagedRowsWarning
from hytnas_host.cli.console import PlainConsole

INTERRUPTED_STATUS = 130
AFTER_FULL_DISK = "Nothing already gathered is lost: free some space and run the same command again"


def explain(error: Exception) -> str | None:
    """One line for an error a person can do something about; ``None`` for a defect of the toolkit."""
    if isinstance(error, HytnasError):
        return str(error)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        where = f" while writing {error.filename}" if error.filename else ""
        return f"The disk is full{where}. {AFTER_FULL_DISK}"
    if isinstance(error, sqlite3.OperationalError) and "full" in str(error):
        return f"The disk is full. {AFTER_FULL_DISK}"
    if isinstance(error, OSError) and error.filename:
        return f"{error.strerror}: {error.filename}"
    return None


class ErrorBoundary(TyperGroup):
    """A command group whose commands fail with one line instead of a traceback (``--debug`` shows it)."""

    def invoke(self, ctx: Any) -> Any:
        """Run the chosen command; turn explained errors into a line and an exit status."""
        try:
            with _damage_as_lines():
                return super().invoke(ctx)
        except KeyboardInterrupt:
            _fail(
                "interrupted: what was gathered is stored; the same command goes on",
                INTERRUPTED_STATUS,
            )
        except Exception as error:
            line = explain(error)
            if line is None or ctx.params.get("debug"):
                raise
            _fail(line, 1)


@contextmanager
def _damage_as_lines() -> Iterator[None]:
    """What of a study is left out because it cannot be read is a line each, on standard error."""
    with warnings.catch_warnings():
        warnings.simplefilter("default", DamagedRowsWarning)
        others = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *place: Any) -> None:
            if issubclass(category, DamagedRowsWarning):
                console = PlainConsole(stderr=True, soft_wrap=True)
                console.print(f"[bold yellow]warning:[/] {escape(plain(str(message)))}")
            else:
                others(message, category, *place)

        warnings.showwarning = show  # type: ignore[assignment]  # its other arguments are passed on
        yield


def show_traceback(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print a traceback, whose texts may come from elsewhere, as lines that no terminal obeys."""
    text = "".join(traceback.format_exception(kind, error, trace))
    sys.stderr.write(plain(text, kept="\n"))


def _fail(line: str, status: int) -> NoReturn:
    console = PlainConsole(stderr=True, soft_wrap=True)
    line = plain(line)
    console.print(f"[bold red]error:[/] {escape(line)}" if status == 1 else f"[bold yellow]{escape(line)}[/]")
    raise typer.Exit(status)
