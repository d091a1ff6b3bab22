"""The journal of a collection: ids, what is settled, what counts as done."""

import os
import stat

import msgspec
import pytest

from hytnas_agent.label import DISTURBED_RETRIES, StoppingRule
from hytnas_agent.records import (
    DeviceContext,
    DeviceIdentity,
    MeasureSettings,
    Outcome,
    ProcessResult,
    Verdict,
)
from hytnas_datasets.errors import StudyError
from hytnas_datasets.store import ExportRecord, Study
from hytnas_host.collect.canaries import CanarySeries
from hytnas_host.collect.jobs import JobJournal, study_id
from hytnas_host.collect.schedule import Slot

from .scripted import taking

SHA = "a" * 64
SETTINGS = MeasureSettings()
IDENTITY = DeviceIdentity("d" * 16, "board")
CONTEXT = DeviceContext(
    "Pi", "bcm", "aarch64", 4, 2**30, "Debian", "6.1", "onnxruntime", "1.23", "x", 1, "performance"
)
FIRST = Slot(SHA, "timed", 0)


@pytest.fixture
def study(tmp_path):
    with Study.open(tmp_path) as study:
        study.exports.add(ExportRecord(SHA, "onnx", "models/a.onnx", 1))
        yield study


def journal(study: Study, **changes) -> JobJournal:
    given = {"purpose": "latency", "device_id": IDENTITY.device_id, "context": CONTEXT, "settings": SETTINGS}
    return JobJournal(study, **(given | changes))


def ended(
    journal: JobJournal, slot: Slot, outcome: Outcome, context: DeviceContext | None = CONTEXT
) -> ProcessResult:
    return ProcessResult(
        journal.job_id(slot),
        slot.model_sha256,
        slot.measure_pass,
        outcome,
        journal.settings,
        0.0,
        0.1,
        "0.1.0",
        IDENTITY,
        context,
        samples_ms=(1.0, 2.0) if outcome is Outcome.OK else (),
        median_ms=1.5 if outcome is Outcome.OK else None,
    )


def test_job_id_is_the_same_until_a_result_is_stored(study):
    ours = journal(study)
    before = ours.job_id(FIRST)
    assert before == ours.job_id(FIRST) == journal(study).job_id(FIRST)
    ours.store(FIRST, ended(ours, FIRST, Outcome.CRASH))
    assert ours.job_id(FIRST) == journal(study).job_id(FIRST) != before


def test_job_id_tells_everything_apart_that_is_measured_apart(study, tmp_path):
    ids = {
        journal(study).job_id(FIRST),
        journal(study).job_id(Slot(SHA, "memory", 0)),
        journal(study).job_id(Slot(SHA, "timed", 1)),
        journal(study).job_id(Slot("b" * 64, "timed", 0)),
        journal(study, purpose="verify-0123abcd").job_id(FIRST),
        journal(study, device_id="other").job_id(FIRST),
        journal(study, settings=MeasureSettings(min_runs=11)).job_id(FIRST),
        journal(study, context=msgspec.structs.replace(CONTEXT, kernel="6.2")).job_id(FIRST),
    }
    with Study.open(tmp_path / "another") as other:
        ids.add(journal(other).job_id(FIRST))
    assert len(ids) == 9


def test_stored_results_of_other_conditions_do_not_count(study):
    ours = journal(study)
    ours.store(FIRST, ended(ours, FIRST, Outcome.OK))
    assert journal(study).settled(FIRST)
    assert not journal(study, purpose="verify").settled(FIRST)
    assert not journal(study, device_id="other").settled(FIRST)
    assert not journal(study, settings=MeasureSettings(min_runs=11)).settled(FIRST)
    assert not journal(study, context=msgspec.structs.replace(CONTEXT, kernel="6.2")).settled(FIRST)


def test_a_deadline_that_was_kept_changes_nothing(study):
    ours = journal(study)
    late = Slot(SHA, "timed", 1)
    ours.store(FIRST, ended(ours, FIRST, Outcome.OK))
    for _ in range(2):
        ours.store(late, ended(ours, late, Outcome.TIMEOUT))
    patient = journal(study, settings=MeasureSettings(deadline_s=900.0))
    hasty = journal(study, settings=MeasureSettings(deadline_s=5.0))
    assert patient.settled(FIRST)
    assert hasty.settled(FIRST)
    assert not patient.settled(late)
    assert hasty.settled(late)
    assert patient.job_id(late) not in ours.job_ids


def test_a_process_that_disturbance_made_late_is_due_again_with_more_time(study):
    ours = journal(study)
    for _ in range(3):
        ours.store(FIRST, ended(ours, FIRST, Outcome.THROTTLED))
    assert ours.settled(FIRST)
    assert not journal(study, settings=MeasureSettings(deadline_s=900.0)).settled(FIRST)


@pytest.mark.parametrize(
    "changes",
    [
        {"context": msgspec.structs.replace(CONTEXT, governor="ondemand")},
        {"identity": DeviceIdentity("e" * 16, "other")},
    ],
)
def test_result_of_another_board_or_context_is_kept_but_does_not_count(study, changes):
    ours = journal(study)
    foreign = msgspec.structs.replace(ended(ours, FIRST, Outcome.OK), **changes)
    ours.store(FIRST, foreign)
    assert study.results.of_model(SHA, "latency") == [foreign]
    for each in (ours, journal(study)):
        assert not each.settled(FIRST)
        assert each.last_attempts(SHA) == []
        assert each.job_id(FIRST) != foreign.job_id


