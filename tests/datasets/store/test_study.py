import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hytnas_agent.core_speed import CoreSpeed
from hytnas_agent.protocol import DeviceDescription
from hytnas_agent.records import DeviceIdentity, HealthSnapshot, Outcome, ParityResult
from hytnas_datasets.errors import StudyError
from hytnas_datasets.plan import Task
from hytnas_datasets.spaces import Architecture, Space, Variable
from hytnas_datasets.store import CurvePoint, Purpose, Study, verification_purpose

Make = SimpleNamespace


def test_runs_are_registered_and_end(study: Study) -> None:
    run = study.runs.begin("run", {"n": 80}, {"torch": "2.13.0"})
    killed = study.runs.begin("run", {"n": 81}, {})
    study.runs.end(run, "done")
    records = {record.run_id: record for record in study.runs.all()}
    assert records[run].status == "done"
    assert records[run].ended_unix_s is not None
    assert (records[killed].status, records[killed].ended_unix_s) == ("running", None)
    assert records[run].environment == {"torch": "2.13.0"}


def test_a_run_whose_process_is_gone_was_killed_and_one_that_goes_on_was_not(study: Study) -> None:
    code = (
        "import os, sys; from hytnas_datasets.store import Study\n"
        "study = Study.open(sys.argv[1]); study.runs.begin('gone', {}, {})\n"
        "print(study.runs.all()[-1].status, flush=True); os._exit(9)"
    )
    child = subprocess.run(
        [sys.executable, "-c", code, str(study.folder)], check=False, capture_output=True, text=True
    )
    with Study.open(study.folder) as other:
        other.runs.begin("elsewhere", {}, {})
        study.runs.begin("here", {}, {})
        study.runs.begin("next", {}, {})
        statuses = {run.command: (run.status, run.ended_unix_s) for run in study.runs.all()}
    assert child.stdout == "running\n"
    assert statuses == {"gone": ("killed", None)} | dict.fromkeys(
        ("elsewhere", "here", "next"), ("running", None)
    )
    study.runs.begin("last", {}, {})  # `elsewhere` was closed without an end
    assert [run.command for run in study.runs.all() if run.status == "killed"] == ["gone", "elsewhere"]


def test_runs_are_registered_where_no_lock_can_be_had(study: Study) -> None:
    study.path.with_name(f"{study.path.name}-runs").mkdir()
    run = study.runs.begin("first", {}, {})
    study.runs.begin("second", {}, {})
    study.runs.end(run, "done")
    assert [run.status for run in study.runs.all()] == ["done", "running"]


def test_samples_keep_their_order_and_add_nothing_twice(study: Study, space: Space) -> None:
    first = space.decode([[2, 1, 0], [0, 0, 0]])
    more = space.decode([[0, 0, 0], [1, 1, 1]])
    study.architectures.add(space, first, ["b", "a"], "latency")
    study.architectures.add(space, more, ["a", "c"], "latency")
    study.architectures.add(space, more, ["x", "y"], "accuracy")
    assert study.architectures.of("latency") == [(first[0], "b"), (first[1], "a"), (more[1], "c")]
    assert study.architectures.of("accuracy") == [(more[0], "x"), (more[1], "y")]
    assert study.architectures.counts() == {"latency": 3, "accuracy": 2}


def test_a_sample_is_stored_whole_or_not_at_all(study: Study, space: Space) -> None:
    good = space.decode([[0, 0, 0]])
    with pytest.raises(StudyError, match="other"):
        study.architectures.add(space, [*good, Architecture("other", (0,))], ["a", "b"], "latency")
    assert study.architectures.of("latency") == []


def test_another_definition_of_a_space_is_refused(study: Study, space: Space) -> None:
    study.architectures.add(space, space.decode([[0, 0, 0]]), ["a"], "latency")
    changed = Space("tiny", (Variable("depth", (1, 2)), *space.variables[1:]))
    with pytest.raises(StudyError, match="another definition of the space 'tiny'"):
        study.architectures.add(changed, changed.decode([[0, 0, 0]]), ["a"], "latency")
    with pytest.raises(StudyError, match="another definition"):
        study.labelled("latency_ms", space=changed)


MADE = {"format": "onnx", "precision": "fp32", "converter": "torch"}


def test_the_newest_export_of_a_network_is_found(study: Study, make: Make) -> None:
    old, new = make.export("m1", "p"), make.export("m2", "p", converter_version="2.14.0")
    foreign = make.export("m3", None, task=None)
    for record in (old, new, foreign, make.export("m4", "p", task=Task(resolution=96))):
        study.exports.add(record)
    assert study.exports.find("p", Task(), **MADE) == new
    assert study.exports.find("p", Task(classes=10), **MADE) is None
    assert study.exports.find("p", Task(), **MADE | {"format": "tflite"}) is None
    assert study.exports.find("p", Task(), **MADE | {"precision": "int8"}) is None
    assert study.exports.find("p", Task(), **MADE | {"converter": "another"}) is None
    assert foreign in study.exports.all()


