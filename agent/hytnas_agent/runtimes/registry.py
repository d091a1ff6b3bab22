"""Runtimes by name: the bundled ones, and those of installed packages.

Other packages offer runtimes by entry points of the group ``hytnas.runtimes``, each a `RuntimeEntry` in a
module that does not import the runtime itself.
"""

import importlib
from collections.abc import Iterator
from typing import Final

from hytnas_agent.errors import HytnasError
from hytnas_agent.records import ModelFormat, Outcome
from hytnas_agent.registry import Registry
from hytnas_agent.runtimes.base import Runtime, RuntimeEntry, RuntimeFailure


def _unsupported(what: str, next_step: str | None) -> RuntimeFailure:
    return RuntimeFailure(Outcome.UNSUPPORTED, str(HytnasError(what, next_step)))


RUNTIMES: Final[Registry[RuntimeEntry]] = Registry(
    "hytnas.runtimes",
    "runtime",
    {
        "onnxruntime": "hytnas_agent.runtimes.bundled:ONNXRUNTIME",
        # Before its elder, which is no longer released and computes some quantised models wrongly.
        "ai-edge-litert": "hytnas_agent.runtimes.bundled:AI_EDGE_LITERT",
        "tflite-runtime": "hytnas_agent.runtimes.bundled:TFLITE_RUNTIME",
    },
    error=_unsupported,
    accepts=lambda found: isinstance(found, RuntimeEntry),
)


def candidates(model_format: ModelFormat, name: str | None = None) -> Iterator[str]:
    """Names of the runtimes that could run the format, in order of preference, or the one named.

    The bundled ones come first, and installed packages are looked through only after them.

    Raises
    ------
    RuntimeFailure
        UNSUPPORTED, once it is clear that no runtime runs the format, or that the named one does not.
    """
    able = []
    for key in _in_order(name):
        try:
            fits = model_format in RUNTIMES.get(key).formats
        except RuntimeFailure:
            if name is not None:
                raise
            continue
        if fits:
            able.append(key)
            yield key
    if not able and name is None:
        raise _unsupported(f"no runtime of this agent runs the format {model_format}", None)
    if not able:
        known = ", ".join(candidates(model_format))
        raise _unsupported(
            f"the runtime {name!r} does not run the format {model_format}; known: {known}", None
        )


def _in_order(name: str | None) -> Iterator[str]:
    if name is not None:
        if name in RUNTIMES:
            yield name
        return
    yield from RUNTIMES.bundled
    yield from (other for other in RUNTIMES.names() if other not in RUNTIMES.bundled)


def create(name: str) -> Runtime:
    """Import and instantiate a runtime.

    Raises
    ------
    RuntimeFailure
        UNSUPPORTED, if it is not installed or this version is known not to work here.
    """
    entry = RUNTIMES.get(name)
    module, _, attribute = entry.target.partition(":")
    try:
        runtime: Runtime = getattr(importlib.import_module(module), attribute)()
    except ImportError as error:
        raise RuntimeFailure(Outcome.UNSUPPORTED, reason_absent(name, str(error))) from error
    return runtime


def reason_absent(name: str, why: str) -> str:
    """Why a runtime that is not installed cannot be used, and what it comes with."""
    entry = RUNTIMES.get(name)
    source = f"hytnas[{entry.extra}]" if entry.extra else entry.distribution
    return f"{name} is not usable here ({why}); it comes with {source}"
