import dataclasses

import numpy as np
import pytest

from hytnas_datasets.errors import PlanError
from hytnas_datasets.plan import (
    Counts,
    Task,
    build_plan,
    count_layer,
    count_network,
    count_params,
    network_hash,
    plan_from_values,
)
from hytnas_datasets.spaces import Architecture, Space, Variable, get_space, register

SPACES = ("hyt", "hyt-released", "hyt-mixed")
PAPER_PARAMS = (15_000, 187_000, 2_700_000)


def extreme(space, which):
    """The architecture with the first (0) or last (-1) choice of every variable."""
    return space.from_values({variable.name: variable.choices[which] for variable in space.variables})


def sample(name, n, seed=0):
    return get_space(name).sample(n, np.random.default_rng(seed))


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("resolution", [224, 100, 64])
def test_layers_follow_their_inputs_and_shapes_agree(name, resolution):
    for architecture in sample(name, 20):
        plan = build_plan(architecture, Task(resolution=resolution, classes=10))
        for position, layer in enumerate(plan.layers):
            assert layer.index == position
            assert all(i < position for i in layer.inputs)
            assert layer.input_shapes == tuple(plan.layers[i].shape for i in layer.inputs)
            assert layer.name.startswith(f"{layer.stage}/")
        assert len({layer.name for layer in plan.layers}) == len(plan)
        assert plan.layers[0].shape == (3, resolution, resolution)
        assert plan.layers[-1].shape == (10,)
        read = {i for layer in plan.layers for i in layer.inputs}
        assert read == set(range(len(plan) - 1)), "every output but the last is read"


@pytest.mark.parametrize("name", SPACES)
def test_fast_counts_and_hashes_are_those_of_the_plan(name):
    task = Task(resolution=128)
    for architecture in sample(name, 50):
        plan = build_plan(architecture, task)
        assert count_network(architecture, task) == plan.counts
        assert count_params(architecture, task) == plan.params
        assert network_hash(architecture, task) == plan.hash
        assert sum(map(count_layer, plan.layers), start=Counts()) == plan.counts
        assert sum(plan.per_stage().values(), start=Counts()) == plan.counts


def test_the_papers_sizes_lie_inside_the_space():
    space = get_space("hyt")
    smallest = build_plan(extreme(space, 0), Task())
    largest = build_plan(extreme(space, -1), Task())
    assert smallest.params < min(PAPER_PARAMS)
    assert max(PAPER_PARAMS) < largest.params
    assert all(smallest.params <= count_params(a, Task()) <= largest.params for a in sample("hyt", 500))


def test_equal_networks_of_unlike_choices_have_one_hash():
    released = get_space("hyt-released")
    values = released.values(extreme(released, 0)) | {"stage1.channels": 32, "stage2.ratio": 2.0}
    values |= {"stage3.ratio": 2.0, "stage4.ratio": 2.0, "stage5.ratio": 2.0}
    capped = released.from_values(values)
    also_capped = released.from_values(values | {"stage3.ratio": 1.5})
    assert capped != also_capped
    assert build_plan(capped, Task()).hash == build_plan(also_capped, Task()).hash


def test_spaces_that_describe_one_network_agree_on_its_hash():
    hyt, mixed = get_space("hyt"), get_space("hyt-mixed")
    architecture = sample("hyt", 1)[0]
    values = hyt.values(architecture)
    kinds = {f"stage{n}.kind": "convolution" if n < 3 else "attention" for n in range(1, 6)}
    same = mixed.from_values(values | kinds)
    assert build_plan(same, Task()).hash == build_plan(architecture, Task()).hash


def test_any_difference_in_what_is_computed_changes_the_hash():
    values = get_space("hyt").values(sample("hyt", 1)[0]) | {"stage3.heads": 1, "stage5.ff_ratio": 1.0}
    plans = [
        plan_from_values(values, Task()),
        plan_from_values(values | {"stage3.heads": 2}, Task()),
        plan_from_values(values | {"stage5.ff_ratio": 2.0}, Task()),
        plan_from_values(values, Task(resolution=192)),
        plan_from_values(values, Task(classes=3)),
        plan_from_values(values, Task(in_channels=1)),
    ]
    assert len({plan.hash for plan in plans}) == len(plans)
    assert plans[0].params == plans[1].params


