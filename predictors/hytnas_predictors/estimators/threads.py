"""Linear algebra on one thread: tables here are too small for more, and cores do not change a result."""

import sys
from contextlib import AbstractContextManager
from functools import lru_cache
from typing import Any

from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]


def one_thread() -> AbstractContextManager[Any]:
    """A context in which the libraries of linear algebra use one thread.

    Examples
    --------
    >>> with one_thread():
    ...     pass
    """
    limit: AbstractContextManager[Any] = _controller(len(sys.modules)).limit(limits=1)
    return limit


@lru_cache(maxsize=1)
def _controller(modules: int) -> ThreadpoolController:
    """The libraries that are loaded; to look for them takes longer than many a fit does."""
    del modules  # where more are imported, there may be another library
    return ThreadpoolController()
