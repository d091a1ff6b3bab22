"""Labels that were stored before a label named its jobs."""

import sqlite3
from contextlib import closing
from types import SimpleNamespace

from hytnas_agent.records import DeviceIdentity, Outcome
from hytnas_datasets.store import Study
from hytnas_datasets.store.label_jobs import name_jobs

Make = SimpleNamespace


def test_jobs_are_found_by_the_medians_and_each_only_once(study: Study, make: Make) -> None:
    study.exports.add(make.export("m", None))
    for job_id, median_ms, changes in (
        ("gone", 10.0, {}),
        ("first", 10.0, {}),
        ("second", 10.0, {}),
        ("failed", 12.0, {"outcome": Outcome.CRASH}),
        ("memory", 12.0, {"measure_pass": "memory"}),
        ("elsewhere", 12.0, {"identity": DeviceIdentity("board-2", "pi")}),
        ("untold", 12.0, {"context": None}),
        ("third", 12.0, {}),
    ):
        result = make.result(job_id, "m", median_ms=median_ms, **changes)
        study.results.add(result, model_sha256="m", purpose="latency", replicate=0)
    study.results.discard(["gone"], "drift")
    label = make.label("m", (10.0, 10.0, 12.0, 15.0))
    study.labels.add(label, "latency", "board-1", make.context())
    study.labels.add(make.label("m", (12.0,)), "latency", "board-2", make.context())
    with closing(sqlite3.connect(study.path)) as connection, connection:
        name_jobs(connection)
    one, two = study.labels.all()
    assert one.label.jobs == ("first", "second", "third")
    assert two.label.jobs == ("elsewhere",)
    assert one.label.process_medians_ms == label.process_medians_ms
