"""What a person reads at the end of a collection."""

import msgspec
import pytest

from hytnas_agent.records import Execution
from hytnas_host.collect.summary import CollectionSummary, DeviceShare

SUMMARY = CollectionSummary(
    purpose="latency",
    models=2,
    kind="tflite int8",
    outcomes={"OK": 1, "CRASH": 1},
    failed_exports=0,
    measured_jobs=6,
    resumed_jobs=3,
    canaries=1,
    export_s=1.0,
    measure_s=8.0,
    seconds=9.0,
)


def said(*executions: Execution) -> str:
    return msgspec.structs.replace(SUMMARY, executions=executions).describe()


def test_why_a_model_was_not_exported_is_said() -> None:
    summary = msgspec.structs.replace(
        SUMMARY,
        outcomes={"OK": 1},
        failed_exports=1,
        executions=("native",),
        export_failure="the converter is missing",
    )
    first, second = summary.describe().splitlines()
    assert "1 OK, 1 not exported" in first
    assert second.strip() == "not exported: the converter is missing"


def test_a_real_board_needs_one_line() -> None:
    (line,) = said("native").splitlines()
    assert line.startswith(
        "2 models (tflite int8): 1 CRASH, 1 OK; 6 processes measured (3 were there already) in 9 s"
    )


@pytest.mark.parametrize(
    ("executions", "words"),
    [
        (("emulated",), "latencies: EMULATED, not a real board"),
        (("native", "emulated"), "latencies: measured on the device and EMULATED, not a real board"),
    ],
)
def test_what_was_no_real_board_is_said(executions: tuple[Execution, ...], words: str) -> None:
    assert said(*executions).splitlines()[1].strip() == words


def test_what_was_disturbed_is_said() -> None:
    share = DeviceShare(
        "pi", "id", 2, 9, 0, 1, measure_s=8.0, seconds=9.0, busy_share=0.9, given_back=0, rejoined=0, lost="",
        disturbed=4, canary_failures=3, canary_failure="PARITY",
    )  # fmt: skip
    summary = CollectionSummary(
        "latency",
        2,
        "onnx fp32",
        {"OK": 2},
        0,
        9,
        0,
        1,
        1.0,
        8.0,
        9.0,
        devices=(share,),
        disturbed_labels=1,
        without_canary=True,
    )
    _, without, failed, processes, labels = summary.describe().splitlines()
    assert without.strip() == "no canary could be made in onnx fp32, so drift was not noticed"
    assert failed.strip().startswith("pi: the canary failed 3 times (PARITY), so drift was not noticed")
    assert "4 processes were disturbed" in processes
    assert labels.strip() == "1 labels have too few undisturbed processes, whatever the attempts"
