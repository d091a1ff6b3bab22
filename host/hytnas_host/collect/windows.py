"""The windows of a source, prepared once each, for any number of threads."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from hytnas_host.collect.model import Model
from hytnas_host.export.target import ModelKind

# Gives the models of one window, exporting them if need be.
Window = Callable[[], list[Model]]


@dataclass(frozen=True)
class Source:
    """Where the models of a collection come from.

    Attributes
    ----------
    windows : sequence of Window
    models : int
        How many there are in all.
    known : sequence of str
        Hashes of those that the study holds already, of which results may be stored.
    canary : Window
        Gives the canary, or nothing.
    cancel : callable
        Makes a window that is being prepared in another thread end soon.
    kind : ModelKind
        Of all the models.
    """

    windows: Sequence[Window]
    models: int
    known: Sequence[str]
    canary: Window
    cancel: Callable[[], None]
    kind: ModelKind = field(default_factory=ModelKind)


class PreparedWindows:
    """Prepares a source's windows in order, in a thread of its own.

    Parameters
    ----------
    source : Source
    ahead : int
        Windows to prepare beyond the one that is asked for; 0 where devices share the processor with the
        preparation, which then takes turns with them.
    """

    def __init__(self, source: Source, *, ahead: int) -> None:
        self.source = source
        self._ahead = ahead
        self._lock = threading.Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="prepare")
        self._prepared: list[Future[list[Model]]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.source.cancel()
        self._thread.shutdown(wait=True, cancel_futures=True)

    def __len__(self) -> int:
        return len(self.source.windows)

    @property
    def exported(self) -> int:
        """Models prepared so far."""
        done = [future for future in self._prepared if future.done() and not future.cancelled()]
        return sum(len(future.result()) for future in done if future.exception() is None)

    def window(self, number: int) -> list[Model]:
        """The models of a window, waiting for them; raises what their preparation raised."""
        with self._lock:
            wanted = self.source.windows[len(self._prepared) : number + 1 + self._ahead]
            self._prepared += [self._thread.submit(window) for window in wanted]
            prepared = self._prepared[number]
        return prepared.result()
