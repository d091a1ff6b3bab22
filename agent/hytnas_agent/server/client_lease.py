"""Who may measure: the device lease as the connections of one server see it."""

import time
from collections.abc import Callable

from hytnas_agent.deadline import Deadline
from hytnas_agent.errors import AgentError
from hytnas_agent.lease import DeviceLease, busy_error
from hytnas_agent.protocol import ErrorCode, RpcError

MIN_TTL_S = 1.0
MAX_TTL_S = 3600.0


class ClientLease:
    """The present holder, its token and when it expires.

    A holder that leaves while its job is running keeps the device until that job has ended; the same client
    may take it over meanwhile, others find it busy.

    Parameters
    ----------
    lease : DeviceLease
        The lock on the device.
    job_running : callable
        Whether a job's process is running.
    clock : callable
        Seconds, monotonic.
    on_begin, on_end : callable
        Called when the device was given to somebody, and before it is let go, while nobody else can
        have it yet: no job runs then.
    """

    def __init__(
        self,
        lease: DeviceLease,
        job_running: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
        on_begin: Callable[[], None] = lambda: None,
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        self._lease, self._job_running, self._clock = lease, job_running, clock
        self._on_begin, self._on_end = on_begin, on_end
        self._client_id: str | None = None
        self._leaving = False
        self._ttl_s = MAX_TTL_S
        self._expiry = Deadline(MAX_TTL_S, clock=clock)

    @property
    def token(self) -> int | None:
        """The token that jobs need now; None where nobody holds the device."""
        return None if self._leaving else self._lease.token

    def acquire(self, client_id: str, holder: str, pid: int, reason: str, ttl_s: float) -> int:
        """Give the device to a client; its token.

        Raises
        ------
        RpcError
            BUSY, or INVALID_PARAMS for a time to live out of range.
        """
        if not MIN_TTL_S <= ttl_s <= MAX_TTL_S:
            raise RpcError(ErrorCode.INVALID_PARAMS, f"ttl_s must be {MIN_TTL_S:g} to {MAX_TTL_S:g}")
        if not self._lease.held:
            token = self._lease.acquire(holder, reason, pid)
            self._begin()
        elif self._leaving and client_id == self._client_id:
            token = self._lease.renew(holder, reason, pid)
        else:
            raise busy_error(self._lease.holder())
        self._client_id, self._leaving, self._ttl_s = client_id, False, ttl_s
        self.sign_of_life(token)
        return token

    def check(self, token: int | None) -> None:
        """Refuse a token that is not the present one.

        Raises
        ------
        RpcError
            STALE_TOKEN.
        """
        if token is None or token != self.token:
            raise RpcError(
                ErrorCode.STALE_TOKEN,
                "the lease has ended or belongs to someone else",
                "Acquire the device again",
            )

    def sign_of_life(self, token: int | None) -> None:
        """Note that the holder with this token said something."""
        if token is not None and token == self.token:
            self._expiry = Deadline(self._ttl_s, clock=self._clock)

    def leave(self) -> None:
        """End the lease: at once, or with the running job."""
        self._leaving = True
        if not self._job_running():
            self._end()

    def job_ended(self) -> None:
        """A job's process has ended: the holder's time counts from here."""
        self._expiry = Deadline(self._ttl_s, clock=self._clock)
        if self._leaving:
            self._end()

    def seconds_left(self) -> float | None:
        """Until the lease expires; None where nothing can expire."""
        if self.token is None or self._job_running():
            return None
        return self._expiry.remaining

    def _begin(self) -> None:
        try:
            self._on_begin()
        except AgentError:
            self._lease.release()
            raise

    def _end(self) -> None:
        try:
            self._on_end()
        finally:
            self._lease.release()
            self._client_id, self._leaving = None, False
