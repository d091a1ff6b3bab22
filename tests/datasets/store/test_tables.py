import csv
import hashlib
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from hytnas_agent.core_speed import CoreSpeed
from hytnas_agent.protocol import DeviceDescription
from hytnas_agent.records import DeviceIdentity, HealthSnapshot, Outcome, Verdict
from hytnas_datasets.errors import StudyError
from hytnas_datasets.spaces import Architecture, Space, Variable, When, get_space
from hytnas_datasets.store import Study
from hytnas_datasets.store.schema import MIGRATIONS
from hytnas_datasets.store.tables import COLUMNS

Make = SimpleNamespace


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_latencies_have_a_column_for_every_variable_and_say_how_they_ran(
    study: Study, measured: list[Architecture], tmp_path: Path
) -> None:
    study.export_tables(tmp_path)
    rows = read(tmp_path / "latency-tiny.csv")
    assert [(row["depth"], row["ratio"], row["kind"]) for row in rows] == [
        ("1", "1.0", "conv"),
        ("2", "1.0", "conv"),
        ("3", "1.0", "conv"),
        ("3", "1.5", "conv"),
    ]
    assert [row["outcome"] for row in rows] == ["OK", "OOM", "OK", "OK"]
    assert [row["execution"] for row in rows] == ["native", "unknown", "native", "native"]
    assert [row["median_ms"] for row in rows] == ["10.0", "", "20.0", "20.0"]
    assert rows[0]["ci_low_ms"] == "8.5"


def test_parquet_holds_the_same_tables_and_its_sheet_vouches_for_them(
    study: Study, measured: list[Architecture], tmp_path: Path
) -> None:
    names = {path.stem for path in study.export_tables(tmp_path / "csv")}
    files = study.export_tables(tmp_path / "parquet", table_format="parquet")
    assert {path.stem for path in files} == names
    frame = pd.read_parquet(tmp_path / "parquet" / "latency-tiny.parquet", dtype_backend="numpy_nullable")
    assert frame["median_ms"].tolist() == [10.0, pd.NA, 20.0, 20.0]
    assert frame["depth"].tolist() == [1, 2, 3, 3]
    sheet = json.loads((tmp_path / "parquet" / "datasheet.json").read_bytes())
    for path in files[:-1]:
        assert sheet["files"][path.name]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


def test_every_raw_sample_is_written_exactly(study: Study, make: Make, tmp_path: Path) -> None:
    samples = (0.1 + 0.2, 1.0 / 3, 3e-6)
    study.exports.add(make.export("m", None))
    study.results.add(
        make.result("job", "m", samples_ms=samples), model_sha256="m", purpose="latency", replicate=0
    )
    study.export_tables(tmp_path)
    assert tuple(float(row["duration_ms"]) for row in read(tmp_path / "samples.csv")) == samples
    assert [row["job_id"] for row in read(tmp_path / "processes.csv")] == ["job"]


def test_runs_that_do_not_count_are_written_and_say_so(study: Study, make: Make, tmp_path: Path) -> None:
    samples = (1.0, 1.1, 1.2, 9.0, 9.0, 1.3, 1.4, 1.5)
    speed = CoreSpeed(40.0, (40.0, 40.0, 52.0, 40.0, 40.0), (0, 0, 0, 1, 2, 3, 3, 3))
    study.exports.add(make.export("m", None))
    for replicate, found in enumerate((speed, None)):
        result = make.result(f"job-{replicate}", "m", samples_ms=samples, core_speed=found)
        study.results.add(result, model_sha256="m", purpose="latency", replicate=replicate)
    study.export_tables(tmp_path)
    rows = read(tmp_path / "samples.csv")
    assert [(row["job_id"], float(row["duration_ms"]), row["counts"]) for row in rows] == [
        *(("job-0", each, str(each != 9.0)) for each in samples),
        *(("job-1", each, "True") for each in samples),
    ]


def test_each_process_says_what_disturbed_it_and_whether_it_was_steady(
    study: Study, make: Make, tmp_path: Path
) -> None:
    study.exports.add(make.export("m", "p"))
    verdict = Verdict("INVALID", ("82 degrees Celsius", "5 pages were swapped"), ("clock",))
    for replicate, (found, steady) in enumerate(((verdict, False), (None, None))):
        result = make.result(f"job-{replicate}", "m", verdict=found, steady=steady)
        study.results.add(result, model_sha256="m", purpose="latency", replicate=replicate)
    study.export_tables(tmp_path)
    columns = ("steady", "verdict", "disturbed_by", "unverified")
    assert [tuple(row[name] for name in columns) for row in read(tmp_path / "processes.csv")] == [
        ("False", "INVALID", "82 degrees Celsius; 5 pages were swapped", "clock"),
        ("", "", "", ""),
    ]


def test_model_files_from_elsewhere_have_a_table_of_their_own(
    study: Study, measured: list[Architecture], make: Make, tmp_path: Path
) -> None:
    study.exports.add(make.export("foreign", None, path="models/foreign.onnx"))
    study.labels.add(make.label("foreign"), "latency", "board-1", make.context(execution="emulated"))
    study.export_tables(tmp_path)
    rows = read(tmp_path / "latency-files.csv")
    assert [(row["model"], row["execution"]) for row in rows] == [("models/foreign.onnx", "emulated")]
    assert len(read(tmp_path / "latency-tiny.csv")) == 4