def test_the_hash_of_a_network_stays_what_it_was():
    plan = build_plan(extreme(get_space("hyt"), 0), Task())
    assert plan.hash.startswith("dc8789aa84f48d14")


def test_features_are_the_stage_outputs_by_stride():
    architecture = sample("hyt", 1)[0]
    plan = build_plan(architecture, Task())
    assert list(plan.features) == [2, 4, 8, 16, 32]
    for number, (stride, layer) in enumerate(plan.features.items(), start=1):
        assert layer.stage == f"stage{number}"
        assert layer.shape[1:] == (224 // stride, 224 // stride)
    small = build_plan(architecture, Task(resolution=64)).features
    assert {stride: layer.stage for stride, layer in small.items()} == {
        1: "stage2", 2: "stage3", 4: "stage4", 8: "stage5",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("resolution", "side", "patches"), [(224, 7, 16), (96, 3, 4), (64, 8, 16), (32, 4, 4)]
)
def test_the_last_stage_attends_over_more_than_one_token(resolution, side, patches):
    plan = build_plan(sample("hyt", 1)[0], Task(resolution=resolution))
    attention = [layer for layer in plan.layers if layer.kind == "attention" and layer.stage == "stage5"]
    assert plan.features[max(plan.features)].shape[1] == side
    assert attention[0].shape[:2] == (4, patches)
    resized = [layer for layer in plan.layers if layer.kind == "resize" and layer.stage == "stage5"]
    assert len(resized) == (2 if side % 2 else 0)


def test_an_image_too_small_for_attention_is_refused():
    with pytest.raises(PlanError, match=r"stage5 is 2x2.*Choose a larger resolution"):
        build_plan(sample("hyt", 1)[0], Task(resolution=16))


def test_released_patches_may_be_as_large_as_the_map():
    space = get_space("hyt-released")
    plan = build_plan(extreme(space, -1), Task())
    core = next(layer for layer in plan.layers if layer.name == "stage5/transformer1/attention/core")
    assert core.shape == (64, 1, 256)


def test_peak_activations_hold_the_largest_layer_with_its_inputs():
    plan = build_plan(extreme(get_space("hyt"), -1), Task())
    largest = max(
        np.prod(layer.shape) + sum(np.prod(shape) for shape in layer.input_shapes) for layer in plan.layers
    )
    total = sum(np.prod(layer.shape) for layer in plan.layers)
    assert 4 * largest <= plan.estimate_peak_activation_bytes() < 4 * total
    assert plan.estimate_memory_bytes() == 4 * plan.params + plan.estimate_peak_activation_bytes()


@pytest.mark.parametrize(
    "field", [{"resolution": 0}, {"classes": -1}, {"in_channels": 2.5}, {"classes": True}]
)
def test_a_task_of_nothing_is_refused(field):
    with pytest.raises(PlanError, match=r"of a task is .*positive integer"):
        Task(**field)


@pytest.mark.parametrize("name", SPACES)
def test_a_renamed_copy_of_a_space_has_the_same_networks(name):
    space = get_space(name)
    copy = register(dataclasses.replace(space, name=f"{name}-copy"))
    for architecture in space.sample(500, np.random.default_rng(7)):
        twin = Architecture(copy.name, architecture.indices)
        assert network_hash(twin, Task()) == network_hash(architecture, Task())


def test_a_space_without_networks_has_no_plans():
    space = register(Space("plan-test-table", (Variable("depth", (1, 2)),), family="none"))
    with pytest.raises(PlanError, match=r"'plan-test-table' is of family 'none'"):
        build_plan(space.from_values({"depth": 1}), Task())
