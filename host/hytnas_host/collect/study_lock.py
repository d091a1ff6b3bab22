"""One collection a study at a time: what two store of one process would depend on chance."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from hytnas_agent.lease import DeviceLease, clock_time
from hytnas_agent.protocol import RpcError
from hytnas_datasets.errors import StudyError
from hytnas_datasets.store import Study
from hytnas_host.devices.session import person

LOCK_FILE: Final = "collecting.lock"


@contextmanager
def collecting(study: Study, what: str) -> Iterator[None]:
    """Hold the study for measuring into it; others may read it, train into it and search meanwhile.

    The kernel lets the lock go when the process ends, however it ends.

    Parameters
    ----------
    study : Study
    what : str
        What is collected, as others are told.

    Raises
    ------
    StudyError
        Somebody else measures into it; the line says who, and since when.
    AgentError
        The lock file cannot be opened or written.
    """
    lock = DeviceLease(study.folder / LOCK_FILE)
    try:
        lock.acquire(person(), what, os.getpid())
    except RpcError as error:
        raise _held(study, error) from error
    try:
        yield
    finally:
        lock.release()


def _held(study: Study, error: RpcError) -> StudyError:
    holder = error.busy
    who = "somebody else"
    if holder is not None:
        since = clock_time(holder.since_unix_s)
        who = f"{holder.holder} (process {holder.pid}, since {since}: {holder.reason})"
    return StudyError(
        f"{who} is measuring into the study {study.folder}",
        "Wait until that is done, or end that process. One collection takes several devices: repeat --device",
    )
