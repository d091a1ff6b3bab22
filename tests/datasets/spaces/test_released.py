"""The published measurements as architectures."""

import numpy as np
import pytest

from hytnas_datasets.errors import SpaceError
from hytnas_datasets.spaces import HYT_RELEASED
from hytnas_datasets.spaces.released import from_released_row, read_released, read_released_file


def row(widths=(8, 12, 24, 36, 36), feed_forward=(1.0, 1.5, 2.0), heads=(1, 2, 4)):
    return [1, 2, 3, 4, 1, 2, 4, 1, 2, *widths, *heads, *feed_forward, 2, 4, 8]


def test_widths_become_ratios():
    imported = from_released_row(row())
    values = HYT_RELEASED.values(imported.architecture)
    assert imported.assumed == ()
    assert values["stage1.channels"] == 8
    assert [values[f"stage{i}.ratio"] for i in range(2, 6)] == [1.5, 2.0, 1.5, 1.0]
    assert [values[f"stage{i}.ff_ratio"] for i in range(3, 6)] == [1.0, 1.5, 2.0]
    assert [values[f"stage{i}.patch"] for i in range(3, 6)] == [2, 4, 8]
    assert [values[f"stage{i}.blocks"] for i in range(2, 6)] == [1, 2, 3, 4]


def test_absolute_feed_forward_widths_are_read_as_multiples_of_a_power_of_two():
    assert from_released_row(row(feed_forward=(16, 48, 64))) == from_released_row(row())


def test_a_width_cut_to_an_integer_is_recognised():
    values = HYT_RELEASED.values(from_released_row(row(widths=(24, 36, 54, 81, 121))).architecture)
    assert [values[f"stage{i}.ratio"] for i in range(2, 6)] == [1.5, 1.5, 1.5, 1.5]


def test_a_capped_width_is_taken_from_the_smallest_ratios_and_said_to_be_assumed():
    imported = from_released_row(row(widths=(24, 48, 96, 128, 256)))
    values = HYT_RELEASED.values(imported.architecture)
    assert [values[f"stage{i}.ratio"] for i in range(2, 6)] == [2.0, 2.0, 1.5, 2.0]
    assert imported.assumed == ("stage4.ratio", "stage5.ratio")


def test_the_width_after_a_capped_one_follows_from_the_uncapped():
    imported = from_released_row(row(widths=(24, 36, 72, 128, 144)))
    assert imported.assumed == ()
    assert HYT_RELEASED.values(imported.architecture)["stage5.ratio"] == 1.0


def test_a_lost_last_width_is_narrowed_down_by_its_feed_forward():
    known = from_released_row(row(widths=(8, 8, 8, 8, 8), feed_forward=(8, 8, 32)), stage5_lost=True)
    assert HYT_RELEASED.values(known.architecture)["stage5.ratio"] == 2.0
    assert known.assumed == ("stage3.ff_ratio", "stage4.ff_ratio")
    open_ = from_released_row(row(widths=(8, 8, 8, 8, 8), feed_forward=(16, 16, 16)), stage5_lost=True)
    assert open_.assumed == ("stage5.ratio",)
    assert HYT_RELEASED.values(open_.architecture)["stage5.ff_ratio"] == 2.0


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (row()[:-1], "23 feature columns, not 22"),
        (row(widths=(8, 12, 25, 36, 36)), "follow from no channel ratios"),
        (row(widths=(8.5, 12, 24, 36, 36)), "whole numbers"),
        (row(heads=(1, 3, 4)), "Column 15: 3.0 is not a choice of 'stage4.heads'"),
        (row(feed_forward=(1.0, 1.25, 2.0)), "Column 18"),
        (row(feed_forward=(1.0, float("nan"), 2.0)), "not finite"),
    ],
)
def test_an_impossible_row_is_refused_with_its_column(bad, message):
    with pytest.raises(SpaceError, match=message):
        from_released_row(bad)


def test_a_file_is_imported_with_a_report_of_what_was_dropped(tmp_path):
    good = ",".join(map(str, row()))
    path = tmp_path / "models_lat.csv"
    path.write_text(
        f"\n{good},1.5\n1,2,3\n{good[:-1]}x,2\n{','.join(map(str, row(heads=(3, 1, 1))))},2\n{good},-1\n"
    )
    imported = read_released_file(path)
    assert imported.y.tolist() == [1500.0]
    assert imported.rows.tolist() == [0]
    assert [number for number, _ in imported.dropped] == [1, 2, 3, 4]
    report = imported.report()
    assert report.startswith("models_lat.csv: 1 rows imported, 4 dropped")
    assert "row 1 dropped: has 3 columns, not 24" in report
    assert "row 3 dropped: Column 14" in report


def test_rows_repeated_with_another_label_are_dropped(tmp_path):
    path = tmp_path / "models_acc_pr.csv"
    early, late = (
        row(widths=(8,) * 5, feed_forward=(8, 8, 8)),
        row(widths=(16,) * 5, feed_forward=(16, 16, 16)),
    )
    path.write_text(
        "".join(f"{','.join(map(str, r))},{label}\n" for r, label in ((early, 70), (late, 80), (early, 75)))
    )
    imported = read_released_file(path)
    assert imported.y.tolist() == [0.8, 0.75]
    assert imported.dropped == ((0, "repeats the features of row 2 with another label"),)


def test_other_files_are_refused(tmp_path):
    with pytest.raises(SpaceError, match=r"Known names: models_lat\.csv"):
        read_released_file(tmp_path / "latency.csv")
    with pytest.raises(SpaceError, match="Cannot read the released file"):
        read_released_file(tmp_path / "models_lat.csv")


def test_the_published_files_import(released_folder):
    released = read_released(released_folder)
    latency, accuracy = released["latency_ms"], released["accuracy"]
    assert len(latency) == len(set(latency.architectures)) == 1769
    assert latency.dropped == ()
    assert 500 < np.median(latency.y) < 10_000
    cut = read_released_file(released_folder / "models_lat_pre.csv")
    assert cut.architectures == latency.architectures
    assert np.array_equal(cut.y, np.floor(latency.y))
    assert len(accuracy) == 286
    assert [number for number, _ in accuracy.dropped] == list(range(254, 272))
    images = accuracy.y * 8059
    assert np.allclose(images, np.round(images), atol=0.01)
    assert all(HYT_RELEASED.contains(a) for a in (*latency.architectures, *accuracy.architectures))
