"""A conversation with an agent that outlives its connections: hello, lease, reconnection with backoff."""

import contextlib
import os
import platform
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from hytnas_agent import __version__
from hytnas_agent.account import user_name
from hytnas_agent.lease import clock_time
from hytnas_agent.protocol import (
    PROTOCOL_MAJOR,
    PROTOCOL_MINOR,
    AcquireParams,
    AcquireResult,
    BusyHolder,
    ErrorCode,
    HelloParams,
    HelloResult,
    Nothing,
    Progress,
    RpcError,
    TokenParams,
)
from hytnas_host.devices.errors import (
    DeviceBusyError,
    DeviceError,
    DeviceRefusedError,
    DeviceSilentError,
)
from hytnas_host.devices.heartbeat import Heartbeat
from hytnas_host.devices.link import Link, LinkLostError
from hytnas_host.devices.transport import Transport

Result = TypeVar("Result", bound=msgspec.Struct)

BACKOFF_S = (0.1, 0.5, 1.0, 2.0, 4.0)
REPLY_TIMEOUT_S = 30.0
HELLO_TIMEOUT_S = 60.0
LEASE_TTL_S = 120.0
CLOSE_TIMEOUT_S = 2.0
MAX_SILENCES = 2
MAX_SENSELESS = 2
"""After how much that is no protocol instead of an answer asking ends; at the greeting once is enough."""


