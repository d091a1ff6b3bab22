"""Running something in a throw-away process: what dies there takes nothing with it."""

import os
import subprocess
from collections.abc import Mapping, Sequence

from hytnas_agent.signals import signal_name


class Died(Exception):
    """The process could not be started, gave no answer in time, or was killed; its text says which."""


def run_apart(
    argv: Sequence[str], *, timeout_s: float, environment: Mapping[str, str], descriptors: Sequence[int] = ()
) -> subprocess.CompletedProcess[bytes]:
    """Run a command to its end, with this process's environment and more, and keep what it says.

    Raises
    ------
    Died
    """
    try:
        process = subprocess.run(
            argv,
            capture_output=True,
            timeout=timeout_s,
            check=False,
            env=os.environ | environment,
            pass_fds=descriptors,
        )
    except OSError as error:
        raise Died(f"{error.filename} cannot be started: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise Died(f"gave no answer within {timeout_s:g} s") from error
    if process.returncode < 0:
        raise Died(f"dies of {signal_name(-process.returncode)} on this device")
    return process


def last_words(process: subprocess.CompletedProcess[bytes]) -> str:
    """The last line of its errors, else its status."""
    errors = process.stderr.decode(errors="replace").strip().splitlines()
    return errors[-1] if errors else f"left with status {process.returncode}"
