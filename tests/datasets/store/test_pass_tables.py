"""What the passes found, as tables: read back, it is what was stored."""

import csv
import json
from pathlib import Path
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest

from hytnas_agent.pass_records import (
    EnergyReading,
    OperatorProfile,
    OperatorTime,
    SustainedSeries,
    SustainedWindow,
)
from hytnas_agent.records import DeviceIdentity, MeasurePass, Outcome
from hytnas_datasets.plan import Task, build_plan
from hytnas_datasets.spaces import Architecture, Space, get_space
from hytnas_datasets.store import Study
from hytnas_datasets.store.pass_tables import PASS_COLUMNS

Make = SimpleNamespace

PROFILE = OperatorProfile(
    9,
    1.7,
    (
        OperatorTime("/stem/embed/conv/Conv", "Conv", 400.1),
        OperatorTime("/stage1/block1/depthwise/conv/Conv", "Conv", 1 / 3 * 1000),
        OperatorTime("/head/classifier/Gemm", "Gemm", 50.25),
    ),
)
ENERGY = EnergyReading("ina219 hwmon2", "the board's supply", 301, 10.02, 31.1, 3.0, 6.3)
SERIES = SustainedSeries(
    (
        SustainedWindow(1.01, 50, 20.1, 61.5, 1200.0, 0, None, 1199.5),
        SustainedWindow(2.02, 40, 25.3, None, None, None, 3),
    ),
    20.1,
    25.3,
    1.01,
    "latency",
)
FOUND: dict[MeasurePass, dict[str, object]] = {
    "profile": {"profile": PROFILE},
    "energy": {"energy": ENERGY},
    "sustained": {"sustained": SERIES},
}


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def add_passes(study: Study, make: Make, sha256: str, board: str = "board-1", suffix: str = "") -> None:
    for name, fields in FOUND.items():
        result = make.result(
            f"{name}-{sha256}-{board}{suffix}",
            sha256,
            measure_pass=name,
            samples_ms=(),
            median_ms=None,
            identity=DeviceIdentity(board, "pi"),
            **fields,
        )
        study.results.add(result, model_sha256=sha256, purpose=name, replicate=0)


@pytest.fixture
def architecture(study: Study, make: Make) -> Architecture:
    """A network of ``hyt`` whose passes were measured, as were those of a file from elsewhere."""
    space = get_space("hyt")
    (architecture,) = space.sample(1, np.random.default_rng(3))
    plan = build_plan(architecture, Task(resolution=224, classes=2))
    study.architectures.add(space, [architecture], [plan.hash], "latency")
    study.exports.add(make.export("m", plan.hash))
    study.exports.add(make.export("foreign", None, path="models/foreign.onnx", task=None))
    add_passes(study, make, "m")
    add_passes(study, make, "foreign")
    return architecture


def test_a_profile_has_stages_as_rows_that_add_up(
    study: Study, architecture: Architecture, tmp_path: Path
) -> None:
    study.export_tables(tmp_path)
    network, foreign = read(tmp_path / "profile.csv")
    assert (network["space"], network["architecture"]) == ("hyt", get_space("hyt").format(architecture))
    assert (foreign["space"], foreign["architecture"], foreign["model"]) == ("", "", "models/foreign.onnx")
    assert float(network["operators_ms"]) == PROFILE.kernel_ms
    assert float(network["profiled_run_ms"]) == PROFILE.run_ms
    rows = read(tmp_path / "profile-stages.csv")
    stages = {row["stage"]: float(row["time_ms"]) for row in rows if row["job_id"] == network["job_id"]}
    assert stages == pytest.approx({"stem": 0.4001, "stage1": 1 / 3, "head": 0.05025})
    assert sum(stages.values()) + float(network["unmapped_ms"]) == pytest.approx(PROFILE.kernel_ms)
    whole = {row["operator_kind"]: row["stage"] for row in rows if row["job_id"] == foreign["job_id"]}
    assert whole == {"convolution": "whole", "matrix product": "whole"}


