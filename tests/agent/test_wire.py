import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hytnas_agent import protocol, wire
from hytnas_agent.protocol import BusyHolder, ErrorCode, ErrorData, RpcError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
LIKE_A_REQUEST = st.fixed_dictionaries(
    {},
    optional={
        "jsonrpc": st.just("2.0") | JSON,
        "id": st.integers() | st.text() | JSON,
        "method": st.sampled_from([*protocol.METHODS, "no_such_method"]) | JSON,
        "params": JSON,
    },
)


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_a_request_or_a_typed_error(line: bytes) -> None:
    try:
        code = None
        request = wire.decode_request(line)
    except RpcError as error:
        code = error.code
    assert code in (ErrorCode.PARSE_ERROR, ErrorCode.INVALID_REQUEST) or isinstance(request.method, str)


@given(LIKE_A_REQUEST)
def test_any_parameters_are_typed_or_a_typed_error(message: dict[str, object]) -> None:
    jsonrpc_codes = {code for code in ErrorCode if code < -32100}
    try:
        code = None
        request = wire.decode_request(json.dumps(message).encode())
        params = wire.decode_params(request)
    except RpcError as error:
        code = error.code
    assert code in jsonrpc_codes or isinstance(params, protocol.METHODS[request.method][0])


@given(st.binary() | LIKE_A_REQUEST.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_a_reply_or_a_typed_error(line: bytes) -> None:
    try:
        reply = wire.decode_reply(line)
    except RpcError:
        return
    assert isinstance(reply, wire.Request | wire.Response)


@pytest.mark.parametrize("line", [b"[" * 200_000, b'{"params":' + b"[" * 200_000, b'{"id":"\xff"}', b""])
def test_hostile_lines_are_parse_errors(line: bytes) -> None:
    with pytest.raises(RpcError):
        wire.decode_request(line)


def test_the_id_of_an_invalid_request_is_kept() -> None:
    with pytest.raises(RpcError) as raised:
        wire.decode_request(b'{"id":"seven","method":5}')
    assert raised.value.request_id == "seven"


@given(request_id=st.integers() | st.text(), holder=st.text(), pid=st.integers(0, 2**31))
def test_an_error_arrives_as_it_was_raised(request_id: int | str, holder: str, pid: int) -> None:
    busy = BusyHolder(holder, pid, 12.5, "latencies")
    error = RpcError(ErrorCode.BUSY, "the device is in use", "wait", busy=busy)
    reply = wire.decode_reply(wire.encode_error(request_id, error.to_object()))
    assert isinstance(reply, wire.Response)
    assert reply.id == request_id
    with pytest.raises(RpcError) as raised:
        wire.decode_result(reply, protocol.Nothing)
    assert (raised.value.code, raised.value.busy, raised.value.next_step) == (ErrorCode.BUSY, busy, "wait")


def test_a_request_arrives_as_it_was_sent() -> None:
    params = protocol.CancelParams("job-1")
    request = wire.decode_request(wire.encode_request(3, "cancel", params))
    assert (request.id, wire.decode_params(request)) == (3, params)


def test_a_notification_has_no_id() -> None:
    line = wire.encode_notification("progress", protocol.Progress("job-1", "started"))
    reply = wire.decode_reply(line)
    assert isinstance(reply, wire.Request)
    assert reply.id is msgspec.UNSET
    assert msgspec.json.decode(reply.params, type=protocol.Progress).stage == "started"


def test_a_result_of_another_type_is_refused() -> None:
    reply = wire.decode_reply(wire.encode_result(1, protocol.AcknowledgeResult(2)))
    assert isinstance(reply, wire.Response)
    with pytest.raises(RpcError, match="not a CancelResult"):
        wire.decode_result(reply, protocol.CancelResult)


def test_error_data_is_optional_on_the_wire() -> None:
    reply = wire.decode_reply(b'{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"from another agent"}}')
    assert isinstance(reply, wire.Response)
    with pytest.raises(RpcError, match="from another agent"):
        wire.decode_result(reply, protocol.Nothing)
    assert ErrorData().busy is None


@given(lines=st.lists(st.binary(max_size=30).map(lambda b: b.replace(b"\n", b""))), data=st.data())
def test_lines_do_not_depend_on_how_the_stream_is_cut(lines: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(line + b"\n" for line in lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    splitter = wire.LineSplitter(limit=20)
    received = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        received += list(splitter.feed(stream[start:end]))
    assert received == [line if len(line) <= 20 else None for line in lines]


def test_an_endless_line_is_reported_once_and_not_kept() -> None:
    splitter = wire.LineSplitter(limit=10)
    assert [line for _ in range(1000) for line in splitter.feed(b"x" * 8)] == [None]
    assert list(splitter.feed(b"xx\nnext\n")) == [b"next"]
