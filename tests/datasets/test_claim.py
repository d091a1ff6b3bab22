"""Files of somebody else in a folder that data sets are written to."""

import json
from pathlib import Path

import pytest

from hytnas_datasets.bundled import load
from hytnas_datasets.claim import claim
from hytnas_datasets.errors import DataSetError
from hytnas_datasets.portable import read_set, write_set

SHEET = "datasheet.json"


def test_a_file_that_no_data_sheet_names_is_kept(tmp_path: Path) -> None:
    (tmp_path / "samples.csv").write_text("mine")
    claim(tmp_path, ["latency-hyt.csv"], SHEET)
    with pytest.raises(FileExistsError) as refused:
        claim(tmp_path, ["latency-hyt.csv", "samples.csv"], SHEET)
    assert refused.value.strerror == f"the samples.csv in it is not the toolkit's: no {SHEET} names it"
    assert json.loads((tmp_path / SHEET).read_text()) == {"files": {"latency-hyt.csv": None}}


@pytest.mark.parametrize("content", ["{}", "[1]", "Dear reader", '{"files": ["a"]}'])
def test_a_sheet_of_something_else_is_kept(tmp_path: Path, content: str) -> None:
    (tmp_path / SHEET).write_text(content)
    with pytest.raises(FileExistsError):
        claim(tmp_path, ["samples.csv"], SHEET)
    assert (tmp_path / SHEET).read_text() == content


def test_what_was_broken_off_and_another_format_are_gone_on_with(tmp_path: Path) -> None:
    claim(tmp_path, ["samples.csv"], SHEET)
    (tmp_path / "samples.csv").write_text("half of it, as the writer was killed")
    claim(tmp_path, ["samples.csv"], SHEET)
    (tmp_path / SHEET).write_text('{"files": {"samples.parquet": {}}, "licence": "CC0-1.0"}')
    claim(tmp_path, ["samples.csv"], SHEET)
    assert json.loads((tmp_path / SHEET).read_text())["files"] == {"samples.csv": None, "samples.parquet": {}}


def test_a_set_is_packed_again_but_not_over_labels_of_somebody_else(tmp_path: Path) -> None:
    labels = load("hyt-icount-a53")

    def pack(folder: Path) -> None:
        write_set(labels, folder, name="n", summary="s", licence="CC0-1.0", provenance={})

    for _ in range(2):
        pack(tmp_path / "new")
    assert len(read_set(tmp_path / "new")) == len(labels)
    (tmp_path / "labels.csv").write_text("mine")
    with pytest.raises(DataSetError, match=r"the labels\.csv in it is not the toolkit's.*another folder"):
        pack(tmp_path)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["labels.csv"]
    assert (tmp_path / "labels.csv").read_text() == "mine"
