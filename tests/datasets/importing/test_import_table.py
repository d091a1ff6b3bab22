"""Tables as they are found, and what becomes of them."""

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hytnas_datasets.errors import DataSetError
from hytnas_datasets.importing import (
    ForeignTable,
    TableColumns,
    candidates_of,
    import_released,
    import_table,
    read_foreign_table,
)
from hytnas_datasets.portable import read_set, write_set
from hytnas_datasets.spaces import registry
from hytnas_datasets.spaces.released import read_released_file

PLAIN = "unroll,tile,latency_ms\n1,8,20.5\n2,16,10.25\n"
EXPECTED = {"unroll": [1, 2], "tile": [8, 16], "latency_ms": [20.5, 10.25]}


@pytest.mark.parametrize(
    ("content", "dialect"),
    [
        (PLAIN.encode(), "CSV separated by commas, utf-8"),
        (gzip.compress(PLAIN.encode()), "CSV separated by commas, utf-8"),
        (PLAIN.replace("\n", "\r\n").encode("utf-8-sig"), "CSV separated by commas, utf-8-sig"),
        (PLAIN.replace(",", "\t").encode("utf-16"), "CSV separated by tabs, utf-16"),
        (PLAIN.replace(",", " | ").replace("\n", " |\n").encode(), "CSV separated by bars, utf-8"),
        (
            PLAIN.replace(",", ";").replace(".", ",").encode(),
            "CSV separated by semicolons, utf-8, decimal commas",
        ),
        (b'"unroll";"tile";latency_ms\n\n"1";8;"20.5"\n2;"16";10.25\n', "CSV separated by semicolons, utf-8"),
    ],
    ids=["plain", "gzip", "mark and carriage returns", "utf-16 and tabs", "bars", "decimal commas", "quoted"],
)
def test_a_table_is_read_in_whatever_dialect_it_is_written(
    tmp_path: Path, content: bytes, dialect: str
) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    table = read_foreign_table(path)
    assert table == ForeignTable(EXPECTED, dialect)


def test_parquet_is_read_with_its_missing_values(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    frame = pd.DataFrame({"a": [1.0, np.nan], "b": ["x", None], "c": [True, False], "latency_ms": [1, 2]})
    frame.to_parquet(path)
    assert read_foreign_table(path) == ForeignTable(
        {"a": [1, None], "b": ["x", None], "c": ["true", "false"], "latency_ms": [1, 2]}, "Parquet"
    )


def test_a_table_without_names_gets_some(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("1,8,20.5,\n2,16,10.25,\n")
    with pytest.raises(DataSetError, match=r"holds numbers, not names\. Say so with --no-header"):
        read_foreign_table(path)
    path.write_text("1,8,20.5\n2,16,10.25\n")
    assert list(read_foreign_table(path, header=False).columns) == ["c0", "c1", "c2"]


def test_words_in_latin_1_and_cells_without_a_value(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes("größe,n\nklein,1\nN/A,nan\n0_8,٣\n".encode("latin-1", "ignore"))
    table = read_foreign_table(path)
    assert table.columns["größe"] == ["klein", None, "0_8"]
    assert table.dialect.endswith("latin-1")


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"", "holds no rows"),
        (b"a,b\n", "holds no rows"),
        (b"a,b\n1\n", "has 1 cells in row 2, not 2"),
        (b"a,b\n1,2,3\n", "has 3 cells in row 2, not 2"),
        (b"a,a\n1,2\n", "two columns of"),
        (b"a,,b\n1,2,3\n", "column 2 of"),
        (b'a,b\n"1,2\n', "is not a table: unexpected end of data"),
        (b"\x1f\x8b\x08nonsense", "is damaged"),
        (None, "is not a file"),
    ],
)
def test_what_is_no_table_gets_one_line(tmp_path: Path, content: bytes | None, line: str) -> None:
    path = tmp_path / "table.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataSetError) as told:
        read_foreign_table(path)
    assert line in str(told.value)
    assert "\n" not in str(told.value)


