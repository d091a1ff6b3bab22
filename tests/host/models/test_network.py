import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from hytnas_datasets.plan import Task, build_plan, plan_from_values
from hytnas_datasets.spaces import get_space
from hytnas_host.models import build_network, calibrate_batch_norm, random_images

SMALL = Task(resolution=64, classes=3)


def plans(space, n, task, seed=0):
    return [build_plan(a, task) for a in get_space(space).sample(n, np.random.default_rng(seed))]


def stage_of(name):
    return name.split("/")[0]


def torch_macs(network, plan):
    """Multiply-accumulates by stage as PyTorch's dispatcher saw them: convolutions and matrix products."""
    image = torch.zeros(1, plan.task.in_channels, plan.task.resolution, plan.task.resolution)
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        network.eval()(image)
    macs = dict.fromkeys(plan.per_stage(), 0)
    for module, flops in counter.get_flop_counts().items():
        if module.startswith("PlanNetwork."):
            macs[stage_of(module.removeprefix("PlanNetwork."))] += sum(flops.values()) // 2
    return macs


@pytest.mark.parametrize(
    ("space", "resolution", "n"),
    [("hyt", 64, 4), ("hyt", 224, 1), ("hyt-released", 100, 4), ("hyt-mixed", 48, 4)],
)
def test_counts_of_the_plan_are_those_of_the_module(space, resolution, n):
    for plan in plans(space, n, Task(resolution=resolution, classes=5)):
        network = build_network(plan, rng=np.random.default_rng(0))
        params = dict.fromkeys(plan.per_stage(), 0)
        for name, parameter in network.named_parameters():
            params[stage_of(name)] += parameter.numel()
        assert params == {stage: counts.params for stage, counts in plan.per_stage().items()}
        assert torch_macs(network, plan) == {stage: c.macs for stage, c in plan.per_stage().items()}


def test_every_layer_gives_the_shape_of_the_plan():
    plan = plans("hyt-released", 1, Task(resolution=100))[0]
    network = build_network(plan, rng=np.random.default_rng(0)).eval()
    shapes = {}
    for layer in plan.layers:
        module = network.get_submodule(layer.name)
        module.register_forward_hook(
            lambda _module, _inputs, output, name=layer.name: shapes.update({name: output.shape})
        )
    with torch.no_grad():
        network(torch.zeros(2, 3, 100, 100))
    for layer in plan.layers:
        rows_first = layer.kind in ("unfold", "layer_norm", "linear", "attention")
        if rows_first or len(shapes[layer.name]) == 2:
            assert shapes[layer.name][-1] == layer.shape[-1]
            assert shapes[layer.name].numel() == 2 * np.prod(layer.shape)
        else:
            assert shapes[layer.name] == (2, *layer.shape)


def test_one_seed_gives_the_same_weights_and_touches_no_global_state():
    plan = plans("hyt", 1, SMALL)[0]
    torch.manual_seed(5)
    state = torch.get_rng_state()
    first = build_network(plan, rng=np.random.default_rng(1)).state_dict()
    torch.manual_seed(6)
    again = build_network(plan, rng=np.random.default_rng(1)).state_dict()
    other = build_network(plan, rng=np.random.default_rng(2)).state_dict()
    assert first.keys() == again.keys()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["stem/embed/conv.weight"], other["stem/embed/conv.weight"])
    torch.manual_seed(5)
    assert torch.equal(state, torch.get_rng_state())


def test_all_parameters_are_filled_and_trainable():
    task = Task(resolution=32)
    plan = plans("hyt", 1, task)[0]
    network = build_network(plan, rng=np.random.default_rng(0))
    loss = network(torch.from_numpy(random_images(task, 4, np.random.default_rng(1)))).square().sum()
    loss.backward()
    for name, parameter in network.named_parameters():
        assert torch.isfinite(parameter).all(), name
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


def test_features_are_maps_by_stride():
    plan = plans("hyt", 1, SMALL)[0]
    network = build_network(plan, rng=np.random.default_rng(0)).eval()
    with torch.no_grad():
        features = network.forward_features(torch.zeros(2, 3, 64, 64))
    assert {stride: tuple(x.shape[1:]) for stride, x in features.items()} == {
        stride: layer.shape for stride, layer in plan.features.items()
    }


def test_a_batch_gives_what_its_images_give_alone():
    values = get_space("hyt").values(get_space("hyt").sample(1, np.random.default_rng(3))[0])
    plan = plan_from_values(values, Task(resolution=56))
    network = build_network(plan, rng=np.random.default_rng(0))
    calibrate_batch_norm(network, plan, np.random.default_rng(1))
    images = torch.from_numpy(random_images(plan.task, 3, np.random.default_rng(2)))
    with torch.no_grad():
        together = network(images)
        alone = torch.cat([network(image[None]) for image in images])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_calibrated_outputs_depend_on_the_input():
    plan = plans("hyt", 1, SMALL)[0]
    network = build_network(plan, rng=np.random.default_rng(0))
    calibrate_batch_norm(network, plan, np.random.default_rng(1))
    images = torch.from_numpy(random_images(SMALL, 8, np.random.default_rng(2)))
    with torch.no_grad():
        outputs = network(images)
    assert not network.training
    assert outputs.std(0).min() > 0.01 * outputs.abs().mean()


def test_calibrated_statistics_are_those_of_the_activations():
    plan = plans("hyt", 1, SMALL)[0]
    network = build_network(plan, rng=np.random.default_rng(0))
    calibrate_batch_norm(network, plan, np.random.default_rng(1), batches=4, batch_size=4)
    norm = network.get_submodule("stem/embed/norm")
    assert norm.momentum == nn.BatchNorm2d(1).momentum
    with torch.no_grad():
        image = torch.from_numpy(random_images(SMALL, 16, np.random.default_rng(2)))
        x = network.get_submodule("stem/embed/conv")(image)
    torch.testing.assert_close(norm.running_var, x.var((0, 2, 3)), rtol=0.05, atol=0)
    torch.testing.assert_close(norm.running_mean, x.mean((0, 2, 3)), rtol=0, atol=0.02)
