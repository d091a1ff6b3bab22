"""A space of family "hyt" is refused unless its architectures can be built."""

import dataclasses

import pytest

from hytnas_datasets.errors import SpaceError
from hytnas_datasets.families import check_family
from hytnas_datasets.spaces import HYT, HYT_MIXED, Variable, When


def with_variable(space, name, *choices, when=None):
    """The space with this variable in place of the one of that name, or added at the end."""
    new = Variable(name, choices, when)
    kept = tuple(new if v.name == name else v for v in space.variables)
    return dataclasses.replace(space, variables=kept if new in kept else (*kept, new))


def without(space, name):
    return dataclasses.replace(space, variables=tuple(v for v in space.variables if v.name != name))


@pytest.mark.parametrize(
    "space",
    [
        without(HYT, "stage1.blocks"),
        with_variable(HYT, "stage3.patch", 2, 4, 8),
        with_variable(HYT, "stage3.blocks", 1, 2),
        with_variable(without(HYT, "stage4.ratio"), "stage4.channels", 48, 64),
        with_variable(HYT_MIXED, "stage1.kind", "attention", "convolution"),
        dataclasses.replace(HYT, family="none"),
        dataclasses.replace(HYT, channel_caps=(("stage1", 12), ("stage5", 64))),
    ],
)
def test_buildable_spaces_pass(space):
    check_family(space)


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (dataclasses.replace(HYT, family="vit"), "no network family 'vit'"),
        (dataclasses.replace(HYT, channel_caps=(("stage9", 64),)), "no stage 'stage9' to cap"),
        (
            dataclasses.replace(HYT, channel_caps=(("stage5", 30),)),
            "cap of 'stage5' is 30. It takes a multiple of 4",
        ),
        (with_variable(HYT, "stage3.head", 1), "no variable 'stage3.head'. Did you mean 'stage3.heads'"),
        (with_variable(HYT, "stage6.expand", 1), "no variable 'stage6.expand'"),
        (
            with_variable(HYT, "stage3.heads", 1, 3),
            "3 cannot be a choice of 'stage3.heads'. It takes 1, 2 or 4",
        ),
        (with_variable(HYT, "stage1.blocks", 0, 1), "0 cannot be a choice"),
        (with_variable(HYT, "stage1.blocks", 1.5), "1.5 cannot be a choice"),
        (with_variable(HYT, "stage3.ratio", "wide"), "'wide' cannot be a choice"),
        (with_variable(HYT, "stage3.ratio", -1.0), "-1.0 cannot be a choice"),
        (with_variable(HYT, "stage2.kind", "convolution", "mlp"), "'mlp' cannot be a choice"),
        (without(HYT, "stage1.expand"), "'convolution' needs 'stage1.expand'"),
        (without(HYT, "stage3.heads"), "'attention' needs 'stage3.heads'"),
        (without(HYT, "stage3.ratio"), "either 'stage3.channels' or 'stage3.ratio'"),
        (with_variable(HYT, "stage3.channels", 8), "either 'stage3.channels' or 'stage3.ratio'"),
        (
            with_variable(HYT, "stage1.heads", 1, 2),
            "'stage1.heads' has no effect in a stage of kind 'convolution'",
        ),
        (without(HYT_MIXED, "stage2.heads"), "'attention' needs 'stage2.heads'"),
        (with_variable(HYT_MIXED, "stage2.ff_ratio", 1.0, 2.0), "'stage2.ff_ratio' has no effect"),
        (
            with_variable(HYT, "stage4.expand", 1, 2, when=When("stage3.heads", (1, 2))),
            "needs 'stage4.expand', and an architecture can be without",
        ),
    ],
)
def test_others_are_refused_with_the_reason(space, message):
    with pytest.raises(SpaceError, match=message):
        check_family(space)