@pytest.mark.usefixtures("architecture")
def test_what_was_stored_is_read_back_exactly(study: Study, tmp_path: Path) -> None:
    study.export_tables(tmp_path)
    job = {name: f"{name}-m-board-1" for name in FOUND}
    operators = tuple(
        OperatorTime(row["operator_name"], row["operator_type"], float(row["time_us"]))
        for row in read(tmp_path / "profile-operators.csv")
        if row["job_id"] == job["profile"]
    )
    assert operators == PROFILE.operators
    energy = next(row for row in read(tmp_path / "energy.csv") if row["job_id"] == job["energy"])
    renamed = energy | {"runs": energy["inferences"]}
    assert msgspec.convert(renamed, EnergyReading, strict=False) == ENERGY
    for name in ("load_w", "idle_w", "mj_per_inference", "mj_above_idle"):
        assert float(energy[name]) == getattr(ENERGY, name)
    windows = tuple(
        msgspec.convert(
            {k: v for k, v in (row | {"median_ms": row["window_median_ms"]}).items() if v},
            SustainedWindow,
            strict=False,
        )
        for row in read(tmp_path / "sustained-windows.csv")
        if row["job_id"] == job["sustained"]
    )
    assert windows == SERIES.windows
    lasting = next(row for row in read(tmp_path / "sustained.csv") if row["job_id"] == job["sustained"])
    assert (lasting["inferences"], lasting["load_s"], lasting["throttle_sign"]) == ("90", "2.02", "latency")
    for name in ("burst_ms", "sustained_ms", "slowdown", "throttled_after_s"):
        assert float(lasting[name]) == getattr(SERIES, name)


@pytest.mark.usefixtures("architecture")
def test_each_model_and_device_has_its_last_good_result(study: Study, make: Make, tmp_path: Path) -> None:
    add_passes(study, make, "m", suffix="-again")
    add_passes(study, make, "m", board="board-2")
    failed = make.result(
        "failed", "m", measure_pass="energy", outcome=Outcome.UNSUPPORTED, samples_ms=(), median_ms=None
    )
    study.results.add(failed, model_sha256="m", purpose="energy", replicate=0)
    study.export_tables(tmp_path)
    rows = [row for row in read(tmp_path / "energy.csv") if row["model_sha256"] == "m"]
    assert [(row["device_id"], row["job_id"]) for row in rows] == [
        ("board-1", "energy-m-board-1-again"),
        ("board-2", "energy-m-board-2"),
    ]


@pytest.mark.usefixtures("architecture")
def test_the_data_sheet_explains_the_tables_of_passes(study: Study, tmp_path: Path) -> None:
    study.export_tables(tmp_path)
    sheet = json.loads((tmp_path / "datasheet.json").read_text())
    names = {"profile", "profile-stages", "profile-operators", "energy", "sustained", "sustained-windows"}
    assert {f"{name}.csv" for name in names} <= set(sheet["files"])
    columns = {column for name in names for column in read(tmp_path / f"{name}.csv")[0]}
    assert columns <= set(sheet["columns"])
    assert set(PASS_COLUMNS) <= columns


def test_a_study_without_passes_has_no_such_tables(
    study: Study, measured: list[Architecture], tmp_path: Path
) -> None:
    written = {path.stem for path in study.export_tables(tmp_path)}
    assert measured
    assert not {"profile", "energy", "sustained"} & written


def test_a_space_that_is_not_known_here_keeps_its_profile_as_a_whole(
    study: Study, space: Space, make: Make, tmp_path: Path
) -> None:
    study.architectures.add(space, space.decode([[0, 1, 1]]), ["p"], "latency")
    study.exports.add(make.export("m", "p"))
    add_passes(study, make, "m")
    study.export_tables(tmp_path)
    assert {row["stage"] for row in read(tmp_path / "profile-stages.csv")} == {"whole"}
    assert read(tmp_path / "energy.csv")[0]["architecture"] == "0-1-1"
