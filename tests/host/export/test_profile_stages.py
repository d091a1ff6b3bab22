"""The stages of real exports, profiled by the runtime that measures them."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from hytnas_agent.pass_records import OperatorProfile
from hytnas_agent.runtimes.registry import create
from hytnas_datasets.plan import LayerPlan, Task, build_plan
from hytnas_datasets.plan.profile import break_down, layer_of
from hytnas_datasets.spaces import get_space
from hytnas_host.export.onnx_export import convert_onnx
from hytnas_host.models import build_network

SPACES = ("hyt", "hyt-released", "hyt-mixed")
STAGES = ["stem", "stage1", "stage2", "stage3", "stage4", "stage5", "head"]


@pytest.fixture(scope="module", params=SPACES)
def exported(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[LayerPlan, Path]:
    """A network of the space as a model file; 112 pixels give maps that the patches do not divide."""
    rng = np.random.default_rng(11)
    (architecture,) = get_space(request.param).sample(1, rng)
    plan = build_plan(architecture, Task(resolution=112))
    path = tmp_path_factory.mktemp("exports") / "model.onnx"
    path.write_bytes(convert_onnx(build_network(plan, rng=rng).eval(), plan).content)
    return plan, path


@pytest.fixture(scope="module")
def profile(exported: tuple[LayerPlan, Path], tmp_path_factory: pytest.TempPathFactory) -> OperatorProfile:
    model = create("onnxruntime").load_profiled(
        exported[1], threads=1, folder=tmp_path_factory.mktemp("profile")
    )
    image = np.zeros(model.inputs[0].shape, np.float32)
    for _ in range(13):
        model.run([image])
    return model.end_profile(skip_runs=3)


def test_every_node_of_the_export_belongs_to_a_stage(exported: tuple[LayerPlan, Path]) -> None:
    plan, path = exported
    nodes = [node.name for node in onnx.load(path).graph.node]
    assert len(nodes) > 100
    found = {name: layer_of(plan, name) for name in nodes}
    assert [name for name, layer in found.items() if layer is None] == []
    assert {layer.stage for layer in found.values() if layer is not None} == set(STAGES)
    assert all(layer is not None and name.startswith(f"/{layer.name}/") for name, layer in found.items())


def test_the_stages_cover_the_profiled_time(
    exported: tuple[LayerPlan, Path], profile: OperatorProfile
) -> None:
    plan = exported[0]
    found = break_down(profile, plan)
    assert list(found.stages) == STAGES
    assert min(found.stage_ms.values()) > 0
    assert found.kernel_ms == pytest.approx(profile.kernel_ms)
    assert found.coverage >= 0.95
    by_name = [operator for operator in profile.operators if layer_of(plan, operator.name) is not None]
    assert sum(operator.time_us for operator in by_name) >= 0.9 * 1000 * profile.kernel_ms


def test_only_operators_that_the_runtime_inserts_have_names_of_their_own(
    exported: tuple[LayerPlan, Path], profile: OperatorProfile
) -> None:
    strangers = {o.op_type for o in profile.operators if layer_of(exported[0], o.name) is None}
    assert strangers <= {"ReorderInput", "ReorderOutput"}


def test_every_operator_is_of_a_kind_that_the_breakdown_names(
    exported: tuple[LayerPlan, Path], profile: OperatorProfile
) -> None:
    others = break_down(profile, exported[0]).group_ms.get("other", 0.0)
    assert others <= 0.05 * profile.kernel_ms