def test_a_file_that_is_no_parquet_gets_one_line(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    path.write_text(PLAIN)
    with pytest.raises(DataSetError, match="is not a Parquet file"):
        read_foreign_table(path)


MESSY = ForeignTable(
    {
        "name": ["a", "b", "a", "c", "d", "e", "f", "f", "b", "g"],
        "unroll": [1, 2, 1, 4, 4, 8, 8, 8, 4, 1],
        "tile size": [8, 8, 8, 16, None, 16, 32, 32, 8, 8],
        "layout": ["nchw", "nhwc", "nchw", None, "nchw", "nchw", "nh;wc", "nh;wc", "nhwc", "nhwc"],
        "const": [7] * 10,
        "seconds": [0.0215, 0.0205, 0.0219, 0.0105, 0.0105, None, 0.0095, 0.0095, 0.5, -1],
    },
    "made up",
)
COLUMNS = TableColumns("latency_ms", label="seconds", unit="s", repeats_of="name")


def test_a_messy_table_becomes_a_space_and_labels_and_says_what_was_odd() -> None:
    imported = import_table(MESSY, COLUMNS, name="messy")
    labelled = imported.labelled
    assert [labelled.space.values(a) for a in labelled.architectures] == [
        {"unroll": 1, "tile_size": 8, "layout": "nchw"},
        {"unroll": 2, "tile_size": 8, "layout": "nhwc"},
        {"unroll": 4, "tile_size": 16, "layout": "(none)"},
        {"unroll": 8, "tile_size": 32, "layout": "nh;wc"},
    ]
    assert labelled.y == pytest.approx([21.7, 20.5, 10.5, 9.5])
    assert labelled.repeats[0] == pytest.approx([21.5, 21.9])
    assert imported.notes == (
        "1 row without a label, left out (row 6)",
        "1 row whose label is not a positive number ms, left out (row 10)",
        "1 row without a number in a column of numbers, left out (row 5)",
        "columns with one value, left out: const",
        "1 row whose features are not those of the first row of that name, left out (row 9)",
        "1 row that copy an earlier row, label included, left out (row 8)",
        "candidates with several rows of different labels, taken as repeats: 1",
        "repeats of a candidate scatter by 1.3% of the label (standard deviation)",
    )


def test_an_outlier_is_named_and_kept() -> None:
    values = np.random.default_rng(0).normal(0.0, 0.1, 40)
    labels = [*np.exp(values).tolist(), 900.0]
    table = ForeignTable({"x": list(range(41)), "latency_ms": labels}, "made up")
    imported = import_table(table, TableColumns("latency_ms"), name="outlier")
    assert len(imported.labelled) == 41
    assert imported.notes[-1] == (
        "1 row kept, though their labels are more than 6 robust standard deviations from the median (row 41)"
    )


@pytest.mark.parametrize(
    ("columns", "line"),
    [
        (TableColumns("latency_ms"), "the table has no column 'latency_ms'. Its columns are name, unroll"),
        (TableColumns("latency_ms", label="layout"), "the label in row 1 is 'nchw', which is no number"),
        (TableColumns("latency_ms", label="seconds", unit="h"), "has no unit 'h'. Choose one of us"),
        (
            TableColumns("latency_ms", label="seconds", features=("seconds",)),
            "the label or the id as well",
        ),
        (TableColumns("latency_ms", label="seconds", features=("const",)), "no column of features has two"),
        (TableColumns("latency_ms", label="seconds", features=("tiles",)), "no column 'tiles'"),
        (TableColumns("accuracy", label="unroll", features=("name",)), None),
        (TableColumns("speed"), "there is no target 'speed'"),
    ],
)
def test_columns_that_cannot_be_used_get_one_line(columns: TableColumns, line: str | None) -> None:
    if line is None:
        notes = import_table(MESSY, columns, name="some").notes
        assert any("whose label is not a number from 0 to 1 fraction, left out" in note for note in notes)
        return
    with pytest.raises(DataSetError) as told:
        import_table(MESSY, columns, name="none")
    assert line in str(told.value)


def test_a_column_of_measurements_is_refused_as_a_feature() -> None:
    table = ForeignTable({"x": list(range(1001)), "latency_ms": [1.0] * 1001}, "made up")
    with pytest.raises(DataSetError, match="'x' has 1001 values, and a variable at most 1000 choices"):
        import_table(table, TableColumns("latency_ms"), name="wide")


def test_the_data_set_carries_its_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labelled = import_table(MESSY, COLUMNS, name="carried").labelled
    write_set(labelled, tmp_path, name="carried", summary="", licence="CC0-1.0", provenance={})
    monkeypatch.setattr(registry, "_REGISTERED", {})
    again = read_set(tmp_path)
    assert again.space == labelled.space
    assert again.architectures == labelled.architectures
    space_file = tmp_path / "space.toml"
    space_file.write_text(space_file.read_text().replace("32", "33"))
    with pytest.raises(DataSetError, match=r"space\.toml is not the file that its data sheet describes"):
        read_set(tmp_path)


def test_rows_of_another_table_are_candidates() -> None:
    space = import_table(MESSY, COLUMNS, name="more").labelled.space
    table = ForeignTable({"layout": ["nhwc"], "tile size": [32], "unroll": [1], "other": [1.5]}, "")
    assert [space.values(a) for a in candidates_of(table, space)] == [
        {"unroll": 1, "tile_size": 32, "layout": "nhwc"}
    ]
    with pytest.raises(DataSetError, match=r"row 1 is not of more: .*99 is not a choice of 'unroll'"):
        candidates_of(ForeignTable(table.columns | {"unroll": [99]}, ""), space)
    with pytest.raises(DataSetError, match=r"no column 'layout'\. It needs one for each variable of more"):
        candidates_of(ForeignTable({"unroll": [1], "tile size": [8]}, ""), space)


def test_a_published_file_is_decoded_and_its_defects_are_told(
    tmp_path: Path,
) -> None:
    row = "2,4,3,3,4,1,1,1,2,24,24,24,36,24,2,2,2,32,32,64,2,8,4"
    other = "3,1,1,2,1,2,1,1,4,24,36,36,72,36,1,2,4,64,64,64,8,4,4"
    path = tmp_path / "models_acc_pr.csv"
    path.write_text(f"{row},82.2\n{other},82.7\n{other},81.0\n1,2,3\n")
    imported = import_released(read_released_file(path))
    assert imported.labelled.space.name == "hyt-released"
    assert imported.labelled.y == pytest.approx([0.822, 0.81])
    assert imported.notes[0].startswith(
        "1 row left out: repeats the features of row N with another label (row 2)"
    )
    assert imported.notes[1].startswith("1 row left out: has N columns, not N (row 4)")
    assert imported.notes[-1] == "no candidate was repeated: how noisy the labels are is not known"