class Session:
    """Asks the agent, on a new connection where the old one was lost.

    Everything the protocol offers may be asked twice (jobs are idempotent by their id), so a question that
    was cut off is asked again.

    Parameters
    ----------
    name : str
        The device's name, for messages.
    transport : Transport
    client_id : str
        Owner of the jobs; the same for this user on this host at any time.
    backoff_s : sequence of float
        Pauses before each new attempt to connect; then the device counts as not reachable.
    on_progress : callable, optional
        Called from another thread with every progress notification.
    upgrade : str, optional
        What the person can do where the agent is of another version.
    """

    def __init__(
        self,
        name: str,
        transport: Transport,
        *,
        client_id: str,
        backoff_s: Sequence[float] = BACKOFF_S,
        on_progress: Callable[[Progress], None] | None = None,
        upgrade: str | None = None,
    ) -> None:
        self.name = name
        self.transport = transport
        self._client_id = client_id
        self._backoff_s = tuple(backoff_s)
        self._session_id = uuid.uuid4().hex
        self._on_progress = on_progress
        self._upgrade = (
            upgrade or f"install this host's version there with: hytnas-profile device provision {name}"
        )
        # The first two are held over the network, and so never by `close`.
        self._connecting = threading.Lock()
        self._leasing = threading.Lock()
        self._guard = threading.Lock()
        self._closed = threading.Event()
        self._link: Link | None = None
        self._hello: HelloResult | None = None
        self._reason: str | None = None
        self._token: int | None = None
        self._lost_lease = False
        self._heart = Heartbeat(self.beat, LEASE_TTL_S / 4)

    def hello(self) -> HelloResult:
        """What the agent said on connecting; connects if need be. Raises DeviceError."""
        lost = ""
        for _ in self._attempts():
            try:
                self._connected()
                assert self._hello is not None
                return self._hello
            except LinkLostError as error:
                self._judge_senseless(error, None, 0)
                lost = str(error)
            except RpcError as error:
                self._judge(error, None)
                lost = error.what
        raise self._unreachable(lost)

    def ask(
        self,
        method: str,
        params: msgspec.Struct | Callable[[int], msgspec.Struct],
        kind: type[Result],
        timeout_s: float = REPLY_TIMEOUT_S,
        *,
        max_silences: int = MAX_SILENCES,
    ) -> Result:
        """Ask until there is an answer, on new connections if need be.

        Parameters
        ----------
        method : str
        params : Struct, or a function from the lease's token to it
            The function is called anew after each reconnection; it needs a lease (``acquire``).
        kind : the result's type
        timeout_s : float
            How long one attempt waits for its answer.
        max_silences : int
            How many attempts wait so long in vain.

        Raises
        ------
        DeviceSilentError
            Each of ``max_silences`` attempts waited in vain.
        DeviceError
            Not reachable after all attempts, or the agent refused.
        RpcError
            The agent refused with NOT_SPOOLED or HASH_MISMATCH: the caller has the file.
        """
        lost = ""
        silences = senseless = 0
        for _ in self._attempts():
            link = None
            try:
                link = self._connected()
                filled = params(self._leased(link)) if callable(params) else params
                return link.call(method, filled, kind, timeout_s)
            except LinkLostError as error:
                lost = str(error)
                silences += error.silent
                self._drop(link)
                senseless = self._judge_senseless(error, link, senseless)
            except RpcError as error:
                self._judge(error, link)
                lost = error.what
            if silences >= max_silences:
                raise self._unreachable(lost, DeviceSilentError)
        raise self._unreachable(lost)

    def put(self, file: Path, destination: str) -> None:
        """Copy a file to a path on the device, again from the start where the way there was lost.

        It needs the lease (``acquire``), each time anew: on a lost connection somebody else may have it.

        Raises
        ------
        DeviceError
            Not reachable after all attempts; DeviceBusyError where somebody else has the lease by now.
        DeviceRefusedError
            Trying again would not help: the file cannot be read here, the device does not take it, or lets
            nobody in any more.
        """
        lost = ""
        senseless = 0
        for _ in self._attempts():
            link = None
            try:
                link = self._connected()
                # The way of files may stand where this one is lost, and the lease with it: ask.
                link.call("heartbeat", TokenParams(self._leased(link)), Nothing, REPLY_TIMEOUT_S)
                self._transfer(file, destination)
            except (OSError, LinkLostError) as error:
                lost = _in_short(error)
                self._drop(link)
                senseless = self._judge_senseless(error, link, senseless)
            except RpcError as error:
                self._judge(error, link)
                lost = error.what
            else:
                return
        raise self._unreachable(lost)

    def _transfer(self, file: Path, destination: str) -> None:
        try:
            self.transport.put(file, destination)
        except OSError:
            raise
        except DeviceError as error:
            raise DeviceRefusedError(f"device {self.name!r}: {error.what}", error.next_step) from error

    def _attempts(self) -> Iterator[None]:
        for pause_s in (0.0, *self._backoff_s):
            if self._closed.wait(pause_s):
                raise self._was_closed()
            yield

    def acquire(self, reason: str) -> None:
        """Take the device's lease and keep it, over reconnections too, until ``release``.

        A lease that is held already is given back first. Raises DeviceBusyError where somebody else holds it.
        """
        self.release()
        self._reason = reason
        self.ask("heartbeat", TokenParams, Nothing)
        self._heart.start()

    def release(self) -> None:
        """Give the lease back; nothing happens without one."""
        self._reason = None
        token, self._token = self._token, None
        link = self._link
        if token is not None and link is not None:
            with contextlib.suppress(LinkLostError, RpcError):
                link.call("release", TokenParams(token), Nothing, CLOSE_TIMEOUT_S)

    def beat(self) -> None:
        """Keep the lease alive; a lost one is taken again by the next question that needs it."""
        link, token = self._link, self._token
        if link is not None and token is not None:
            with contextlib.suppress(LinkLostError, RpcError):
                link.call("heartbeat", TokenParams(token), Nothing, REPLY_TIMEOUT_S)

    def tell(self, method: str, params: msgspec.Struct, kind: type[Result], timeout_s: float) -> None:
        """Ask once on the present connection and let a failure pass; for winding up."""
        link = self._link
        if link is not None:
            with contextlib.suppress(LinkLostError, RpcError):
                link.call(method, params, kind, timeout_s)

    def close(self) -> None:
        """Release the lease and end the connection, for good; whoever asks meanwhile gets a DeviceError."""
        self._heart.stop()
        with self._guard:
            self._closed.set()  # from now on no link comes to be
        self.release()
        self._drop(self._link)
        self.transport.close()

    def _connected(self) -> Link:
        """The link, made now where there is none; of several that ask for it, one makes it."""
        with self._connecting:
            if self._link is not None:
                return self._link
            if self._closed.is_set():
                raise self._was_closed()
            try:
                connection = self.transport.connect()
            except OSError as error:
                raise LinkLostError(_in_short(error)) from error
            link = Link(connection, self._on_progress)
            try:
                hello = self._greet(link)
                with self._guard:
                    if self._closed.is_set():
                        raise self._was_closed()
                    self._link, self._hello = link, hello
            except BaseException:
                link.close()
                raise
            return link

    def _greet(self, link: Link) -> HelloResult:
        params = HelloParams(
            protocol_major=PROTOCOL_MAJOR,
            protocol_minor=PROTOCOL_MINOR,
            client_id=self._client_id,
            client_name=person(),
            client_pid=os.getpid(),
            client_version=__version__,
            session_id=self._session_id,
        )
        hello = link.greet(params, HELLO_TIMEOUT_S)
        # A later agent says our minor; one that says its own is no reason to stop.
        return msgspec.structs.replace(hello, protocol_minor=min(hello.protocol_minor, PROTOCOL_MINOR))

    def _leased(self, link: Link) -> int:
        with self._leasing:
            if self._token is not None:
                return self._token
            if self._reason is None:
                raise DeviceError(
                    f"device {self.name!r} was asked to work without a lease", "acquire it first"
                )
            params = AcquireParams(self._reason, LEASE_TTL_S)
            token = link.call("acquire", params, AcquireResult, REPLY_TIMEOUT_S).token
            with self._guard:
                if self._link is not link:
                    raise LinkLostError("the connection was closed")
                self._token, self._lost_lease = token, False
            return token

    def _drop(self, link: Link | None) -> None:
        """Close ``link`` and, unless another thread has replaced it already, forget it."""
        with self._guard:
            if self._link is link:
                self._lost_lease = self._lost_lease or self._token is not None
                self._link, self._token = None, None
        if link is not None:
            link.close()

    def _judge_senseless(self, error: Exception, link: Link | None, before: int) -> int:
        """How often something senseless came, with those before; raises where asking again cannot help."""
        if not (isinstance(error, LinkLostError) and error.senseless):
            return before
        if link is not None and before + 1 < MAX_SENSELESS:
            return before + 1
        raise DeviceRefusedError(
            f"device {self.name!r}: {error}",
            f"see what answers there with: hytnas-profile device doctor {self.name}; {self._upgrade}",
        ) from error

    def _judge(self, error: RpcError, link: Link | None) -> None:
        """Raise what cannot be helped by asking again; return for what can."""
        if error.code == ErrorCode.STALE_TOKEN:
            self._token = None
        elif error.code == ErrorCode.SHUTTING_DOWN:
            self._drop(link)
        elif error.code == ErrorCode.PROTOCOL_MISMATCH:
            raise DeviceRefusedError(f"device {self.name!r}: {error.what}", self._upgrade) from error
        elif error.code in (ErrorCode.NOT_SPOOLED, ErrorCode.HASH_MISMATCH):
            raise error
        elif error.code == ErrorCode.BUSY:
            if self._was_ours(error.busy):
                return
            raise _busy(self.name, error) from error
        else:
            raise DeviceRefusedError(f"device {self.name!r}: {error.what}", error.next_step) from error

    def _was_ours(self, holder: BusyHolder | None) -> bool:
        """Whether our own lost connection holds the lease, which an old agent has not noticed yet."""
        if holder is None or self._offers("lease.takeover"):
            return False
        return self._lost_lease and holder.pid == os.getpid()

    def _offers(self, capability: str) -> bool:
        """Whether the agent can do what a later minor version of the protocol has added."""
        return self._hello is not None and capability in self._hello.capabilities

    def _was_closed(self) -> DeviceError:
        return DeviceError(f"the connection to device {self.name!r} was closed here")

    def _unreachable(self, lost: str, kind: type[DeviceError] = DeviceError) -> DeviceError:
        return kind(
            f"device {self.name!r} not reachable: {lost}",
            f"check it with: hytnas-profile device doctor {self.name}, then run the same command again",
        )


def _busy(name: str, error: RpcError) -> DeviceBusyError:
    """Who has the device, and since when."""
    holder = error.busy
    if holder is None:
        return DeviceBusyError(f"device {name!r}: {error.what}", error.next_step)
    since = clock_time(holder.since_unix_s)
    return DeviceBusyError(
        f"device {name!r} is held by {holder.holder} (process {holder.pid}) since {since}: {holder.reason}",
        "wait until it is done, or end that process",
    )


def _in_short(error: Exception) -> str:
    """What happened, without a next step of its own: there is a better one."""
    return error.what if isinstance(error, DeviceError) else str(error)


def person() -> str:
    """Who holds the device, or a study, as others are told."""
    return f"{user_name()}@{platform.node()}"