def test_failed_model_is_given_up_after_its_retry_but_not_for_the_boards_fault(study):
    ours = journal(study)
    ours.store(FIRST, ended(ours, FIRST, Outcome.CRASH, None))
    assert not ours.given_up(SHA)
    ours.store(FIRST, ended(ours, FIRST, Outcome.CRASH, None))
    assert ours.given_up(SHA)
    assert journal(study).given_up(SHA)
    throttled = Slot(SHA, "timed", 1)
    theirs = journal(study, purpose="verify")
    for _ in range(3):
        theirs.store(throttled, ended(theirs, throttled, Outcome.THROTTLED))
    assert theirs.settled(throttled)
    assert not theirs.given_up(SHA)


def test_label_takes_the_last_attempt_of_each_slot_and_no_cancelled_one(study):
    ours = journal(study)
    second = Slot(SHA, "timed", 1)
    for slot, outcome in [(FIRST, Outcome.CRASH), (FIRST, Outcome.OK), (second, Outcome.CANCELLED)]:
        ours.store(slot, ended(ours, slot, outcome))
    assert [result.outcome for result in ours.last_attempts(SHA)] == [Outcome.OK]


def test_series_goes_on_after_its_last_settled_number(study):
    ours = journal(study, purpose="canary")
    series = CanarySeries(ours, SHA)
    assert series.next_slot == FIRST
    ours.store(FIRST, ended(ours, FIRST, Outcome.OK))
    again = CanarySeries(journal(study, purpose="canary"), SHA)
    assert series.next_slot == again.next_slot == Slot(SHA, "timed", 1)


def test_study_keeps_its_identity(tmp_path):
    assert study_id(tmp_path) == study_id(tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
    with pytest.raises(StudyError, match="journal-id"):
        study_id(tmp_path / "journal-id")


def test_who_may_read_the_study_may_read_its_identity(tmp_path):
    before = os.umask(0o022)
    try:
        study_id(tmp_path)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "journal-id").stat().st_mode) == 0o644


def test_attempts_stay_in_order_when_the_clock_of_the_board_jumps_back(study):
    first = journal(study)
    crashed = ended(first, FIRST, Outcome.CRASH)
    first.store(FIRST, msgspec.structs.replace(crashed, started_unix_s=2e9))
    first.store(FIRST, msgspec.structs.replace(ended(first, FIRST, Outcome.OK), started_unix_s=0.0))
    again = journal(study)
    assert again.settled(FIRST)
    assert again.last_attempts(SHA)[0].outcome is Outcome.OK
    assert again.job_ids == first.job_ids


def disturbed(journal: JobJournal, slot: Slot, median_ms: float, status: str = "INVALID") -> ProcessResult:
    reasons = ("other processes took 50% of core 3",) if status == "INVALID" else ()
    return taking(ended(journal, slot, Outcome.OK), median_ms, verdict=Verdict(status, reasons))


def test_a_disturbed_process_is_tried_again_and_kept(study):
    ours = journal(study)
    ours.store(FIRST, disturbed(ours, FIRST, 20.0))
    assert not ours.settled(FIRST)
    ours.store(FIRST, disturbed(ours, FIRST, 10.0, "VALID_UNVERIFIED"))
    assert ours.settled(FIRST)
    assert [result.median_ms for result in ours.last_attempts(SHA)] == [10.0]
    kept = [result.verdict.status for _, result in study.results.by_model("latency")[SHA]]
    assert kept == ["INVALID", "VALID_UNVERIFIED"]


def test_on_a_device_that_is_never_quiet_the_least_disturbed_of_three_stands(study):
    ours = journal(study)
    for median_ms in (20.0, 12.0, 15.0):
        assert not ours.settled(FIRST)
        ours.store(FIRST, disturbed(ours, FIRST, median_ms))
    for each in (ours, journal(study)):
        assert each.settled(FIRST)
        assert [result.median_ms for result in each.last_attempts(SHA)] == [12.0]
        assert not each.given_up(SHA)


def test_a_disturbed_latency_stands_before_an_attempt_without_one(study):
    ours = journal(study)
    ours.store(FIRST, disturbed(ours, FIRST, 20.0))
    late = ended(ours, FIRST, Outcome.THROTTLED)
    ours.store(FIRST, msgspec.structs.replace(late, median_ms=None, verdict=Verdict("INVALID", ("heat",))))
    assert [result.median_ms for result in ours.last_attempts(SHA)] == [20.0]


def test_a_model_that_crashes_after_a_disturbed_run_has_crashed(study):
    ours = journal(study)
    ours.store(FIRST, disturbed(ours, FIRST, 20.0))
    ours.store(FIRST, ended(ours, FIRST, Outcome.CRASH))
    assert not ours.settled(FIRST)
    ours.store(FIRST, ended(ours, FIRST, Outcome.CRASH))
    assert ours.settled(FIRST)
    assert ours.last_attempts(SHA)[0].outcome is Outcome.CRASH


def test_disturbed_processes_of_a_model_share_one_budget_and_then_stand(study):
    ours = journal(study)
    slots = [Slot(SHA, "timed", replicate) for replicate in range(5)]
    attempts = 0
    for slot in slots:
        while not ours.settled(slot):
            ours.store(slot, disturbed(ours, slot, 10.0))
            attempts += 1
    assert attempts == len(slots) + DISTURBED_RETRIES
    assert not ours.may_discard(slots[0])
    assert ours.next_timed(SHA, StoppingRule(0.0001, 5, 20)) is None
    assert all(journal(study).settled(slot) for slot in slots)
    ours.discard([ours.last_attempts(SHA)[-1].job_id], "drift")
    assert ours.may_discard(slots[-1])
    assert ours.next_timed(SHA, StoppingRule(0.0001, 5, 20)) == slots[-1]
