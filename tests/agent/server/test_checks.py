import msgspec
import pytest

from hytnas_agent.protocol import ErrorCode, HelloParams, RpcError
from hytnas_agent.records import MeasureJob, MeasureSettings, Reference
from hytnas_agent.server.checks import check_job, check_version

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


@pytest.mark.parametrize(("major", "command"), [(2, "hytnas==9.9"), (0, "hytnas[host]==")])
def test_another_major_is_refused_with_the_upgrade(major: int, command: str) -> None:
    with pytest.raises(RpcError) as raised:
        check_version(HelloParams(major, 0, "me", client_version="9.9"))
    assert raised.value.code == ErrorCode.PROTOCOL_MISMATCH
    assert command in raised.value.next_step


def test_another_minor_is_welcome() -> None:
    check_version(HelloParams(1, 99, "me"))
