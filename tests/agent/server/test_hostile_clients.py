"""Whatever a client sends: an answer that a host understands, and memory that stays bounded."""

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hytnas_agent import wire
from hytnas_agent.errors import AgentError
from hytnas_agent.protocol import METHODS, DescribeParams, ErrorCode, HelloParams, Nothing
from hytnas_agent.server.service import (
    MAX_CHORES,
    MAX_CLIENTS,
    MAX_ERROR_CHARACTERS,
    MAX_OPEN_REQUESTS,
    MAX_QUEUED_JOBS,
)

from .harness import JOB, LINES, VALID, QuietService

MAX_ANSWER_BYTES = 64 * 1024
DESCRIBE = wire.encode_request(1, "describe", DescribeParams())[:-1]
HOSTILE_VALUES = (
    b"1" * 400,
    b"-1e999",
    b"1e308",
    b"null",
    b"true",
    b"[]",
    b"{}",
    b'"\\ud800"',
    b'"\xff\xfe"',
    b'"' + b"x" * 5000 + b'"',
    b"[" * 2000,
    b'{"a":' * 2000,
)


@st.composite
def mutated_lines(draw: st.DrawFn) -> bytes:
    """A valid request to which something has happened."""
    line = draw(st.sampled_from(LINES))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(line)))
        end = draw(st.integers(start, min(len(line), start + 40)))
        change = draw(st.sampled_from(("cut", "replace", "insert", "repeat", "value", "truncate")))
        if change == "cut":
            line = line[:start] + line[end:]
        elif change == "replace":
            line = line[:start] + draw(st.binary(max_size=8)) + line[end:]
        elif change == "insert":
            line = line[:start] + draw(st.sampled_from(HOSTILE_VALUES)) + line[start:]
        elif change == "repeat":
            line = line[:start] + line[start:end] * draw(st.integers(2, 50)) + line[end:]
        elif change == "value":
            colon = line.find(b":", start)
            comma = min((at for at in (line.find(b",", colon), line.find(b"}", colon)) if at > 0), default=-1)
            if 0 < colon < comma:
                line = line[: colon + 1] + draw(st.sampled_from(HOSTILE_VALUES)) + line[comma:]
        else:
            line = line[:start]
    return line.replace(b"\n", b" ")


@pytest.fixture
def quiet(tmp_path: Path) -> Iterator[QuietService]:
    quiet = QuietService(tmp_path / "s")
    yield quiet
    quiet.close()


def test_the_templates_are_valid_and_complete(quiet: QuietService) -> None:
    assert VALID.keys() == METHODS.keys()
    client = quiet.connect()
    for line in LINES:
        for answer in quiet.say(client, line):
            if isinstance(answer, wire.Response):
                wire.decode_result(answer, METHODS[list(VALID)[answer.id]][1])


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(lines=st.lists(mutated_lines() | st.sampled_from(LINES) | st.binary(max_size=200), max_size=12))
def test_every_line_has_an_answer_that_a_host_understands(quiet: QuietService, lines: list[bytes]) -> None:
    client = quiet.connect()
    quiet.say(client, LINES[0])
    for line in lines:
        quiet.service.received(client, line.replace(b"\n", b" "))
        assert sum(map(len, client.sent)) < MAX_ANSWER_BYTES
        client.answers()
    assert client.closed or quiet.say(client, LINES[0])[0].result
    quiet.service.disconnected(client)


@given(line=mutated_lines())
def test_a_host_survives_what_an_agent_never_says(line: bytes) -> None:
    try:
        reply = wire.decode_reply(line)
    except wire.RpcError:
        return
    assert isinstance(reply, wire.Request | wire.Response)


def test_errors_quote_only_so_much(quiet: QuietService) -> None:
    client = quiet.connect()
    long = "\x1b" * 1_000_000
    for line in (
        json.dumps({"jsonrpc": "2.0", "id": long, "method": "hello"}),
        json.dumps({"jsonrpc": "2.0", "id": 1, "method": long}),
        json.dumps({"jsonrpc": "2.0", "id": long, "method": 5}),
        json.dumps(
            {"jsonrpc": "2.0", "id": 2, "method": "hello", "params": {long: 1, "protocol_major": long}}
        ),
    ):
        (answer,) = quiet.say(client, line.encode())
        assert len(answer.error.message) <= MAX_ERROR_CHARACTERS
        assert len(str(answer.id)) <= 200


def test_requests_that_wait_are_limited(quiet: QuietService) -> None:
    for request, limit in ((LINES[list(VALID).index("measure")], MAX_OPEN_REQUESTS), (DESCRIBE, MAX_CHORES)):
        client = quiet.connect()
        quiet.say(client, LINES[0])
        quiet.say(client, LINES[list(VALID).index("acquire")])
        refused = 0
        for _ in range(limit + 10):
            answers = [answer for answer in quiet.say(client, request) if isinstance(answer, wire.Response)]
            refused += sum(answer.error.code == ErrorCode.INVALID_REQUEST for answer in answers)
        assert refused == 10
        quiet.leave(client)


def test_what_a_client_waits_for_is_dropped_when_it_leaves(quiet: QuietService) -> None:
    staying, leaving = quiet.connect(), quiet.connect()
    for client in (staying, leaving):
        quiet.say(client, LINES[0].replace(b'"session"', b'"%d"' % id(client)))
        for _ in range(10):
            quiet.say(client, DESCRIBE)
    quiet.leave(leaving)
    waiting = [quiet.runner.waiting_chores(client) for client in (staying, leaving)]
    assert waiting == [10, 0]


