import pandas as pd
import pytest

from hytnas_datasets.store.table_files import write_table

NAMES = ("text", "count", "real", "mixed", "flag", "seconds", "none", "kind")
ROWS = [
    dict(zip(NAMES, ('a, "b"', 3, 0.1, 1, True, 3.0, None, "x"), strict=True)),
    dict(zip(NAMES, ("", None, None, 1.5, None, 2.0, None, 2), strict=True)),
]


def test_csv_holds_values_as_python_writes_them(tmp_path):
    path = write_table(tmp_path, "table", ROWS)
    assert path.read_text() == (
        'text,count,real,mixed,flag,seconds,none,kind\n"a, ""b""",3,0.1,1,True,3.0,,x\n,,,1.5,,2.0,,2\n'
    )


def test_parquet_knows_the_type_of_each_column(tmp_path):
    frame = pd.read_parquet(write_table(tmp_path, "table", ROWS, "parquet"), dtype_backend="numpy_nullable")
    assert frame["count"].dtype == "Int64"
    assert frame["real"].dtype == frame["mixed"].dtype == frame["seconds"].dtype == "Float64"
    assert frame["flag"].dtype == "boolean"
    assert frame["mixed"].tolist() == [1.0, 1.5]
    assert frame["count"].tolist() == [3, pd.NA]
    assert frame["kind"].tolist() == ["x", "2"]
    assert frame["text"].tolist() == ['a, "b"', ""]
    assert frame["none"].isna().all()


@pytest.mark.parametrize("table_format", ["csv", "parquet"])
def test_many_rows_and_none(tmp_path, table_format):
    rows = [{"number": number} for number in range(45_000)]
    path = write_table(tmp_path, "many", iter(rows), table_format)
    read = pd.read_csv(path) if table_format == "csv" else pd.read_parquet(path)
    assert read["number"].tolist() == list(range(45_000))
    assert write_table(tmp_path, "none", iter(()), table_format).name == f"none.{table_format}"
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        f"many.{table_format}",
        f"none.{table_format}",
    ]
