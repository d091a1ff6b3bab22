"""The roofline against layers computed by hand, where a MAC and a byte take a nanosecond each."""

import numpy as np
import pytest

from hytnas_datasets.errors import PlanError
from hytnas_datasets.plan import Layer, Task, build_plan
from hytnas_datasets.spaces import Space, Variable, get_space, register
from hytnas_predictors.roofline import (
    CORTEX_A53,
    Processor,
    bytes_moved,
    estimate_latency_ms,
    estimate_layer_s,
)

NANOSECONDS = Processor(macs_per_s=1e9, bytes_per_s=1e9)


def layer(kind: str, inputs: tuple, shape: tuple, **attributes: int) -> Layer:
    indices = tuple(range(len(inputs)))
    return Layer(kind, f"stem/{kind}", 5, indices, inputs, shape, tuple(attributes.items()), "stem", kind)


def conv(channels: int, outputs: int, side: int, kernel: int, groups: int) -> Layer:
    shapes = (channels, side, side), (outputs, side, side)
    return layer("conv", shapes[:1], shapes[1], kernel=kernel, groups=groups, bias=1, stride=1)


@pytest.mark.parametrize(
    ("each", "nbytes", "nanoseconds"),
    [
        # 16 x 8 x 4 x 4 MACs; 8 x 16 + 8 weights, 16 x 16 in, 8 x 16 out, 4 bytes each
        (conv(16, 8, 4, kernel=1, groups=1), 4 * (136 + 256 + 128), 2080),
        # 16 x 16 x 9 x 16 MACs: bound by arithmetic
        (conv(16, 16, 4, kernel=3, groups=1), 4 * (2320 + 256 + 256), 36864),
        # depth-wise, 16 x 9 x 16 MACs against 4 x (160 + 256 + 256) bytes: bound by memory
        (conv(16, 16, 4, kernel=3, groups=16), 4 * (160 + 256 + 256), 2688),
        # 4 x 10 rows of 12 -> 24: 11520 MACs; 13 x 24 weights
        (layer("linear", ((4, 10, 12),), (4, 10, 24), bias=1), 4 * (312 + 480 + 960), 11520),
        # 2 x 4 x 10 x 10 x 12 MACs; scores 4 x 10 x 10 x 2 heads, written and read
        (layer("attention", ((4, 10, 36),), (4, 10, 12), heads=2), 4 * (1440 + 480 + 2 * 800), 14080),
        (layer("add", ((8, 4, 4), (8, 4, 4)), (8, 4, 4)), 4 * 3 * 128, 1536),
        (layer("layer_norm", ((4, 10, 12),), (4, 10, 12)), 4 * (480 + 480 + 24), 3936),
        (layer("batch_norm", ((8, 4, 4),), (8, 4, 4)), 0, 0),
        (layer("input", (), (3, 4, 4)), 0, 0),
    ],
    ids=lambda each: each.kind if isinstance(each, Layer) else "",
)
def test_a_layer_takes_the_longer_of_arithmetic_and_memory(
    each: Layer, nbytes: int, nanoseconds: int
) -> None:
    assert bytes_moved(each) == nbytes
    assert estimate_layer_s(each, NANOSECONDS) == pytest.approx(nanoseconds * 1e-9)


def test_each_layer_that_runs_adds_the_overhead() -> None:
    architecture = get_space("hyt").sample(1, np.random.default_rng(0))[0]
    plan = build_plan(architecture, Task())
    slow = Processor(CORTEX_A53.macs_per_s, CORTEX_A53.bytes_per_s, layer_overhead_s=1e-3)
    running = sum(each.kind not in ("input", "batch_norm") for each in plan)
    added = estimate_latency_ms(architecture, Task(), slow) - estimate_latency_ms(architecture, Task())
    assert added == pytest.approx(running)


def test_an_estimate_is_no_less_than_either_bound() -> None:
    for architecture in get_space("hyt-mixed").sample(10, np.random.default_rng(1)):
        plan = build_plan(architecture, Task())
        estimate = estimate_latency_ms(architecture, Task())
        assert estimate >= 1e3 * plan.macs / CORTEX_A53.macs_per_s
        assert estimate >= 1e3 * sum(map(bytes_moved, plan)) / CORTEX_A53.bytes_per_s


def test_a_space_without_plans_has_no_estimate() -> None:
    space = Space("roofline-plain", (Variable("rank", (0, 1)),), family="none")
    register(space)
    with pytest.raises(PlanError):
        estimate_latency_ms(space.sample(1, np.random.default_rng(0))[0], Task())
