"""One connection to an agent: requests matched to answers by id, every wait with a deadline."""

import contextlib
import itertools
import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from typing import TypeVar

import msgspec

from hytnas_agent.protocol import (
    METHODS,
    PROTOCOL_MAJOR,
    ErrorCode,
    HelloParams,
    HelloResult,
    Progress,
    RpcError,
)
from hytnas_agent.wire import (
    LineSplitter,
    Request,
    Response,
    decode_reply,
    decode_result,
    decode_version,
    encode_request,
)
from hytnas_host.devices.transport import Connection

Result = TypeVar("Result", bound=msgspec.Struct)

SEND_TIMEOUT_S = 10.0


class LinkLostError(Exception):
    """The connection ended or stopped answering; what had been asked may be asked again on a new one.

    ``silent`` is true where the agent is connected but did not answer in time, ``senseless`` where what it
    sent is not the protocol.
    """

    def __init__(self, why: str, *, silent: bool = False, senseless: bool = False) -> None:
        super().__init__(why)
        self.silent, self.senseless = silent, senseless


class Link:
    """JSON-RPC over one `Connection`, usable from several threads.

    Parameters
    ----------
    connection : Connection
        Closed with the link.
    on_progress : callable, optional
        Called from the reading thread with every ``progress`` notification.
    """

    def __init__(self, connection: Connection, on_progress: Callable[[Progress], None] | None = None) -> None:
        self._connection = connection
        self._on_progress = on_progress
        self._ids = itertools.count(1)
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        self._pending: dict[int, Future[Response]] = {}
        self._lost: str | None = None
        self._senseless = False
        self._reader = threading.Thread(target=self._read, name="agent-link", daemon=True)
        self._reader.start()

    def call(self, method: str, params: msgspec.Struct, kind: type[Result], timeout_s: float) -> Result:
        """Ask and wait at most ``timeout_s`` for the answer.

        Raises
        ------
        LinkLostError
            The connection ended, or the answer did not come in time; the link is then of no more use.
        RpcError
            The agent answered with an error.
        """
        assert METHODS[method] == (type(params), kind), f"{method} does not go with these types"
        return decode_result(self._ask(method, params, timeout_s), kind)

    def greet(self, params: HelloParams, timeout_s: float) -> HelloResult:
        """Say hello, which goes before all else.

        Raises
        ------
        LinkLostError
            See `call`.
        RpcError
            PROTOCOL_MISMATCH for an agent of another major version, whatever else it answers.
        """
        response = self._ask("hello", params, timeout_s)
        if isinstance(response.result, msgspec.Raw):
            version = decode_version(response.result)
            if version.protocol_major != PROTOCOL_MAJOR:
                raise RpcError(
                    ErrorCode.PROTOCOL_MISMATCH,
                    f"its agent {version.agent_version} speaks protocol {version.protocol_major}, "
                    f"this host {PROTOCOL_MAJOR}",
                )
        return decode_result(response, HelloResult)

    def _ask(self, method: str, params: msgspec.Struct, timeout_s: float) -> Response:
        answer: Future[Response] = Future()
        with self._lock:
            if self._lost is not None:
                raise self._lost_error()
            request_id = next(self._ids)
            self._pending[request_id] = answer
        try:
            self._send(encode_request(request_id, method, params))
            return answer.result(timeout_s)
        except TimeoutError as error:
            self._lose(f"no answer to {method} within {timeout_s:.0f} s")
            raise self._lost_error(silent=True) from error
        except OSError as error:
            raise self._lost_error() from error
        finally:
            with self._lock:
                self._pending.pop(request_id, None)

    def _send(self, line: bytes) -> None:
        try:
            with self._sending:
                self._connection.send(line, SEND_TIMEOUT_S)
        except OSError as error:
            self._lose(self._connection.diagnosis() or f"the connection takes no data: {error}")
            raise ConnectionResetError from error

    def close(self) -> None:
        """End the connection; whoever still waits gets a LinkLostError."""
        self._lose("the connection was closed")
        self._connection.close()
        self._reader.join(1.0)

    def _read(self) -> None:
        try:
            self._read_on()
        except BaseException:
            self._lose("an answer could not be handled")
            raise

    def _read_on(self) -> None:
        splitter = LineSplitter()
        while data := self._connection.receive():
            for line in splitter.feed(data):
                if line is None:
                    self._lose("the agent sent a message over the size limit", senseless=True)
                    return
                try:
                    self._dispatch(line)
                except RpcError as error:
                    self._lose(error.what, senseless=True)
                    return
        self._lose(self._connection.diagnosis() or "the connection ended")

    def _dispatch(self, line: bytes) -> None:
        message = decode_reply(line)
        if isinstance(message, Request):
            self._notify(message)
            return
        if message.id is None:
            # The agent could not even tell which request it answers.
            decode_result(message, msgspec.Struct)
        with self._lock:
            answer = self._pending.get(message.id) if isinstance(message.id, int) else None
        if answer is not None:
            with contextlib.suppress(InvalidStateError):
                answer.set_result(message)

    def _notify(self, message: Request) -> None:
        if message.method != "progress" or self._on_progress is None:
            return
        try:
            progress = msgspec.json.decode(message.params, type=Progress)
        except msgspec.DecodeError as error:
            raise RpcError(ErrorCode.PARSE_ERROR, f"the agent sent a malformed progress: {error}") from error
        self._on_progress(progress)

    def _lost_error(self, *, silent: bool = False) -> LinkLostError:
        return LinkLostError(self._lost or "", silent=silent, senseless=self._senseless)

    def _lose(self, why: str, *, senseless: bool = False) -> None:
        with self._lock:
            if self._lost is None:
                self._lost, self._senseless = why, senseless
            waiting = list(self._pending.values())
        for answer in waiting:
            with contextlib.suppress(InvalidStateError):
                answer.set_exception(ConnectionResetError(self._lost))