def test_an_export_stored_again_replaces_its_record(study: Study, make: Make) -> None:
    study.exports.add(make.export("m", "p", seconds=1.0))
    study.exports.add(make.export("m", "p", seconds=2.0))
    assert [record.seconds for record in study.exports.all()] == [2.0]


def test_an_imported_file_does_not_take_the_place_of_an_export(study: Study, make: Make) -> None:
    exported = make.export("m", "p", parity_error=1e-6)
    foreign = make.export("m", None, task=None, opset=None, converter="")
    study.exports.add(foreign)
    study.exports.add(exported)
    study.exports.add(foreign)
    assert study.exports.all() == [exported]
    assert study.exports.find("p", Task(), **MADE) == exported


def test_results_come_back_whole_and_once(study: Study, make: Make) -> None:
    study.exports.add(make.export("m", "p"))
    late = make.result(
        "job-2", "m", started_unix_s=20.0, health_before=HealthSnapshot(19.0, temperature_celsius=50.5)
    )
    early = make.result(
        "job-1", "m", started_unix_s=10.0, outcome=Outcome.CRASH, signal="SIGSEGV", context=None
    )
    for replicate, result in ((1, late), (0, early), (1, late)):
        study.results.add(result, model_sha256="m", purpose="latency", replicate=replicate)
    study.results.add(
        make.result("job-1", "m", wall_s=99.0), model_sha256="m", purpose="latency", replicate=0
    )
    # As they were stored, whatever the board's clock said.
    assert study.results.of_model("m", "latency") == [late, early]
    assert study.results.of_model("m", "verify-0123abcd") == []
    assert study.results.by_model("latency") == {"m": [(1, late), (0, early)]}


def test_a_result_of_an_unknown_model_is_refused(study: Study, make: Make) -> None:
    with pytest.raises(StudyError, match="not in this study"):
        study.results.add(make.result("job", "m"), model_sha256="m", purpose="latency", replicate=0)
    with pytest.raises(StudyError, match="not in this study"):
        study.labels.add(make.label("m"), "latency", "board-1", None)
    assert study.results.by_model("latency") == {}


def test_devices_are_kept_once_for_each_context(study: Study, make: Make) -> None:
    def description(governor: str, at_unix_s: float) -> DeviceDescription:
        return DeviceDescription(
            DeviceIdentity("board-1", "pi"),
            make.context(governor=governor),
            (),
            HealthSnapshot(at_unix_s),
            "0.1.0",
        )

    for governor, at_unix_s in (("performance", 1.0), ("ondemand", 2.0), ("performance", 3.0)):
        study.devices.add(description(governor, at_unix_s))
    assert {device.context.governor: device.health.at_unix_s for device in study.devices.all()} == {
        "performance": 3.0,
        "ondemand": 2.0,
    }
    assert len(study.devices.contexts()) == 2


def test_labels_come_in_sampled_order_with_foreign_files_last(
    study: Study, measured: list[Architecture], make: Make
) -> None:
    study.exports.add(make.export("foreign", None))
    study.labels.add(make.label("foreign"), "latency", "board-1", make.context())
    labels = [(stored.architecture, stored.label) for stored in study.labels.all("latency")]
    assert [architecture for architecture, _ in labels] == [*measured, None]
    assert [label.outcome for _, label in labels] == [
        Outcome.OK,
        Outcome.OOM,
        Outcome.OK,
        Outcome.OK,
        Outcome.OK,
    ]
    assert labels[2][1] == labels[3][1]


def test_a_label_made_again_replaces_the_one_before(
    study: Study, measured: list[Architecture], make: Make
) -> None:
    study.labels.add(make.label("m0", (30.0, 31.0, 32.0)), "latency", "board-1", make.context())
    study.labels.add(make.label("m0", (50.0,)), "verify-0123abcd", "board-1", make.context())
    assert study.labels.all("latency")[0].label.median_ms == 31.0
    assert [stored.label.median_ms for stored in study.labels.all("verify-0123abcd")] == [50.0]


def test_accuracies_are_stored_once_for_network_seed_recipe_and_data(
    study: Study, space: Space, make: Make
) -> None:
    architecture = space.decode([[0, 1, 0]])[0]
    study.architectures.add(space, [architecture], ["p"], "accuracy")
    first = make.accuracy(architecture, "p", 0, curve=(CurvePoint(1, 2.3), CurvePoint(2, 1.9, 0.5)))
    for record in (
        first,
        make.accuracy(architecture, "p", 0, accuracy=0.9),
        make.accuracy(architecture, "p", 1, accuracy=None, failure="the loss was nan"),
        make.accuracy(architecture, "p", 0, recipe={"epochs": 3}),
    ):
        study.accuracies.add(record)
    stored = study.accuracies.all()
    assert len(stored) == 3
    assert stored[0] == first
    assert stored[1].failure == "the loss was nan"
    assert len(study.accuracies.keys()) == 3


