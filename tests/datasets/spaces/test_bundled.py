"""The bundled spaces are the ones published."""

from collections import Counter

from hytnas_datasets.families import check_family
from hytnas_datasets.spaces import HYT, HYT_MIXED, HYT_RELEASED


def test_hyt_is_table_one_of_the_paper():
    assert HYT.size == 1_224_440_064 == 48**2 * 81**3
    assert HYT.feature_names()[:3] == ("stage1.blocks", "stage1.expand", "stage1.channels")
    assert HYT.feature_names()[-4:] == ("stage5.expand", "stage5.ratio", "stage5.heads", "stage5.ff_ratio")


def test_hyt_released_has_the_published_columns():
    assert HYT_RELEASED.size == 396_718_580_736
    names = HYT_RELEASED.feature_names()
    assert len(names) == 23
    assert names[0] == "stage2.blocks"
    assert names[4] == "stage1.expand"
    assert names[9:14] == ("stage1.channels", *(f"stage{i}.ratio" for i in range(2, 6)))
    assert names[20:] == ("stage3.patch", "stage4.patch", "stage5.patch")


def test_every_stage_of_hyt_mixed_has_48_convolutions_and_81_attentions():
    assert HYT_MIXED.size == (3 * 4 * 4 + 3 * 3 * 3 * 3) ** 5
    kinds = Counter(name.split(".")[1] for name in HYT_MIXED.feature_names())
    assert set(kinds.values()) == {5}


def test_their_content_has_not_changed():
    """Studies and predictors are bound to these hashes."""
    assert HYT.hash() == "f8a2aa61b9071e32"
    assert HYT_RELEASED.hash() == "d9e33305c88de40e"
    assert HYT_MIXED.hash() == "efe01015de1baaaa"


def test_all_can_be_built_by_their_family():
    for space in (HYT, HYT_RELEASED, HYT_MIXED):
        assert space.family == "hyt"
        check_family(space)