def test_a_variable_that_does_not_exist_is_left_empty(study: Study, make: Make, tmp_path: Path) -> None:
    space = Space(
        "branch", (Variable("kind", ("a", "b")), Variable("heads", (1, 2), when=When("kind", ("b",))))
    )
    architecture = space.from_values({"kind": "a"})
    study.architectures.add(space, [architecture], ["p"], "accuracy")
    study.accuracies.add(make.accuracy(architecture, "p", 0))
    study.export_tables(tmp_path)
    assert [(row["kind"], row["heads"]) for row in read(tmp_path / "accuracy-branch.csv")] == [("a", "")]


def test_the_data_sheet_explains_every_column_and_vouches_for_every_file(
    study: Study, space: Space, measured: list[Architecture], make: Make, tmp_path: Path
) -> None:
    study.runs.begin("hytnas-profile collect latency", {"n": 4}, {"torch": "2.13.0"})
    study.accuracies.add(make.accuracy(measured[0], "p0", 0))
    study.exports.add(make.export("foreign", None))
    study.labels.add(make.label("foreign"), "latency", "board-1", make.context())
    study.results.add(make.result("job", "m0"), model_sha256="m0", purpose="latency", replicate=0)
    files = study.export_tables(tmp_path, licence="CC-BY-4.0")
    sheet = json.loads((tmp_path / "datasheet.json").read_text())
    names = [path.name for path in files if path.suffix == ".csv"]
    assert sorted(sheet["files"]) == sorted(names)
    variables = {variable.name for variable in space.variables}
    for name in names:
        content = (tmp_path / name).read_bytes()
        assert sheet["files"][name]["sha256"] == hashlib.sha256(content).hexdigest()
        columns = set(content.decode().splitlines()[0].split(","))
        assert columns <= variables | set(COLUMNS)
    assert sheet["licence"] == "CC-BY-4.0"
    assert sheet["schema_version"] == len(MIGRATIONS)
    assert sheet["provenance"][0]["environment"] == {"torch": "2.13.0"}
    assert sheet["recipes"][0]["epochs"] == 2
    assert next(iter(sheet["contexts"].values()))["board"] == "Raspberry Pi 3 Model B"


def test_a_failed_training_has_no_accuracy_but_a_reason(
    study: Study, measured: list[Architecture], make: Make, tmp_path: Path
) -> None:
    study.accuracies.add(make.accuracy(measured[0], "p0", 0, accuracy=None, failure="the loss was nan"))
    study.export_tables(tmp_path)
    row = read(tmp_path / "accuracy-tiny.csv")[0]
    assert (row["accuracy"], row["failure"]) == ("", "the loss was nan")


def test_a_folder_that_cannot_be_written_is_one_line(study: Study, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StudyError, match="cannot be written"):
        study.export_tables(tmp_path / "file")


def test_architectures_carry_the_ids_that_commands_take(study: Study, make: Make, tmp_path: Path) -> None:
    space = get_space("hyt")
    architecture = space.sample(1, np.random.default_rng(0))[0]
    study.architectures.add(space, [architecture], ["p"], "accuracy")
    study.accuracies.add(make.accuracy(architecture, "p", 0))
    study.export_tables(tmp_path)
    (row,) = read(tmp_path / "accuracy-hyt.csv")
    assert space.parse(row["architecture"]) == architecture


def test_names_of_hosts_and_people_and_their_places_are_left_out_unless_asked_for(
    study: Study, make: Make, tmp_path: Path
) -> None:
    config = {"models": "/home/jane roe/nets", "device": ["jane@box-17.lan"], "on": "box-17"}
    study.runs.begin("hytnas-profile collect latency --study /srv/jane/s", config, {})
    study.devices.add(
        DeviceDescription(
            DeviceIdentity("board-1", "box-17"),
            make.context(),
            (),
            HealthSnapshot(1.0),
            "0.1",
            spool_path="/home/jane/.local/state/hytnas/spool",
        )
    )
    study.exports.add(make.export("m", None))
    said = {"outcome": Outcome.INTERNAL, "message": "box-17: no /home/jane/spool/m.onnx"}
    study.results.add(make.result("job", "m", **said), model_sha256="m", purpose="latency", replicate=0)
    for keep, kept in ((False, set()), (True, {"jane", "box-17"})):
        files = study.export_tables(tmp_path / str(keep), keep_hostnames=keep)
        text = "".join(path.read_text() for path in files)
        assert {name for name in ("jane", "roe", "box-17") if name in text} - {"roe"} == kept
    assert read(tmp_path / "False" / "processes.csv")[0]["message"] == "\u2026: no \u2026/m.onnx"


def test_text_from_elsewhere_is_no_formula_and_moves_no_cursor(
    study: Study, make: Make, tmp_path: Path
) -> None:
    study.exports.add(make.export("m", None, path='=HYPERLINK("x")'))
    study.labels.add(make.label("m", message="\x1b[2Ja\r\nb"), "latency", "board-1", make.context())
    study.export_tables(tmp_path)
    (row,) = read(tmp_path / "latency-files.csv")
    assert (row["model"], row["message"]) == ('\'=HYPERLINK("x")', " [2Ja  b")
