import msgspec
import pytest

from hytnas_agent.records import DeviceContext
from hytnas_datasets.label_context import LabelContext, ModelFiles, describe
from hytnas_datasets.plan import Task

DEVICE = DeviceContext(
    board="board",
    soc="soc",
    architecture="aarch64",
    cores=4,
    memory_bytes=1 << 30,
    os="os 1",
    kernel="6.1",
    runtime="onnxruntime",
    runtime_version="1.31",
    runtime_build="cpu",
    threads=1,
    governor="performance",
    execution="emulated",
)
FILES = ModelFiles("onnx", "fp32", "torch", "2.13.0+cpu")
WHOLE = LabelContext(Task(), FILES, DEVICE)
BARE = LabelContext(Task())


def test_execution_is_the_devices() -> None:
    assert WHOLE.execution == "emulated"
    assert BARE.execution == "native"


def test_every_field_has_a_name_of_its_own() -> None:
    parts = (Task(), FILES, DEVICE)
    assert len(WHOLE.fields()) == sum(len(part.__struct_fields__) for part in parts)
    assert (WHOLE.fields()["precision"], WHOLE.fields()["device precision"]) == ("fp32", "fp32")


def test_differences_name_the_fields_and_both_values() -> None:
    other = LabelContext(
        Task(resolution=96), FILES, msgspec.structs.replace(DEVICE, threads=4, governor="ondemand")
    )
    found = WHOLE.differences(other)
    assert found == {
        "resolution": (224, 96),
        "threads": (1, 4),
        "governor": ("performance", "ondemand"),
    }
    assert describe(found) == "resolution: 224 / 96; threads: 1 / 4; governor: performance / ondemand"
    assert WHOLE.differences(WHOLE) == {}


def test_what_one_does_not_know_differs_but_is_no_conflict() -> None:
    assert WHOLE.differences(BARE)["kernel"] == ("6.1", None)
    assert WHOLE.conflicts(BARE) == BARE.conflicts(WHOLE) == {}
    unsaid = LabelContext(Task(), ModelFiles("onnx", "fp32", "", ""), DEVICE)
    assert WHOLE.conflicts(unsaid) == {}


@pytest.mark.parametrize(("version", "conflicts"), [("2.13.0+cu130", False), ("2.14.0+cpu", True)])
def test_builds_of_one_converter_version_are_no_conflict(version: str, conflicts: bool) -> None:
    other = LabelContext(Task(), msgspec.structs.replace(FILES, converter_version=version), DEVICE)
    assert bool(WHOLE.conflicts(other)) == conflicts
    assert WHOLE.differences(other)


def test_an_empty_field_of_a_device_is_an_answer() -> None:
    other = LabelContext(Task(), FILES, msgspec.structs.replace(DEVICE, runtime=""))
    assert WHOLE.conflicts(other) == {"runtime": ("onnxruntime", "")}


def test_it_survives_json() -> None:
    assert msgspec.json.decode(msgspec.json.encode(WHOLE), type=LabelContext) == WHOLE
