"""Operators brought back to the stages of a plan; names as ONNX Runtime gives them."""

import numpy as np
import pytest

from hytnas_agent.pass_records import OperatorProfile, OperatorTime
from hytnas_datasets.plan import LayerPlan, Task, build_plan
from hytnas_datasets.plan.profile import DEPTHWISE, GROUPS, break_down, layer_of
from hytnas_datasets.spaces import get_space


@pytest.fixture(scope="module")
def plan() -> LayerPlan:
    (architecture,) = get_space("hyt").sample(1, np.random.default_rng(5))
    return build_plan(architecture, Task(resolution=96))


def profile(*operators: tuple[str, str, float], run_ms: float = 1.0) -> OperatorProfile:
    return OperatorProfile(20, run_ms, tuple(OperatorTime(*operator) for operator in operators))


@pytest.mark.parametrize(
    ("node", "layer"),
    [
        ("/stem/embed/conv/Conv", "stem/embed/conv"),
        ("/stem/embed/conv/Conv_output_0_nchwc", "stem/embed/conv"),
        ("/stage2/block1/depthwise/activation/Mul/QuickGeluFusion/", "stage2/block1/depthwise/activation"),
        (
            "/stage3/transformer1/attention/core/MatMul/MatmulTransposeFusion//MatMulScaleFusion/",
            "stage3/transformer1/attention/core",
        ),
        ("/head/classifier/Gemm", "head/classifier"),
        ("ReorderOutput_token_91", None),
        ("", None),
        ("/stage9/block1/expand/conv/Conv", None),
    ],
)
def test_an_operator_is_found_by_the_name_of_its_layer(plan: LayerPlan, node: str, layer: str | None) -> None:
    found = layer_of(plan, node)
    assert (found and found.name) == layer


def test_times_are_added_by_stage_and_group(plan: LayerPlan) -> None:
    found = break_down(
        profile(
            ("/stem/embed/conv/Conv_output_0_nchwc", "Conv", 100),
            ("/stage1/block1/depthwise/conv/Conv_output_0_nchwc", "Conv", 40),
            ("/stage1/block1/project/conv/Conv_output_0_nchwc", "Conv", 60),
            ("/stage3/transformer1/attention/qkv/Gemm", "Gemm", 10),
            ("/stage3/transformer1/attention/core/Softmax", "Softmax", 5),
            ("/head/pool/GlobalAveragePool_output_0_nchwc", "GlobalAveragePool", 3),
            run_ms=0.25,
        ),
        plan,
    )
    assert list(found.stages) == ["stem", "stage1", "stage2", "stage3", "stage4", "stage5", "head"]
    assert found.stages["stage1"] == pytest.approx({DEPTHWISE: 0.04, "convolution": 0.06})
    assert found.stages["stage3"] == pytest.approx({"matrix product": 0.01, "softmax": 0.005})
    assert found.stages["head"] == pytest.approx({"other": 0.003})
    assert found.stages["stage5"] == {}
    assert found.kernel_ms == pytest.approx(0.218)
    assert found.outside_ms == pytest.approx(0.032)
    assert found.coverage == 1
    assert list(found.group_ms) == [group for group in GROUPS if group in found.group_ms]
    assert sum(found.group_ms.values()) == pytest.approx(sum(found.stage_ms.values()))


def test_inserted_operators_go_to_the_stage_they_serve(plan: LayerPlan) -> None:
    found = break_down(
        profile(
            ("/stage1/block1/project/conv/Conv_output_0_nchwc", "Conv", 10),
            ("ReorderOutput_token_91", "ReorderOutput", 1),
            ("ReorderInput_token_3", "ReorderInput", 2),
            ("/stage2/block1/expand/conv/Conv_output_0_nchwc", "Conv", 20),
            ("ReorderInput_at_the_end", "ReorderInput", 4),
        ),
        plan,
    )
    assert found.stage_ms["stage1"] == pytest.approx(0.011)
    assert found.stage_ms["stage2"] == pytest.approx(0.026)
    assert found.unmapped_ms == 0


def test_what_belongs_to_no_stage_is_said(plan: LayerPlan) -> None:
    found = break_down(profile(("some/other/Conv", "Conv", 8), ("", "Gemm", 2)), plan)
    assert found.unmapped_ms == pytest.approx(0.01)
    assert found.coverage == 0


def test_a_model_without_a_plan_is_told_apart_by_operators_alone() -> None:
    found = break_down(profile(("a", "Conv", 8), ("b", "Gemm", 2), ("c", "Einsum", 1)), None)
    assert found.stages == {
        "whole": pytest.approx({"convolution": 0.008, "matrix product": 0.002, "other": 0.001})
    }
    assert found.coverage == 1
