"""Tags, runtimes and their versions."""

import msgspec
import pytest
from packaging.tags import Tag

from hytnas_host.provision.errors import ProvisionError
from hytnas_host.provision.runtimes import RULES, choose, constraints, extras
from hytnas_host.provision.targets import WheelTarget

BOOKWORM = WheelTarget("aarch64", (3, 11), 36)
TRIXIE = WheelTarget("aarch64", (3, 13), 41)


def test_every_older_platform_is_named_from_the_boards_own_downwards() -> None:
    platforms = BOOKWORM.platforms
    assert platforms[0] == "manylinux_2_36_aarch64"
    assert "manylinux_2_34_aarch64" in platforms  # the only one of tflite-runtime 2.14.0
    assert platforms[-3:] == ("manylinux_2_17_aarch64", "manylinux2014_aarch64", "linux_aarch64")
    assert "manylinux_2_37_aarch64" not in platforms


@pytest.mark.parametrize(
    ("tag", "fits"),
    [
        (Tag("cp311", "cp311", "manylinux_2_28_aarch64"), True),
        (Tag("cp310", "abi3", "manylinux2014_aarch64"), True),
        (Tag("py3", "none", "any"), True),
        (Tag("py2", "none", "any"), False),
        (Tag("cp313", "cp313", "manylinux_2_28_aarch64"), False),
        (Tag("cp311", "cp311", "manylinux_2_39_aarch64"), False),
        (Tag("cp311", "cp311", "manylinux_2_28_x86_64"), False),
        (Tag("cp311", "cp311", "linux_armv7l"), False),
    ],
)
def test_a_wheel_fits_by_its_tags(tag: Tag, fits: bool) -> None:
    assert (tag in BOOKWORM.tags()) is fits


@pytest.mark.parametrize("target", [BOOKWORM, TRIXIE], ids=str)
def test_auto_is_one_runtime_a_format_on_every_supported_system(target: WheelTarget) -> None:
    assert choose([], target) == choose(["auto"], target) == ("onnxruntime", "ai-edge-litert")
    assert extras(choose([], target)) == ("onnx", "litert")


def test_auto_and_more() -> None:
    assert choose(["tflite-runtime", "auto", "auto"], BOOKWORM) == (
        "onnxruntime",
        "ai-edge-litert",
        "tflite-runtime",
    )


def test_a_runtime_without_wheels_for_the_boards_python_is_refused() -> None:
    assert choose(["tflite-runtime"], BOOKWORM) == ("tflite-runtime",)
    with pytest.raises(ProvisionError, match=r"tflite-runtime needs a Python <3\.12, the board has 3\.13"):
        choose(["tflite-runtime"], TRIXIE)


def test_an_unknown_runtime_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ProvisionError, match=r"unknown runtime 'tensorrt'\. Known are: auto, onnxruntime"):
        choose(["tensorrt"], BOOKWORM)


def test_known_good_versions_are_preferred_and_blocked_ones_never_taken() -> None:
    preferred = constraints(["onnxruntime", "ai-edge-litert"], BOOKWORM, preferred=True)
    assert preferred == ("onnxruntime!=1.21.0", "onnxruntime==1.26.0", "ai-edge-litert==2.1.6")
    assert constraints(["onnxruntime"], BOOKWORM, preferred=False) == ("onnxruntime!=1.21.0",)
    # The bug is of ARM processors.
    assert constraints(["onnxruntime"], WheelTarget("x86_64", (3, 11), 36), preferred=False) == ()


def test_every_rule_says_why() -> None:
    assert all(rule.reason for rule in RULES)
    assert all(msgspec.to_builtins(rule)["versions"] for rule in RULES)
