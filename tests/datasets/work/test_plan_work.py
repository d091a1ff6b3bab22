"""The work of layers, counted by hand."""

import numpy as np
import pytest

from hytnas_datasets.plan import Task, build_plan
from hytnas_datasets.plan.layers import Layer
from hytnas_datasets.spaces import get_space
from hytnas_datasets.work import WORK_COLUMNS, OperatorWork, add_up, layer_work, tabulate_stages, work_of


def layer(kind, shape, *inputs, **attributes):
    return Layer(kind, "x", 0, (0,) * len(inputs), inputs, shape, tuple(attributes.items()), "stage", "role")


def conv(shape, source, **attributes):
    return layer("conv", shape, source, **{"bias": 0, "groups": 1, "kernel": 3, "stride": 1} | attributes)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (conv((8, 2, 2), (3, 4, 4)), OperatorWork("spatial", 8 * 3 * 9 * 4, 48, 32, 8 * 3 * 9)),
        (conv((8, 4, 4), (3, 4, 4), kernel=1), OperatorWork("pointwise", 8 * 3 * 16, 48, 128, 24)),
        (conv((6, 4, 4), (6, 4, 4), groups=6), OperatorWork("depthwise", 6 * 9 * 16, 96, 96, 54)),
        (conv((6, 4, 4), (6, 4, 4), groups=2), OperatorWork("grouped", 6 * 3 * 9 * 16, 96, 96, 162)),
        (layer("linear", (4, 5, 7), (4, 5, 3), bias=1), OperatorWork("linear", 20 * 21, 60, 140, 21)),
        (layer("add", (3, 2, 2), (3, 2, 2), (3, 2, 2)), OperatorWork("elementwise", written=12)),
        (layer("layer_norm", (4, 5, 6), (4, 5, 6)), OperatorWork("layer_norm", written=120, rows=20)),
        (layer("unfold", (4, 9, 6), (6, 6, 6)), OperatorWork("rearrange", written=432, count=2)),
        (layer("resize", (3, 4, 4), (3, 2, 2)), OperatorWork("resize", read=12, written=48)),
    ],
)
def test_a_layer_is_one_operator(given, expected):
    np.testing.assert_array_equal(add_up(layer_work(given)), add_up([expected]))


@pytest.mark.parametrize("heads", [1, 2])
def test_attention_is_written_head_by_head(heads):
    work = dict(
        zip(WORK_COLUMNS, work_of([layer("attention", (4, 9, 6), (4, 9, 18), heads=heads)]), strict=True)
    )
    scores = 4 * heads * 9 * 9
    assert work["matmul macs"] == 2 * 4 * 9 * 9 * 6
    assert work["matmul written"] == scores + 4 * 9 * 6
    assert work["softmax written"] == scores
    assert work["softmax rows"] == 4 * heads * 9
    assert (work["matmul count"], work["rearrange count"], work["concat count"]) == (
        2 * heads,
        1 + heads,
        heads - 1,
    )


def test_a_batch_norm_and_the_image_cost_nothing():
    assert not list(layer_work(layer("batch_norm", (3, 2, 2), (3, 2, 2))))
    assert not list(layer_work(layer("input", (3, 2, 2))))


def test_the_products_of_a_network_are_its_multiply_accumulates():
    space = get_space("hyt-mixed")
    for architecture in space.sample(20, np.random.default_rng(0)):
        plan = build_plan(architecture, Task())
        work = dict(zip(WORK_COLUMNS, work_of(plan.layers), strict=True))
        assert sum(value for name, value in work.items() if name.endswith(" macs")) == plan.macs


def test_what_a_stage_repeats_is_written_out_once_whatever_is_repeated_how_often():
    space = get_space("hyt-released")
    (code,) = space.encode(space.sample(1, np.random.default_rng(0)))
    place = {name: position for position, name in enumerate(space.feature_names())}
    codes = np.repeat(code[None], 36, axis=0)
    for name, column in zip(
        ("blocks", "heads", "ff_ratio"), np.indices((4, 3, 3)).reshape(3, -1), strict=True
    ):
        codes[:, place[f"stage5.{name}"]] = column
    sizes = [len(table.rows) for table in tabulate_stages(space, space.decode(codes), Task())]
    assert sizes == [1, 2, 2, 2, 2, 1 + 9, 1]
