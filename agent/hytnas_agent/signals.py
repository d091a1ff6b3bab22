"""Names of signals."""

import signal


def signal_name(number: int) -> str:
    """The name of a signal, of a real-time one too, which Python knows by its number alone.

    >>> signal_name(11)
    'SIGSEGV'
    """
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIGRTMIN+{number - signal.SIGRTMIN}" if number > signal.SIGRTMIN else f"signal {number}"
