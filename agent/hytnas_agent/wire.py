"""Reading and writing the protocol: JSON-RPC 2.0, one message a line, typed on both ends, size-limited.

Whatever the bytes, reading them ends in a typed message or an `RpcError`. See
https://www.jsonrpc.org/specification.
"""

from collections.abc import Iterator
from typing import Any, Literal, TypeVar

import msgspec

from hytnas_agent.protocol import (
    MAX_MESSAGE_BYTES,
    METHODS,
    ErrorCode,
    ErrorData,
    ErrorObject,
    RequestId,
    RpcError,
    Version,
)

Result = TypeVar("Result", bound=msgspec.Struct)


class Request(msgspec.Struct, frozen=True, omit_defaults=True):
    """A request, or a notification where ``id`` is unset."""

    jsonrpc: Literal["2.0"]
    method: str
    id: RequestId | msgspec.UnsetType = msgspec.UNSET
    params: msgspec.Raw = msgspec.Raw(b"{}")


class Response(msgspec.Struct, frozen=True):
    """A response: exactly one of ``result`` and ``error`` is set."""

    jsonrpc: Literal["2.0"]
    id: RequestId
    result: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    error: ErrorObject | msgspec.UnsetType = msgspec.UNSET


class _Reply(msgspec.Struct, frozen=True):
    jsonrpc: Literal["2.0"]
    id: RequestId = None
    method: str | None = None
    params: msgspec.Raw = msgspec.Raw(b"{}")
    result: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    error: ErrorObject | msgspec.UnsetType = msgspec.UNSET


class _Id(msgspec.Struct, frozen=True):
    id: RequestId = None


_REQUEST = msgspec.json.Decoder(Request)
_REPLY = msgspec.json.Decoder(_Reply)
_ID = msgspec.json.Decoder(_Id)
_VERSION = msgspec.json.Decoder(Version)
_ENCODER = msgspec.json.Encoder()
_PARAMS: dict[str, msgspec.json.Decoder[Any]] = {
    name: msgspec.json.Decoder(params) for name, (params, _) in METHODS.items()
}
# What msgspec raises on input: DecodeError and UnicodeDecodeError are ValueErrors.
_MALFORMED = (ValueError, RecursionError)


def encode_request(request_id: RequestId, method: str, params: msgspec.Struct) -> bytes:
    """A request as one line, newline included."""
    raw = msgspec.Raw(_ENCODER.encode(params))
    return _line({"jsonrpc": "2.0", "id": request_id, "method": method, "params": raw})


def encode_notification(method: str, params: msgspec.Struct) -> bytes:
    """A notification as one line, newline included."""
    return _line({"jsonrpc": "2.0", "method": method, "params": msgspec.Raw(_ENCODER.encode(params))})


def encode_result(request_id: RequestId, result: msgspec.Struct) -> bytes:
    """A successful response as one line, newline included."""
    return _line({"jsonrpc": "2.0", "id": request_id, "result": msgspec.Raw(_ENCODER.encode(result))})


def encode_error(request_id: RequestId, error: ErrorObject) -> bytes:
    """A failed response as one line, newline included."""
    return _line({"jsonrpc": "2.0", "id": request_id, "error": error})


def _line(message: dict[str, object]) -> bytes:
    return _ENCODER.encode(message) + b"\n"


def decode_request(line: bytes) -> Request:
    """Read what a client sent.

    Raises
    ------
    RpcError
        PARSE_ERROR or INVALID_REQUEST, with the request's id where it could be read.
    """
    try:
        return _REQUEST.decode(line)
    except msgspec.ValidationError as error:
        raise RpcError(
            ErrorCode.INVALID_REQUEST, f"not a JSON-RPC 2.0 request: {error}", request_id=_id_of(line)
        ) from error
    except _MALFORMED as error:
        raise RpcError(ErrorCode.PARSE_ERROR, f"not JSON: {error}") from error


def _id_of(line: bytes) -> RequestId:
    try:
        return _ID.decode(line).id
    except _MALFORMED:
        return None


def decode_version(message: msgspec.Raw) -> Version:
    """The protocol version in the parameters or the result of a ``hello`` of any version.

    Raises
    ------
    RpcError
        INVALID_PARAMS if there is none.
    """
    try:
        return _VERSION.decode(message)
    except _MALFORMED as error:
        raise RpcError(ErrorCode.INVALID_PARAMS, f"hello without a protocol version: {error}") from error


def decode_params(request: Request) -> Any:
    """The typed parameters of a request.

    Raises
    ------
    RpcError
        METHOD_NOT_FOUND, or INVALID_PARAMS naming the field.
    """
    decoder = _PARAMS.get(request.method)
    if decoder is None:
        raise RpcError(ErrorCode.METHOD_NOT_FOUND, f"unknown method {request.method!r}")
    try:
        return decoder.decode(request.params)
    except _MALFORMED as error:
        raise RpcError(
            ErrorCode.INVALID_PARAMS, f"invalid parameters of {request.method}: {error}"
        ) from error


def decode_reply(line: bytes) -> Response | Request:
    """Read what the agent sent: a `Response`, or a notification as a `Request` without id.

    Raises
    ------
    RpcError
        PARSE_ERROR or INVALID_REQUEST if it is neither.
    """
    try:
        reply = _REPLY.decode(line)
    except _MALFORMED as error:
        begin = line[:60].decode(errors="replace")
        raise RpcError(
            ErrorCode.PARSE_ERROR, f"the agent sent something that is not JSON-RPC: {begin!r} ({error})"
        ) from error
    if reply.method is not None:
        return Request("2.0", reply.method, params=reply.params)
    if (reply.result is msgspec.UNSET) == (reply.error is msgspec.UNSET):
        raise RpcError(ErrorCode.INVALID_REQUEST, "the agent sent a response without either result or error")
    return Response("2.0", reply.id, reply.result, reply.error)


def decode_result(response: Response, kind: type[Result]) -> Result:
    """The typed result of a response.

    Raises
    ------
    RpcError
        The error that the response carries, or PARSE_ERROR if the result is not of this type.
    """
    if isinstance(response.error, ErrorObject):
        data = response.error.data or ErrorData()
        raise RpcError(
            response.error.code,
            response.error.message,
            data.next_step,
            busy=data.busy,
            request_id=response.id,
        )
    assert isinstance(response.result, msgspec.Raw)
    try:
        return msgspec.json.decode(response.result, type=kind)
    except _MALFORMED as error:
        raise RpcError(
            ErrorCode.PARSE_ERROR, f"the agent's result is not a {kind.__name__}: {error}"
        ) from error


class LineSplitter:
    """Cuts a byte stream into lines without ever holding more than ``limit`` bytes.

    Parameters
    ----------
    limit : int
        The longest line, newline not counted, in bytes.
    """

    def __init__(self, limit: int = MAX_MESSAGE_BYTES) -> None:
        self._limit = limit
        self._rest = bytearray()
        self._skipping = False

    def feed(self, data: bytes) -> Iterator[bytes | None]:
        """Yield each completed line without its newline; ``None`` stands for a line over the limit."""
        *complete, rest = data.split(b"\n")
        for piece in complete:
            if self._skipping:
                self._skipping = False
                continue
            line = bytes(self._rest) + piece
            self._rest.clear()
            yield line if len(line) <= self._limit else None
        if self._skipping:
            return
        self._rest += rest
        if len(self._rest) > self._limit:
            self._rest.clear()
            self._skipping = True
            yield None