@pytest.mark.parametrize("accuracy", [float("nan"), float("inf"), -0.1, 1.5, None])
def test_an_impossible_accuracy_is_refused(
    study: Study, space: Space, accuracy: float | None, make: Make
) -> None:
    architecture = space.decode([[0, 0, 0]])[0]
    study.architectures.add(space, [architecture], ["p"], "accuracy")
    with pytest.raises(StudyError):
        study.accuracies.add(make.accuracy(architecture, "p", 0, accuracy=accuracy))
    assert study.accuracies.all() == []


def test_an_accuracy_of_an_unknown_space_is_refused(study: Study, make: Make) -> None:
    with pytest.raises(StudyError, match="no architectures of the space 'tiny'"):
        study.accuracies.add(make.accuracy(Architecture("tiny", (0, 0, 0)), "p", 0))


def test_failures_are_listed_by_stage(study: Study) -> None:
    run = study.runs.begin("collect", {}, {})
    study.failures.add("export", "p1", "parity")
    study.failures.add("train", "p2", "diverged")
    assert [(failure.subject, failure.run_id) for failure in study.failures.all("export")] == [("p1", run)]
    assert len(study.failures.all()) == 2


millis = st.floats(1e-3, 8e7)
text = st.text(st.characters(codec="utf-8"), max_size=20)
several = st.lists(millis, min_size=1, max_size=30).map(tuple)
places = st.lists(st.just(0), max_size=30).map(tuple)


reported = st.fixed_dictionaries(
    {
        "samples_ms": several,
        "warmup_ms": st.lists(millis, max_size=5).map(tuple),
        "message": text,
        "outcome": st.sampled_from(Outcome),
        "parity": st.none() | st.builds(ParityResult, millis, st.floats(allow_nan=False)),
        "peak_rss_bytes": st.none() | st.integers(0, 2**50),
        "core_speed": st.none()
        | st.builds(CoreSpeed, st.floats(1e-3, 1e9), several, places, st.floats(0, 1e5)),
    }
)


@settings(max_examples=40, deadline=None)
@given(fields=reported)
def test_any_result_survives_the_store_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory, make: Make, fields: dict[str, Any]
) -> None:
    result = make.result("job", "m", **fields)
    folder = tmp_path_factory.mktemp("study")
    with Study.open(folder) as study:
        study.exports.add(make.export("m", "p"))
        study.results.add(result, model_sha256="m", purpose="latency", replicate=0)
    with Study.open(folder, create=False) as study:
        assert study.results.of_model("m", "latency") == [result]


def test_a_study_folder_holds_only_its_file_once_closed(tmp_path: Path) -> None:
    with Study.open(tmp_path) as study:
        study.runs.begin("collect", {}, {})
    assert [path.name for path in tmp_path.iterdir()] == ["study.sqlite"]


def test_a_discarded_process_is_kept_and_counts_no_more(
    study: Study, space: Space, measured: list[Architecture], make: Make
) -> None:
    for replicate, median_ms in enumerate((9.0, 10.0, 12.0)):
        result = make.result(f"job-{replicate}", "m0", median_ms=median_ms)
        study.results.add(result, model_sha256="m0", purpose="latency", replicate=replicate)
    before = study.describe()
    job_ids = [result.job_id for result in study.results.of_model("m0", "latency")]
    study.results.discard(job_ids[2:], "canary drift of +9.0 %")
    study.results.discard(job_ids[2:], "said twice")
    assert study.results.discarded() == {job_ids[2]: "canary drift of +9.0 %"}
    assert [result.job_id for result in study.results.of_model("m0", "latency")] == job_ids
    described = study.describe()
    assert (before.discarded, described.discarded, described.jobs) == (0, 1, before.jobs)
    assert described.repeat_noise < before.repeat_noise


@pytest.mark.parametrize("table", ["space", "context", "discarded"])
def test_a_column_that_a_later_schema_adds_does_not_stop_what_is_stored(
    study: Study, space: Space, make: Make, table: str
) -> None:
    with closing(sqlite3.connect(study.folder / "study.sqlite")) as connection:
        connection.execute(f"ALTER TABLE {table} ADD COLUMN later TEXT")
    study.architectures.add(space, space.decode([[0, 0, 0]]), ["a"], "latency")
    study.exports.add(make.export("m1", "a"))
    study.results.add(make.result("job", "m1"), model_sha256="m1", purpose="latency", replicate=0)
    study.results.discard(["job"], "drift")
    assert study.results.discarded() == {"job": "drift"}


def test_a_purpose_is_stored_by_its_name_and_no_two_searches_share_one(study: Study, make, space) -> None:
    study.exports.add(make.export("m", "p"))
    study.results.add(make.result("job", "m"), model_sha256="m", purpose=Purpose.LATENCY, replicate=0)
    (stored,) = study.results.all("latency")
    assert type(stored.purpose) is str
    assert stored.purpose == Purpose.LATENCY
    assert verification_purpose("a" * 16) == "verify-aaaaaaaa" != verification_purpose("b" * 16)
