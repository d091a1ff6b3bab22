"""Trying runtimes in throw-away processes: one that dies at import takes nothing with it.

``python -m hytnas_agent.runtimes.probe NAME`` is that process: it imports the runtime, runs a model of one
node and prints the `RuntimeInfo` as the last line of its output.
"""

import contextlib
import hashlib
import importlib.util
import os
import sys
import tempfile
from pathlib import Path

import msgspec

from hytnas_agent import __version__
from hytnas_agent.launcher import NATIVE, current_launcher
from hytnas_agent.protocol import RuntimeInfo
from hytnas_agent.regular_file import open_regular
from hytnas_agent.runtimes.base import RuntimeFailure
from hytnas_agent.runtimes.registry import RUNTIMES, create, reason_absent
from hytnas_agent.throwaway import Died, last_words, run_apart
from hytnas_agent.whole_file import write_whole

PROBE_TIMEOUT_S = 60.0


class _Cache(msgspec.Struct, frozen=True):
    key: str
    runtimes: tuple[RuntimeInfo, ...]


def probe_runtimes(cache: Path) -> tuple[RuntimeInfo, ...]:
    """Every known runtime and whether it works here; remembered in ``cache`` until a package changes."""
    key = _installation_key()
    with contextlib.suppress(OSError, ValueError), open_regular(cache) as file:
        remembered = msgspec.json.decode(file.read(), type=_Cache)
        if remembered.key == key:
            return remembered.runtimes
    found = tuple(probe_runtime(name) for name in RUNTIMES.names())
    with contextlib.suppress(OSError):  # found again
        write_whole(cache, msgspec.json.encode(_Cache(key, found)), durable=False)
    return found


def probe_runtime(name: str) -> RuntimeInfo:
    """Try one runtime in a process of its own; a bundled one that is not installed needs none."""
    if name in RUNTIMES.bundled and _is_absent(name):
        entry = RUNTIMES.get(name)
        reason = reason_absent(name, f"{entry.distribution} is not installed")
        return RuntimeInfo(name, "", "", entry.formats, usable=False, reason=reason)
    try:
        with current_launcher().launch("-P", "-m", "hytnas_agent.runtimes.probe", name) as launch:
            process = run_apart(
                launch.argv,
                timeout_s=PROBE_TIMEOUT_S,
                environment=launch.environment,
                descriptors=launch.descriptors,
            )
    except Died as death:
        return _gave_no_answer(name, str(death))
    try:
        return msgspec.json.decode(process.stdout.splitlines()[-1], type=RuntimeInfo)
    except (IndexError, ValueError):
        return _gave_no_answer(name, last_words(process))


def _is_absent(name: str) -> bool:
    """Whether this Python, which would try the runtime, does not have it; another one is not asked here."""
    return current_launcher() is NATIVE and importlib.util.find_spec(RUNTIMES.get(name).module) is None


def _gave_no_answer(name: str, reason: str) -> RuntimeInfo:
    """Nothing of another package is imported here: what ended a process of its own would end this one."""
    if name in RUNTIMES.bundled:
        return _unusable(name, reason)
    return RuntimeInfo(name, "", "", (), usable=False, reason=reason)


def _unusable(name: str, reason: str) -> RuntimeInfo:
    import importlib.metadata  # noqa: PLC0415 (a megabyte that the server can mostly do without)

    try:
        entry = RUNTIMES.get(name)
    except RuntimeFailure as failure:
        return RuntimeInfo(name, "", "", (), usable=False, reason=failure.what)
    try:
        version = importlib.metadata.version(entry.distribution)
    except importlib.metadata.PackageNotFoundError:
        version = ""
    return RuntimeInfo(name, version, "", entry.formats, usable=False, reason=reason)


def _installation_key() -> str:
    """Changes when a package is installed or removed, with the agent, with Python and with the launcher."""
    folders = [(path, os.stat(path).st_mtime_ns) for path in sys.path if os.path.isdir(path)]
    return hashlib.sha256(repr((__version__, sys.version, folders, current_launcher())).encode()).hexdigest()


def try_here(name: str) -> RuntimeInfo:
    """Import the runtime into this process and run a tiny model."""
    import numpy as np  # noqa: PLC0415 (the server imports this module and must not import numpy)

    try:
        runtime = create(name)
        with tempfile.NamedTemporaryFile(suffix=f".{RUNTIMES.get(name).formats[0]}") as file:
            file.write(runtime.tiny_model)
            file.flush()
            model = runtime.load(Path(file.name), threads=1)
            inputs = [np.ones(spec.shape, spec.dtype) for spec in model.inputs]
            if not all(np.isfinite(output).all() for output in model.run(list(inputs))):
                return _unusable(name, "computes a tiny model wrongly")
    except RuntimeFailure as failure:
        return _unusable(name, failure.what)
    return runtime.info()


if __name__ == "__main__":
    sys.stdout.buffer.write(b"\n" + msgspec.json.encode(try_here(sys.argv[1])) + b"\n")
    sys.stdout.flush()
    os._exit(0)
