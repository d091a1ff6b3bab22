"""The core of every collection, on a device that answers by rule: order, failures, resuming, interruption."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from hytnas_agent.protocol import DeviceDescription
from hytnas_agent.records import (
    DeviceContext,
    DeviceIdentity,
    HealthSnapshot,
    MeasureJob,
    Outcome,
    ProcessResult,
    Reference,
)
from hytnas_datasets.errors import StudyError
from hytnas_datasets.store import ExportRecord, Study
from hytnas_host.collect.collection import Collected, collect
from hytnas_host.collect.model import Model
from hytnas_host.collect.options import MeasureOptions
from hytnas_host.collect.windows import Source
from hytnas_host.devices.errors import DeviceError

IDENTITY = DeviceIdentity("d" * 16, "board")
CONTEXT = DeviceContext(
    "Pi", "bcm", "aarch64", 4, 2**30, "Debian", "6.1", "onnxruntime", "1.23", "x", 1, "performance"
)
Rule = Callable[[MeasureJob, int], Outcome]


class RuledDevice:
    """Ends job ``number`` as ``rule`` says; keeps a journal by job id, as an agent does."""

    def __init__(self, rule: Rule = lambda job, number: Outcome.OK, *, shares_processor: bool = True) -> None:
        self.name = "ruled"
        self.shares_processor = shares_processor
        self.context = CONTEXT
        self.rule = rule
        self.journal: dict[str, ProcessResult] = {}
        self.order: list[MeasureJob] = []
        self.acknowledged: list[str] = []
        self.pushed: list[str] = []
        self.quiet_now = False
        self.leases: list[str] = []

    def describe(
        self, *, runtime=None, threads: int = 1, model_format=None, precision: str = "fp32"
    ) -> DeviceDescription:
        return DeviceDescription(IDENTITY, self.context, (), HealthSnapshot(0.0), "0.1.0")

    def acquire(self, reason: str) -> None:
        self.leases.append(reason)

    def push(self, file: Path, sha256: str, suffix: str) -> None:
        self.pushed.append(f"{sha256}{suffix}")

    def measure(self, job: MeasureJob, on_progress: Callable[[str], None] | None = None) -> ProcessResult:
        assert self.leases
        assert self.quiet_now
        assert f"{job.model_sha256}.{job.format}" in self.pushed
        if job.job_id not in self.journal:
            self.order.append(job)
            outcome = self.rule(job, len(self.order))
            self.journal[job.job_id] = ProcessResult(
                job.job_id,
                job.model_sha256,
                job.measure_pass,
                outcome,
                job.settings,
                float(len(self.order)),
                0.1,
                "0.1.0",
                IDENTITY,
                None if outcome is Outcome.CRASH else self.context,
                samples_ms=(1.0, 2.0, 3.0) if outcome is Outcome.OK else (),
                median_ms=2.0 if outcome is Outcome.OK else None,
                peak_rss_bytes=1000,
            )
        return self.journal[job.job_id]

    def results(self, job_ids: list[str]) -> list[ProcessResult]:
        return [self.journal[job_id] for job_id in job_ids if job_id in self.journal]

    def acknowledge(self, job_ids: list[str]) -> None:
        self.acknowledged += job_ids

    def cancel(self, job_id: str) -> None:
        raise AssertionError("the client cancels by itself")

    @contextmanager
    def quiet(self) -> Iterator[None]:
        self.quiet_now = True
        try:
            yield
        finally:
            self.quiet_now = False

    def release(self) -> None:
        self.leases.clear()

    def close(self) -> None:
        self.release()


class Bar:
    """A progress bar that remembers."""

    def __init__(self, description: str, total: int, done: int = 0) -> None:
        self.total, self.done, self.begun = total, done, done

    def __enter__(self):
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def advance(self, steps: int = 1) -> None:
        self.done += steps

    def note(self, text: str) -> None:
        return None

    def event(self, text: str) -> None:
        return None


def model(number: int, tmp_path: Path) -> Model:
    sha256 = f"{number:064x}"
    return Model(sha256, "onnx", tmp_path / f"{sha256}.onnx")


@pytest.fixture
def study(tmp_path):
    with Study.open(tmp_path / "study") as study:
        yield study


OPTIONS = MeasureOptions(seed=1, processes=3, window=4, canary_every=0)


def run(
    study: Study,
    device: RuledDevice,
    count: int,
    options: MeasureOptions = OPTIONS,
    *,
    purpose: str = "latency",
    **more,
) -> Collected:
    models = [model(i, study.folder) for i in range(count)]
    canary = [model(999, study.folder)] if options.canary_every else []
    for each in models + canary:
        study.exports.add(ExportRecord(each.sha256, "onnx", each.path.name, 1))
    windows = [models[i : i + options.window] for i in range(0, count, options.window)]
    source = Source(
        windows=[lambda chunk=chunk: chunk for chunk in windows],
        models=count,
        known=[each.sha256 for each in models],
        canary=lambda: canary,
        cancel=lambda: None,
    )
    return collect(study, [device], source, options, purpose=purpose, **more)


def jobs_in(study: Study, purpose: str = "latency") -> Counter[tuple[str, str, int]]:
    return Counter(
        (sha256, result.measure_pass, replicate)
        for sha256, results in study.results.by_model(purpose).items()
        for replicate, result in results
    )


def expected_jobs(count: int, processes: int = 3) -> Counter[tuple[str, str, int]]:
    jobs = Counter((f"{i:064x}", "timed", r) for i in range(count) for r in range(processes))
    return jobs + Counter((f"{i:064x}", "memory", 0) for i in range(count))


@pytest.mark.parametrize("shares_processor", [True, False])
def test_every_process_is_measured_once_stored_and_then_acknowledged(study, shares_processor):
    device = RuledDevice(shares_processor=shares_processor)
    bars: list[Bar] = []

    def bar(*arguments) -> Bar:
        bars.append(Bar(*arguments))
        return bars[-1]

    collected = run(study, device, 10, progress=bar)
    assert jobs_in(study) == expected_jobs(10)
    assert device.acknowledged == [job.job_id for job in device.order]
    assert (bars[0].begun, bars[0].done, bars[0].total) == (0, 40, 40)
    assert collected.summary(10, failures=(), export_s=0.0).measured_jobs == 40
    assert [each.label.outcome for each in study.labels.all("latency")] == [Outcome.OK] * 10
    assert {each.label.processes for each in study.labels.all("latency")} == {3}
    assert {each.label.peak_rss_bytes for each in study.labels.all("latency")} == {1000}


def test_replicates_of_a_model_are_not_back_to_back(study):
    device = RuledDevice()
    run(study, device, 10)
    assert all(a.model_sha256 != b.model_sha256 for a, b in pairwise(device.order[:16]))


def test_second_call_measures_nothing_again(study):
    device = RuledDevice()
    run(study, device, 5)
    measured = len(device.order)
    bars: list[Bar] = []

    def bar(*arguments) -> Bar:
        bars.append(Bar(*arguments))
        return bars[-1]

    collected = run(study, device, 5, progress=bar)
    assert len(device.order) == measured
    assert collected.resumed_jobs == 20
    assert (bars[0].begun, bars[0].done, bars[0].total) == (20, 20, 20)


def test_without_time_nothing_is_measured_and_said_to_be_left_out(study):
    hurried = replace(OPTIONS, budget_s=0.0, least_models=4)
    summary = run(study, RuledDevice(), 10, hurried).summary(10, failures=(), export_s=0.0)
    assert not jobs_in(study)
    assert (summary.outcomes, summary.left_out) == ({}, 10)
    assert "10 models were left out, because the time for measuring was over" in summary.describe()


def test_other_purpose_is_measured_afresh(study):
    device = RuledDevice()
    run(study, device, 5)
    run(study, device, 5, purpose="verify")
    assert jobs_in(study, "verify") == expected_jobs(5)
    assert len({job.job_id for job in device.order}) == 40


@pytest.mark.parametrize(
    ("outcome", "tries"),
    [
        (Outcome.INVALID_MODEL, 1),
        (Outcome.OOM, 2),
        (Outcome.TIMEOUT, 2),
        (Outcome.UNSUPPORTED, 1),
        (Outcome.PARITY, 1),
    ],
)
def test_failing_model_is_a_record_and_the_others_go_on(study, outcome, tries):
    bad = f"{3:064x}"
    device = RuledDevice(lambda job, number: outcome if job.model_sha256 == bad else Outcome.OK)
    collected = run(study, device, 6)
    assert sum(job.model_sha256 == bad for job in device.order) == tries
    assert collected.labels[bad].outcome is outcome
    assert Counter(each.label.outcome for each in study.labels.all("latency")) == {Outcome.OK: 5, outcome: 1}
    run(study, device, 6)
    assert sum(job.model_sha256 == bad for job in device.order) == tries


@pytest.mark.parametrize("outcome", [Outcome.CRASH, Outcome.INTERNAL, Outcome.OOM, Outcome.TIMEOUT])
def test_crash_is_tried_once_more_under_an_id_of_its_own(study, outcome):
    device = RuledDevice(lambda job, number: outcome if number == 2 else Outcome.OK)
    collected = run(study, device, 4)
    again = device.order[1]
    tries = [job for job in device.order if job.model_sha256 == again.model_sha256]
    assert len(tries) == 5
    assert len({job.job_id for job in tries}) == 5
    assert all(label.outcome is Outcome.OK for label in collected.labels.values())
    assert {label.processes for label in collected.labels.values()} == {3}


def test_model_that_always_crashes_is_tried_twice_and_labelled(study):
    bad = f"{0:064x}"
    device = RuledDevice(lambda job, number: Outcome.CRASH if job.model_sha256 == bad else Outcome.OK)
    collected = run(study, device, 4)
    # Every replicate that was begun before the first came to its end twice is tried, and none thereafter.
    tries = Counter(job.job_id for job in device.order if job.model_sha256 == bad)
    assert set(tries.values()) == {1}
    assert 2 <= len(tries) <= 2 * OPTIONS.processes
    assert collected.labels[bad].outcome is Outcome.CRASH


def test_throttled_process_is_measured_again(study):
    device = RuledDevice(lambda job, number: Outcome.THROTTLED if number in {1, 2} else Outcome.OK)
    collected = run(study, device, 4)
    assert {label.outcome for label in collected.labels.values()} == {Outcome.OK}
    assert {label.processes for label in collected.labels.values()} == {3}


def test_cancelled_job_of_an_earlier_call_is_measured_again(study):
    device = RuledDevice(lambda job, number: Outcome.CANCELLED if number == 1 else Outcome.OK)
    collected = run(study, device, 4)
    assert {label.outcome for label in collected.labels.values()} == {Outcome.OK}
    assert {label.processes for label in collected.labels.values()} == {3}


@pytest.mark.parametrize("stop_at", [1, 11, 20])
def test_interrupted_anywhere_and_run_again_gives_the_same_jobs_as_never_interrupted(
    study, tmp_path, stop_at
):
    def interrupt(job: MeasureJob, number: int) -> Outcome:
        if number == stop_at:
            raise KeyboardInterrupt
        return Outcome.OK

    device = RuledDevice(interrupt)
    with pytest.raises(KeyboardInterrupt):
        run(study, device, 6)
    assert not device.quiet_now
    assert not device.leases
    device.rule = lambda job, number: Outcome.OK
    run(study, device, 6)
    with Study.open(tmp_path / "whole") as whole:
        run(whole, RuledDevice(), 6)
        assert jobs_in(study) == jobs_in(whole) == expected_jobs(6)


def test_result_that_could_not_be_stored_is_not_acknowledged_and_fetched_next_time(study, monkeypatch):
    device = RuledDevice()
    store = study.results.add

    def full(*arguments, **named):
        if len(device.order) == 5:
            raise StudyError("the study file is on a full disk", "Free some space")
        return store(*arguments, **named)

    monkeypatch.setattr(study.results, "add", full)
    with pytest.raises(StudyError, match="full disk"):
        run(study, device, 4)
    assert len(device.acknowledged) == 4
    monkeypatch.setattr(study.results, "add", store)
    run(study, device, 4)
    assert len(device.order) == 16
    assert jobs_in(study) == expected_jobs(4)
    assert set(device.acknowledged) == set(device.journal)


def test_result_that_could_not_be_acknowledged_is_acknowledged_next_time(study, monkeypatch):
    device = RuledDevice()
    acknowledge = device.acknowledge

    def lost(job_ids):
        if len(device.order) == 5:
            raise KeyboardInterrupt
        acknowledge(job_ids)

    monkeypatch.setattr(device, "acknowledge", lost)
    with pytest.raises(KeyboardInterrupt):
        run(study, device, 4)
    monkeypatch.setattr(device, "acknowledge", acknowledge)
    run(study, device, 4)
    assert len(device.order) == 16
    assert set(device.acknowledged) == set(device.journal)


def test_canary_runs_thrice_first_then_every_so_many_timed_processes_and_after_each_window(study):
    device = RuledDevice()
    options = replace(OPTIONS, canary_every=5)
    collected = run(study, device, 8, options)
    timed = [job.model_sha256 == f"{999:064x}" for job in device.order if job.measure_pass == "timed"]
    at = [i for i, canary in enumerate(timed) if canary]
    assert at == [0, 1, 2, 8, 14, 17, 23, 29, 32]
    assert collected.summary(8, failures=(), export_s=0.0).canaries == len(study.results.canaries()) == 9
    assert jobs_in(study) == expected_jobs(8)
    run(study, device, 12, options)
    series = [replicate for _, _, replicate in sorted(jobs_in(study, "canary"))]
    assert series == list(range(len(study.results.canaries())))
    assert len(series) > 9


def test_failing_canary_does_not_stop_the_collection(study):
    canary = f"{999:064x}"
    device = RuledDevice(lambda job, number: Outcome.OOM if job.model_sha256 == canary else Outcome.OK)
    collected = run(study, device, 4, replace(OPTIONS, canary_every=4))
    assert jobs_in(study) == expected_jobs(4)
    (share,) = collected.summary(4, failures=(), export_s=0.0).devices
    assert (share.canary_failures, share.canary_failure) == (4, "OOM")


def test_changed_context_stops_with_the_fields_that_differ(study):
    device = RuledDevice()

    def change(job: MeasureJob, number: int) -> Outcome:
        if number == 3:
            device.context = msgspec.structs.replace(CONTEXT, governor="powersave")
        return Outcome.OK

    device.rule = change
    with pytest.raises(DeviceError, match="governor: performance -> powersave"):
        run(study, device, 4)
    assert sum(jobs_in(study).values()) == 3


def test_process_of_another_context_is_in_no_label_and_measured_again_once_that_is_restored(study):
    device = RuledDevice()

    def change(job: MeasureJob, number: int) -> Outcome:
        if number == 4:  # the last of the model
            device.context = msgspec.structs.replace(CONTEXT, governor="powersave")
        return Outcome.OK

    device.rule = change
    options = replace(OPTIONS, processes=3, memory_pass=False, canary_every=4)
    with pytest.raises(DeviceError, match="governor: performance -> powersave"):
        run(study, device, 1, options)
    assert study.labels.all("latency") == []
    device.context, device.rule = CONTEXT, lambda job, number: Outcome.OK
    run(study, device, 1, options)
    (label,) = study.labels.all("latency")
    assert label.label.processes == 3
    measured = [
        result.context.governor for result in study.results.of_model(label.label.model_sha256, "latency")
    ]
    assert sorted(measured) == ["performance"] * 3 + ["powersave"]


def test_reference_travels_with_the_model(study, tmp_path):
    reference = Reference("1" * 64, "2" * 64, 1.0)
    whole = Model("a" * 64, "onnx", tmp_path / "m.onnx", reference, tmp_path / "i.npz", tmp_path / "o.npz")
    study.exports.add(ExportRecord(whole.sha256, "onnx", "m.onnx", 1))
    device = RuledDevice()
    source = Source([lambda: [whole]], 1, [], list, lambda: None)
    collect(study, [device], source, OPTIONS, purpose="latency")
    assert {"1" * 64 + ".npz", "2" * 64 + ".npz"} < set(device.pushed)
    assert all(job.reference == reference for job in device.order)


def test_preparing_ahead_is_cancelled_when_measuring_stops(study):
    cancelled: list[bool] = []
    first = model(0, study.folder)
    study.exports.add(ExportRecord(first.sha256, "onnx", "m.onnx", 1))

    def interrupt(job: MeasureJob, number: int) -> Outcome:
        raise KeyboardInterrupt

    source = Source([lambda: [first], list, list], 1, [], list, lambda: cancelled.append(True))
    with pytest.raises(KeyboardInterrupt):
        collect(
            study,
            [RuledDevice(interrupt, shares_processor=False)],
            source,
            OPTIONS,
            purpose="latency",
        )
    assert cancelled
