"""Data sets in files: what is written is read back, and nothing else is believed."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from hytnas_agent.records import EXECUTION_WORDS, DeviceContext
from hytnas_datasets.errors import DataSetError
from hytnas_datasets.label_context import LabelContext, ModelFiles
from hytnas_datasets.labelled import LabelledSet
from hytnas_datasets.merging import merge
from hytnas_datasets.plan import Task, build_plan
from hytnas_datasets.portable import DATA_SHEET, TABLE, read_set, read_sheet, write_set
from hytnas_datasets.spaces import get_space
from hytnas_datasets.targets import ACCURACY, ENERGY, LATENCY

CONTEXT = DeviceContext(
    board="emulated Cortex-A53 (instruction count)",
    soc="cortex-a53",
    architecture="aarch64",
    cores=1,
    memory_bytes=0,
    os="Debian",
    kernel="qemu-user",
    runtime="onnxruntime",
    runtime_version="1.31.1",
    runtime_build="Release",
    threads=1,
    governor="none",
    execution="instruction_count",
)
LABEL_CONTEXT = LabelContext(Task(), ModelFiles("onnx", "fp32", "none", "1"), CONTEXT)

Edit = Callable[[dict], None]


def make_set(n: int = 5, seed: int = 0) -> LabelledSet:
    space, rng = get_space("hyt"), np.random.default_rng(seed)
    architectures = tuple(space.sample(n, rng))
    y = rng.uniform(10, 500, n)
    return LabelledSet(
        space=space,
        architectures=architectures,
        plan_hashes=tuple(build_plan(each, Task()).hash for each in architectures),
        y=y,
        repeats=tuple(np.array([value, value * 1.01]) for value in y),
        target=LATENCY,
        context=LABEL_CONTEXT,
        provenance="a test",
        extra={"converter": "none 1"},
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "set"
    write_set(make_set(), folder, name="test", summary="of a test", licence="CC0-1.0", provenance={"seed": 0})
    return folder


def test_a_set_is_read_as_it_was_written(folder: Path) -> None:
    written, read = make_set(), read_set(folder)
    assert read.architectures == written.architectures
    assert read.plan_hashes == written.plan_hashes
    assert read.y.tolist() == written.y.tolist()
    assert [r.tolist() for r in read.repeats] == [r.tolist() for r in written.repeats]
    for part in ("target", "context", "extra"):
        assert getattr(read, part) == getattr(written, part)
    assert read.space.hash() == written.space.hash()


def test_the_data_sheet_says_what_the_labels_are(folder: Path) -> None:
    sheet = read_sheet(folder)
    assert (sheet.labels, sheet.networks, sheet.unit, sheet.licence) == (5, 5, "milliseconds", "CC0-1.0")
    assert sheet.latencies == EXECUTION_WORDS["instruction_count"]
    assert "not the latencies of any Cortex-A53" in sheet.caution
    assert sheet.provenance == {"labels": "a test", "seed": 0}
    assert set(sheet.columns) == set((folder / TABLE).read_text().splitlines()[0].split(","))


def test_writing_again_gives_the_same_bytes(folder: Path) -> None:
    before = [(folder / name).read_bytes() for name in (TABLE, DATA_SHEET)]
    read = replace(read_set(folder), provenance="a test")
    write_set(read, folder, name="test", summary="of a test", licence="CC0-1.0", provenance={"seed": 0})
    assert [(folder / name).read_bytes() for name in (TABLE, DATA_SHEET)] == before


FLAGS = tuple(
    map(
        frozenset,
        ((), ("unstable",), ("disturbed", "untargeted"), ("untargeted",), ("unstable", "disturbed")),
    )
)


def test_what_is_to_be_said_of_a_label_goes_with_it(tmp_path: Path) -> None:
    known = replace(make_set(), quality_flags=FLAGS)
    sheet = write_set(known, tmp_path, name="x", summary="", licence="", provenance={})
    assert set(sheet.columns) == set((tmp_path / TABLE).read_text().splitlines()[0].split(","))
    assert read_sheet(tmp_path).quality_flags == known.flag_count
    read = read_set(tmp_path)
    assert read.quality_flags == FLAGS
    assert read.stable().plan_hashes == (known.plan_hashes[0], known.plan_hashes[3])


def test_a_quality_flag_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    write_set(
        replace(make_set(), quality_flags=FLAGS), tmp_path, name="x", summary="", licence="", provenance={}
    )
    broken = (tmp_path / TABLE).read_bytes().replace(b",disturbed;untargeted", b",disturbed;shaky")
    (tmp_path / TABLE).write_bytes(broken)
    _vouch_for(tmp_path, broken)
    with pytest.raises(DataSetError, match="no quality flags of a label"):
        read_set(tmp_path)


def test_a_set_that_does_not_say_which_labels_are_doubtful_has_no_stable_ones(folder: Path) -> None:
    read = read_set(folder)
    assert (read.quality_flags, read.flag_count, read_sheet(folder).quality_flags) == ((), None, None)
    with pytest.raises(DataSetError, match="do not say which of them are UNSTABLE"):
        read.stable()


def test_a_changed_table_is_refused(folder: Path) -> None:
    table = folder / TABLE
    table.write_text(table.read_text().replace("1", "2", 1))
    with pytest.raises(DataSetError, match="not the file that its data sheet describes"):
        read_set(folder)


def _other_version(sheet: dict) -> None:
    sheet["format_version"] = 99


def _other_space(sheet: dict) -> None:
    sheet["space_hash"] = "0" * 16


def _no_labels(sheet: dict) -> None:
    del sheet["labels"]


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (_other_version, "is of format 99"),
        (_other_space, "another definition of the space 'hyt'"),
        (_no_labels, "malformed"),
    ],
)
def test_a_sheet_that_does_not_fit_is_refused(folder: Path, edit: Edit, said: str) -> None:
    sheet = json.loads((folder / DATA_SHEET).read_text())
    edit(sheet)
    (folder / DATA_SHEET).write_text(json.dumps(sheet))
    with pytest.raises(DataSetError, match=said):
        read_set(folder)


@pytest.mark.parametrize("name", [TABLE, DATA_SHEET])
def test_a_missing_file_is_said(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(DataSetError, match="cannot be read"):
        read_set(folder)


@pytest.mark.parametrize("label", ["nan", "inf", "", "fast", "-3.5", "0"])
def test_a_label_that_is_no_latency_is_refused(tmp_path: Path, label: str) -> None:
    good = make_set()
    write_set(good, tmp_path, name="x", summary="", licence="", provenance={})
    table = (tmp_path / TABLE).read_text()
    broken = table.replace(repr(good.y[2].item()), label, 1).encode()
    (tmp_path / TABLE).write_bytes(broken)
    _vouch_for(tmp_path, broken)
    with pytest.raises(DataSetError, match="cannot be understood"):
        read_set(tmp_path)


def _vouch_for(folder: Path, table: bytes) -> None:
    import hashlib

    sheet = json.loads((folder / DATA_SHEET).read_text())
    sheet["files"][TABLE] = {"sha256": hashlib.sha256(table).hexdigest(), "bytes": len(table)}
    (folder / DATA_SHEET).write_text(json.dumps(sheet))


def test_a_table_past_the_limit_is_not_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hytnas_datasets.portable.MAX_TABLE_BYTES", 10)
    with pytest.raises(DataSetError, match="larger than 10 bytes"):
        read_set(folder)


def test_merging_keeps_the_first_label_of_a_network() -> None:
    one, other = make_set(5, seed=0), make_set(4, seed=1)
    again = replace(one, y=one.y * 2)
    merged = merge([one, other, again])
    assert merged.plan_hashes == one.plan_hashes + other.plan_hashes
    assert merged.y.tolist() == [*one.y.tolist(), *other.y.tolist()]


def test_merging_keeps_quality_flags_where_all_sets_have_them() -> None:
    one, other = replace(make_set(5, seed=0), quality_flags=FLAGS), make_set(4, seed=1)
    again = replace(other, quality_flags=FLAGS[:4])
    assert merge([one, again]).quality_flags == FLAGS + FLAGS[:4]
    assert merge([one, other]).quality_flags == ()


def _cut_a_row(lines: list[str]) -> list[str]:
    return [*lines[:2], lines[2].rsplit(",", 2)[0], *lines[3:]]


def _leave_no_row(lines: list[str]) -> list[str]:
    return lines[:1]


def _leave_out_a_row(lines: list[str]) -> list[str]:
    return lines[:-1]


def _give_a_network_twice(lines: list[str]) -> list[str]:
    return [*lines[:-1], lines[-2]]


def _say_measured(lines: list[str]) -> list[str]:
    return [line.replace("instruction_count", "native") for line in lines]


def _rename_a_column(lines: list[str]) -> list[str]:
    return [lines[0].replace("repeats", "runs"), *lines[1:]]


def _leave_nothing(lines: list[str]) -> list[str]:
    return []


@pytest.mark.parametrize(
    "damage",
    [
        _cut_a_row,
        _leave_no_row,
        _leave_out_a_row,
        _give_a_network_twice,
        _say_measured,
        _rename_a_column,
        _leave_nothing,
    ],
)
def test_a_table_that_does_not_fit_its_sheet_is_refused(
    folder: Path, damage: Callable[[list[str]], list[str]]
) -> None:
    lines = (folder / TABLE).read_text().splitlines()
    damaged = "".join(f"{line}\n" for line in damage(lines)).encode()
    (folder / TABLE).write_bytes(damaged)
    _vouch_for(folder, damaged)
    with pytest.raises(DataSetError, match="cannot be understood"):
        read_set(folder)


def test_accuracies_are_fractions_and_name_no_execution(tmp_path: Path) -> None:
    fractions = np.linspace(0.5, 0.9, 5)
    good = replace(
        make_set(),
        target=ACCURACY,
        y=fractions,
        repeats=tuple(np.array([value]) for value in fractions),
        context=LabelContext(Task()),
    )
    write_set(good, tmp_path, name="x", summary="", licence="", provenance={})
    assert read_set(tmp_path).y.tolist() == fractions.tolist()
    assert "native" not in (tmp_path / TABLE).read_text()
    broken = (tmp_path / TABLE).read_bytes().replace(b"0.9", b"90.0")
    (tmp_path / TABLE).write_bytes(broken)
    _vouch_for(tmp_path, broken)
    with pytest.raises(DataSetError, match="a number from 0 to 1"):
        read_set(tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"task": Task(resolution=96)}, "differ in resolution: 224 / 96,"),
        ({"model_files": ModelFiles("onnx", "fp32", "none", "2")}, "differ in converter_version: 1 / 2,"),
        ({"device": msgspec.structs.replace(CONTEXT, threads=4)}, "differ in threads: 1 / 4,"),
        ({"device": None}, "differ in board: emulated Cortex-A53 .* / None"),
    ],
)
def test_sets_made_unlike_are_not_merged(change: dict, said: str) -> None:
    one = make_set()
    with pytest.raises(DataSetError, match=said):
        merge([one, replace(one, context=msgspec.structs.replace(LABEL_CONTEXT, **change))])


def test_sets_of_two_targets_are_not_merged() -> None:
    one = make_set()
    with pytest.raises(DataSetError, match="differ in target: latency_ms / energy_mj"):
        merge([one, replace(one, target=ENERGY)])


def test_nothing_is_not_merged() -> None:
    with pytest.raises(DataSetError, match="nothing to merge"):
        merge([])


def test_boards_that_were_never_compared_are_not_merged() -> None:
    one = replace(make_set(5, seed=0), devices=(("board-a",),) * 5)
    other = replace(make_set(4, seed=1), devices=(("board-b",),) * 4)
    with pytest.raises(DataSetError, match=r"board-a, board-b.*nothing tells whether they agree"):
        merge([one, other])
    compared = replace(other, devices=(("board-a",), ("board-b",), ("board-a", "board-b"), ("board-b",)))
    assert merge([one, compared]).devices == one.devices + compared.devices
