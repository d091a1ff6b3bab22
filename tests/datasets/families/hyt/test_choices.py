import pytest

from hytnas_datasets.errors import PlanError
from hytnas_datasets.families.hyt.choices import round_channels, stages_from_values
from hytnas_datasets.plan import Task
from hytnas_datasets.plan.stages import AttentionStage, ConvolutionStage
from hytnas_datasets.spaces import HYT_RELEASED

CAPS = dict(HYT_RELEASED.channel_caps)
VALUES = {
    "stage1.blocks": 2,
    "stage1.expand": 2,
    "stage1.channels": 32,
    "stage2.blocks": 1,
    "stage2.expand": 4,
    "stage2.channels": 24,
} | {
    f"stage{n}.{name}": value
    for n in (3, 4, 5)
    for name, value in {"expand": 2, "ratio": 1.5, "heads": 4, "ff_ratio": 1.5}.items()
}


@pytest.mark.parametrize(
    ("channels", "rounded"), [(1, 4), (8, 8), (12, 12), (13.5, 12), (14, 16), (18, 20), (54, 56), (81, 80)]
)
def test_channels_go_to_the_nearest_multiple_of_four(channels, rounded):
    assert round_channels(channels) == rounded


def test_what_a_space_does_not_vary_is_what_the_paper_fixes():
    stages = stages_from_values(VALUES, Task())
    assert [stage.name for stage in stages] == ["stem", *(f"stage{n}" for n in range(1, 6)), "head"]
    assert stages[1] == ConvolutionStage("stage1", 1, 32, 2, 2)
    assert stages[3] == AttentionStage("stage3", 2, 36, 2, 4, 54, patch=2, blocks=2)
    assert [stage.channels for stage in stages[3:6]] == [36, 56, 84]


def test_channels_beyond_a_cap_are_cut_to_it():
    wide = VALUES | {"stage2.channels": 64} | {f"stage{n}.ratio": 2 for n in (3, 4, 5)}
    assert [s.channels for s in stages_from_values(wide, Task())[3:6]] == [128, 256, 512]
    assert [s.channels for s in stages_from_values(wide, Task(), CAPS)[3:6]] == [96, 128, 256]


def test_a_width_follows_from_the_one_before_its_cap():
    halved = VALUES | {"stage2.channels": 64, "stage3.ratio": 2, "stage4.ratio": 1, "stage5.ratio": 1}
    assert [s.channels for s in stages_from_values(halved, Task(), CAPS)[3:6]] == [96, 128, 128]


def test_a_stage_may_choose_its_kind():
    mixed = VALUES | {"stage3.kind": "convolution", "stage2.kind": "convolution", "stage3.blocks": 3}
    stage = stages_from_values(mixed, Task())[3]
    assert stage == ConvolutionStage("stage3", 2, 36, 2, 3)
    attention = {"stage1.kind": "attention", "stage1.heads": 2, "stage1.ff_ratio": 1}
    assert isinstance(stages_from_values(VALUES | attention, Task())[1], AttentionStage)


@pytest.mark.parametrize(("resolution", "strides"), [(96, [2, 1, 2]), (95, [1, 1, 1]), (32, [1, 1, 1])])
def test_small_images_keep_their_size_in_stem_and_stage_two(resolution, strides):
    stages = stages_from_values(VALUES, Task(resolution=resolution))
    assert [stage.stride for stage in stages[:3]] == strides
    assert [stage.stride for stage in stages[3:6]] == [2, 2, 2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stage3.heads": None}, r"no choice for stage3\.heads"),
        ({"stage3.kind": "recurrent"}, r"stage3\.kind is 'recurrent'.*'convolution' or 'attention'"),
        ({"stage1.channels": "wide"}, r"stage1\.channels is 'wide'"),
        ({"stage1.blocks": 1.5}, r"stage1\.blocks is 1\.5.*whole number"),
        ({"stage1.expand": 0}, r"stage1\.expand is 0"),
    ],
)
def test_choices_that_make_no_network_are_refused(change, message):
    values = {name: value for name, value in (VALUES | change).items() if value is not None}
    with pytest.raises(PlanError, match=message):
        stages_from_values(values, Task())