@pytest.mark.parametrize("method", ["heartbeat", "release", "measure"])
def test_a_token_is_of_no_use_to_another_connection(quiet: QuietService, method: str) -> None:
    holder, other = quiet.connect(), quiet.connect()
    for client in (holder, other):
        quiet.say(client, LINES[0].replace(b'"session"', b'"%d"' % id(client)))
    quiet.say(holder, LINES[list(VALID).index("acquire")])
    line = LINES[list(VALID).index(method)]
    (answer,) = quiet.say(other, line)
    assert answer.error.code == ErrorCode.STALE_TOKEN
    quiet.say(holder, line)
    assert quiet.lease.held is (method != "release")


def test_jobs_that_wait_are_limited(quiet: QuietService) -> None:
    client = quiet.connect()
    quiet.say(client, LINES[0])
    quiet.say(client, LINES[list(VALID).index("acquire")])
    encoded = wire.encode_request(1, "measure", VALID["measure"])
    errors = []
    for number in range(MAX_QUEUED_JOBS + 5):
        line = encoded.replace(b'"job_id":"job"', b'"job_id":"job-%d"' % number)
        answers = quiet.say(client, line[:-1])
        errors += [answer.error for answer in answers if isinstance(answer, wire.Response)]
    assert [error.code for error in errors] == [ErrorCode.INVALID_REQUEST] * 5
    assert len(quiet.runner.pending("client")) == MAX_QUEUED_JOBS


@pytest.mark.parametrize(
    ("method", "changes"),
    [
        ("describe", {"runtime": "x" * 10_000}),
        ("spool_commit", {"upload": "x" * 10_000}),
        ("measure", {"job": {"job_id": "x" * 10_000}}),
        ("measure", {"job": {"runtime": "x" * 10_000}}),
    ],
)
def test_what_has_to_be_kept_is_short(quiet: QuietService, method: str, changes: dict[str, object]) -> None:
    client = quiet.connect()
    quiet.say(client, LINES[0])
    quiet.say(client, LINES[list(VALID).index("acquire")])
    message = json.loads(LINES[list(VALID).index(method)])
    for name, value in changes.items():
        message["params"][name] = {**message["params"][name], **value} if isinstance(value, dict) else value
    (answer,) = quiet.say(client, json.dumps(message).encode())
    assert answer.error.code == ErrorCode.INVALID_PARAMS


def test_a_cancelled_job_is_answered_also_on_a_full_disk(
    quiet: QuietService, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise AgentError("the journal cannot be used: its disk is full", "Free some space on the device")

    client = quiet.connect()
    for number, method in enumerate(("hello", "acquire", "measure")):
        quiet.say(client, wire.encode_request(number, method, VALID[method]))
    monkeypatch.setattr(quiet.journal, "finish", full)
    answers = quiet.say(client, wire.encode_request(3, "cancel", VALID["cancel"]))
    assert [(answer.id, answer.error.message) for answer in answers] == [
        (2, "the journal cannot be used: its disk is full"),
        (3, "the journal cannot be used: its disk is full"),
    ]


def test_names_that_others_are_shown_are_plain_and_short(quiet: QuietService) -> None:
    rude, polite = quiet.connect(), quiet.connect()
    quiet.say(rude, wire.encode_request(1, "hello", HelloParams(1, 1, "rude", "\x1b[2J" + "x" * 100_000)))
    acquire = json.loads(LINES[list(VALID).index("acquire")])
    acquire["params"]["reason"] = "\n" + "y" * 100_000
    (answer,) = quiet.say(rude, json.dumps(acquire).encode())
    token = msgspec.json.decode(answer.result)["token"]
    quiet.say(polite, LINES[0])
    (busy,) = quiet.say(polite, LINES[list(VALID).index("acquire")])
    assert busy.error.code == ErrorCode.BUSY
    assert busy.error.data.busy.holder.isprintable()
    assert len(busy.error.data.busy.holder) == 200
    assert len(busy.error.data.busy.reason) == 500
    quiet.service.disconnected(rude)
    (answer,) = quiet.say(polite, LINES[list(VALID).index("acquire")])
    assert msgspec.json.decode(answer.result)["token"] > token


def test_the_client_silent_for_longest_makes_room_but_never_the_holder(quiet: QuietService) -> None:
    holder = quiet.connect()
    quiet.say(holder, LINES[0])
    quiet.say(holder, LINES[list(VALID).index("acquire")])
    others = [quiet.connect() for _ in range(MAX_CLIENTS - 1)]
    quiet.say(others[0], b"")
    quiet.connect()
    assert [client.closed for client in (holder, *others[:3])] == [False, False, True, False]


def test_a_session_that_returns_ends_its_former_connection(quiet: QuietService) -> None:
    former, again, other = (quiet.connect() for _ in range(3))
    for number, (client, session) in enumerate([(former, "s"), (other, "t"), (again, "s")]):
        params = HelloParams(1, 1, "client", session_id=session)
        quiet.say(client, wire.encode_request(number, "hello", params))
    assert (former.closed, again.closed, other.closed) == (True, False, False)
    quiet.say(other, wire.encode_request(9, "doctor", Nothing()))
    assert JOB.job_id not in quiet.runner.pending("client")
