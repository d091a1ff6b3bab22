"""Limits of a process, which may be lowered and not raised."""

import resource


def at_most(limit: int, value: int, pid: int = 0) -> int:
    """Bound what a process may use by ``value``, or by the lower limit that it has; the bound.

    Parameters
    ----------
    limit : int
        One of ``resource.RLIMIT_*``.
    pid : int
        The process; 0 is this one.

    Raises
    ------
    ProcessLookupError
        There is no such process.
    """
    _, hard = resource.prlimit(pid, limit)
    bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.prlimit(pid, limit, (bound, bound))
    return bound
