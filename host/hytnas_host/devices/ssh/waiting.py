"""A limit on what paramiko waits for without one: a server's answer to what a channel asks for."""

import contextlib
import threading
from collections.abc import Iterator

import paramiko


@contextlib.contextmanager
def answered_within(limit_s: float, channel: paramiko.Channel) -> Iterator[None]:
    """Close the channel, and raise TimeoutError, where what is done here takes longer."""
    overdue = threading.Event()

    def give_up() -> None:
        overdue.set()
        channel.close()  # wakes whoever waits

    timer = threading.Timer(limit_s, give_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    except Exception as error:
        if overdue.is_set():
            raise TimeoutError(f"no answer within {limit_s:g} s") from error
        raise
    finally:
        timer.cancel()
