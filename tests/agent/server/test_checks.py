import msgspec
import pytest

from hytnas_agent.protocol import PROTOCOL_MAJOR, PROTOCOL_MINOR, ErrorCode, RpcError, Version
from hytnas_agent.records import MeasureJob, MeasureSettings, Reference
from hytnas_agent.server.checks import check_job, check_request_id, negotiated_minor, plain_text

JOB = MeasureJob("job", "0" * 64, "onnx", MeasureSettings(), reference=Reference("1" * 64, "2" * 64, 1.0))


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("threads", 0),
        ("warmup_window", 0),
        ("warmup_max_runs", -1),
        ("min_runs", 0),
        ("min_runs", 101),
        ("max_runs", 10**9),
        ("timed_budget_s", -1.0),
        ("timed_budget_s", float("nan")),
        ("deadline_s", 0.0),
        ("deadline_s", float("inf")),
        ("memory_limit_bytes", 0),
        ("input_seed", -1),
        ("core", -1),
        ("memory_limit_bytes", 2**80),
    ],
)
def test_settings_no_worker_could_follow_are_named(setting: str, value: float) -> None:
    settings = msgspec.structs.replace(JOB.settings, **{setting: value})
    with pytest.raises(RpcError, match="_runs" if "_runs" in setting else setting) as raised:
        check_job(msgspec.structs.replace(JOB, settings=settings))
    assert raised.value.code == ErrorCode.INVALID_PARAMS


@pytest.mark.parametrize("spread", [0.0, -1.0, float("nan"), float("inf")])
def test_a_reference_whose_outputs_do_not_vary_proves_nothing(spread: float) -> None:
    reference = msgspec.structs.replace(JOB.reference, spread=spread)
    with pytest.raises(RpcError, match="spread"):
        check_job(msgspec.structs.replace(JOB, reference=reference))


def test_the_defaults_are_in_range() -> None:
    check_job(JOB)


@pytest.mark.parametrize("major", [PROTOCOL_MAJOR + 1, 0, -1, 10**30])
def test_another_major_is_refused_with_the_command_that_helps(major: int) -> None:
    with pytest.raises(RpcError, match=f"the host {major}") as raised:
        negotiated_minor(Version(major, client_version="9.9"))
    assert raised.value.code == ErrorCode.PROTOCOL_MISMATCH
    assert "hytnas-profile device provision" in raised.value.next_step


def test_of_two_minors_the_lower_one_is_spoken() -> None:
    assert negotiated_minor(Version(PROTOCOL_MAJOR, PROTOCOL_MINOR + 9)) == PROTOCOL_MINOR
    assert negotiated_minor(Version(PROTOCOL_MAJOR, PROTOCOL_MINOR)) == PROTOCOL_MINOR
    assert negotiated_minor(Version(PROTOCOL_MAJOR, 0)) == 0


def test_ids_are_short() -> None:
    for request_id in (None, 10**100, "", "x" * 200):
        check_request_id(request_id)
    with pytest.raises(RpcError, match="200 characters"):
        check_request_id("x" * 201)


def test_text_of_a_client_is_one_short_printable_line() -> None:
    assert plain_text("a\nb\x1b[31mc\u202e" + "x" * 99, 12) == "a b [31mc xx"
    assert plain_text("Zoë", 200) == "Zoë"
