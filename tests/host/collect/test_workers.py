"""Several boards at one collection: shared work, boards that die and return, interruption, one machine."""

import os
import signal
import threading
import time
from collections import Counter
from dataclasses import replace

import pytest

from hytnas_agent.records import DeviceIdentity, Outcome
from hytnas_datasets.errors import StudyError
from hytnas_datasets.store import ExportRecord, Study
from hytnas_host.collect.collection import collect
from hytnas_host.collect.errors import DevicesLostError
from hytnas_host.collect.model import Model
from hytnas_host.collect.windows import Source
from hytnas_host.devices.errors import DeviceBusyError, DeviceError, DeviceRefusedError

from .scripted import CANARY, OPTIONS, Bar, ScriptedBoard, model, other, run


@pytest.fixture(autouse=True)
def own_state_home(tmp_path, monkeypatch) -> None:
    """Locks of these tests are not the user's."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state-home"))


@pytest.fixture
def study(tmp_path):
    with Study.open(tmp_path / "study") as study:
        yield study


@pytest.fixture
def two() -> list[ScriptedBoard]:
    return [ScriptedBoard("pi1"), ScriptedBoard("pi2")]


def summary_of(collected, count: int):
    return collected.summary(count, failures=(), export_s=0.0)


def assert_complete(study: Study, count: int, processes: int = 3) -> None:
    """Every model has one label, of one board that has measured each of its processes once."""
    labels = study.labels.all("latency")
    assert sorted(stored.label.model_sha256 for stored in labels) == [f"{i:064x}" for i in range(count)]
    assert {stored.label.outcome for stored in labels} == {Outcome.OK}
    results = study.results.by_model("latency")
    for stored in labels:
        slots = Counter(
            (result.measure_pass, replicate)
            for replicate, result in results[stored.label.model_sha256]
            if result.identity.device_id == stored.device_id and result.outcome is not Outcome.CANCELLED
        )
        assert slots == {("timed", i): 1 for i in range(processes)} | {("memory", 0): 1}
        assert stored.label.processes == processes


def run_once(boards: list[ScriptedBoard]) -> bool:
    """No job was run twice on a board, and no model's processes were all run on two of them."""
    ids = Counter(job.job_id for board in boards for job in board.measured)
    whole: Counter[str] = Counter()
    for board in boards:
        slots = Counter(job.model_sha256 for job in board.measured if job.model_sha256 != CANARY)
        whole.update(sha256 for sha256, count in slots.items() if count >= OPTIONS.passes.count)
    return set(ids.values()) == {1} and set(whole.values()) <= {1}


def test_boards_share_the_models_and_each_label_is_of_one_board(study, two):
    bars: list[Bar] = []

    def bar(*arguments) -> Bar:
        bars.append(Bar(*arguments))
        return bars[-1]

    summary = summary_of(run(study, two, 40, progress=bar), 40)
    assert_complete(study, 40)
    assert run_once(two)
    assert len(study.labels.all("latency")) == 40
    assert [share.device for share in summary.devices] == ["pi1", "pi2"]
    assert all(share.models > 4 for share in summary.devices)
    assert sum(share.models for share in summary.devices) == 40
    assert sum(share.jobs for share in summary.devices) == summary.measured_jobs == 160
    assert all(0 < share.busy_share <= 1 for share in summary.devices)
    assert (bars[0].description, bars[0].total, bars[0].done) == ("Measuring on pi1, pi2", 160, 160)
    assert any("working: pi1, pi2" in note for note in bars[0].notes)
    assert set(two[0].acknowledged) == set(two[0].journal)
    assert summary.agreement.agree
    assert "pi1: " in summary.describe()
    assert "the boards agree within 3 %" in summary.describe()


def test_one_board_alone_measures_no_canaries_beyond_those_between(study):
    board = ScriptedBoard("pi1")
    summary = summary_of(run(study, [board], 4), 4)
    assert summary.canaries == 3 + 1 + 1  # for a reference, between, and at the end of the window
    assert summary.agreement is None
    assert "\n" not in summary.describe()


def test_dead_board_gives_its_models_back_and_the_others_finish(study, two):
    two[0].dies_at = 12
    bars: list[Bar] = []

    def bar(*arguments) -> Bar:
        bars.append(Bar(*arguments))
        return bars[-1]

    summary = summary_of(run(study, two, 24, progress=bar), 24)
    assert_complete(study, 24)
    assert run_once(two)
    dead, alive = summary.devices
    assert dead.given_back > 0
    assert (dead.rejoined, alive.given_back) == (0, 0)
    assert "not reachable" in dead.lost
    assert bars[0].done == bars[0].total
    assert any(event.startswith("pi1 is lost, next try in") for event in bars[0].events)
    assert "gone at the end" in summary.describe()


def test_board_that_returns_brings_what_it_had_measured_and_works_on(study, two):
    two[0].dies_at = 12
    two[0].returns = lambda: True
    bars: list[Bar] = []

    def bar(*arguments) -> Bar:
        bars.append(Bar(*arguments))
        return bars[-1]

    summary = summary_of(run(study, two, 40, progress=bar), 40)
    assert_complete(study, 40)
    assert run_once(two)
    share = summary.devices[0]
    assert (share.rejoined, share.fetched_jobs, share.lost) == (1, 1, "")
    assert set(two[0].acknowledged) == set(two[0].journal)
    assert "pi1 rejoined" in bars[0].events
    assert bars[0].done == bars[0].total


def test_lost_board_is_tried_for_as_long_as_another_works(study, two):
    attempts: list[bool] = []

    def late() -> bool:
        attempts.append(True)
        return len(attempts) == 4  # the pauses are over after two

    two[0].dies_at = 12
    two[0].returns = late

    def hold(job) -> Outcome:
        time.sleep(0.02 if len(attempts) < 4 else 0.0)
        return Outcome.OK

    two[1].outcome = hold
    summary = summary_of(run(study, two, 60), 60)
    assert_complete(study, 60)
    assert summary.devices[0].rejoined == 1
    assert len(attempts) == 4


def test_all_boards_lost_ends_with_one_line_and_is_resumed(study, two):
    two[0].dies_at, two[1].dies_at = 9, 14
    with pytest.raises(
        DevicesLostError, match=r"all 2 devices.*pi1.*not reachable.*pi2.*the same command again"
    ):
        run(study, two, 24)
    assert not any(board.lease for board in two)
    for board in two:
        board.dead, board.dies_at = False, None
    collected = run(study, two, 24)
    assert_complete(study, 24)
    assert run_once(two)
    assert summary_of(collected, 24).resumed_jobs > 0
    assert set(two[0].acknowledged) == set(two[0].journal)


def test_board_that_is_not_there_at_the_beginning_is_said_at_once(study, two):
    two[1].dead = True
    with pytest.raises(DeviceError, match="pi2"):
        run(study, two, 4)
    assert not two[0].measured
    assert two[0].lease is None


def test_board_lost_while_old_results_are_fetched_is_waited_for(study, two, monkeypatch):
    run(study, two, 4)
    acknowledge = two[1].acknowledge

    def lost(job_ids: list[str]) -> None:
        monkeypatch.setattr(two[1], "acknowledge", acknowledge)
        two[1].dead = True
        acknowledge(job_ids)

    monkeypatch.setattr(two[1], "acknowledge", lost)
    two[1].returns = lambda: True
    summary = summary_of(run(study, two, 40), 40)
    assert_complete(study, 40)
    assert (summary.devices[1].rejoined, summary.devices[1].lost) == (1, "")


def test_what_is_going_on_is_said_before_the_first_models_come(study, two):
    bars: list[Bar] = []
    said: list[list[str]] = []

    def bar(*arguments) -> Bar:
        bars.append(Bar(*arguments))
        return bars[-1]

    models = [model(number, study.folder) for number in range(4)]
    for each in [*models, model(999, study.folder)]:
        study.exports.add(ExportRecord(each.sha256, "onnx", each.path.name, 1))

    def window() -> list[Model]:
        said.append(list(bars[0].notes))
        return models

    source = Source([window], 4, [], lambda: [model(999, study.folder)], lambda: None)
    collect(study, two, source, OPTIONS, purpose="latency", progress=bar)
    assert said[0][0].startswith("0 of 4 models exported; working: pi1")


def test_board_that_somebody_holds_is_said_at_once(study, two):
    two[1].lease = "another collection"
    with pytest.raises(DeviceBusyError, match="another collection"):
        run(study, two, 4)
    assert not two[0].measured


def test_board_that_returns_as_another_is_given_up_and_the_others_finish(study, two):
    two[0].dies_at = 12

    def changed() -> bool:
        two[0].context = other(governor="ondemand")
        return True

    two[0].returns = changed
    summary = summary_of(run(study, two, 24), 24)
    assert_complete(study, 24)
    assert "governor: performance -> ondemand" in summary.devices[0].lost


def test_another_board_at_the_address_is_not_measured_under_the_first_ones_name(study, two):
    two[0].dies_at = 12

    def swapped() -> bool:
        two[0].identity = DeviceIdentity("id-pi9", "pi9")
        return True

    two[0].returns = swapped
    summary = summary_of(run(study, two, 24), 24)
    assert_complete(study, 24)
    assert "another one than it was (id-pi1 -> id-pi9)" in summary.devices[0].lost
    assert len(two[0].measured) == 12


def test_result_of_another_board_is_in_no_label(study, two):
    def swap(job) -> Outcome:
        if len(two[0].measured) == 12:
            two[0].identity = DeviceIdentity("id-pi9", "pi9")
        return Outcome.OK

    two[0].outcome = swap
    summary = summary_of(run(study, two, 24), 24)
    assert_complete(study, 24)
    assert "(id-pi1 -> id-pi9)" in summary.devices[0].lost


def test_two_collections_on_one_study_are_refused_with_who_holds_it(study, two):
    two[0].hang = threading.Event()
    first = threading.Thread(target=lambda: run(study, two[:1], 4))
    first.start()
    assert two[0].hanging.wait(60)
    with pytest.raises(
        StudyError, match=rf"process {os.getpid()}, since .*: latency: 4 models\) is measuring"
    ):
        run(study, two[1:], 4)
    assert two[1].measured == []
    two[0].hang.set()
    first.join()
    assert_complete(study, 4)
    run(study, two, 4)  # it is free again
    assert_complete(study, 4)


def test_a_board_that_answers_with_other_results_is_given_up_and_the_others_finish(study, two):
    liar, measure = two[0], two[0].measure

    def lie(job, on_progress=None):
        result = measure(job)
        return liar.journal[liar.measured[0].job_id] if len(liar.measured) > 11 else result

    liar.measure = lie
    summary = summary_of(run(study, two, 24), 24)
    assert_complete(study, 24)
    assert "result of something else (job " in summary.devices[0].lost
    liar.measure = measure
    assert not summary_of(run(study, two, 28), 28).devices[0].lost
    assert_complete(study, 28)


def test_dataset_of_a_board_that_is_gone_is_completed_by_the_other(study, two):
    run(study, two, 24)
    measured = len(two[1].measured)
    summary = summary_of(run(study, two[1:], 24), 24)
    assert summary.measured_jobs == 0
    assert {job.model_sha256 for job in two[1].measured[measured:]} == {CANARY}
    assert summary.outcomes == {"OK": 24}
    assert summary.agreement.agree
    assert_complete(study, 24)


def test_board_kept_apart_measures_everything_itself(study, two):
    summary = summary_of(run(study, two, 12, replace(OPTIONS, keep_apart=True)), 12)
    assert summary.outcomes == {"OK": 24}
    assert summary.measured_jobs == 96
    assert Counter(stored.device_id for stored in study.labels.all("latency")) == {
        "id-pi1": 12,
        "id-pi2": 12,
    }
    assert summary.agreement is None


def test_result_that_cannot_be_stored_ends_all(study, two, monkeypatch):
    store = study.results.add

    def full(*arguments, **named):
        if sum(len(board.measured) for board in two) >= 20:
            raise StudyError("the study file is on a full disk", "Free some space")
        return store(*arguments, **named)

    monkeypatch.setattr(study.results, "add", full)
    with pytest.raises(StudyError, match="full disk"):
        run(study, two, 24)
    assert not any(board.lease for board in two)
    monkeypatch.setattr(study.results, "add", store)
    run(study, two, 24)
    assert_complete(study, 24)
    assert run_once(two)


def test_interrupt_ends_every_board_and_thread_and_the_collection_goes_on_later(study, two):
    for board in two:
        board.hang = threading.Event()
        board.hang.set()
    before = set(threading.enumerate())

    def interrupt() -> None:
        while min(len(board.measured) for board in two) < 8:
            time.sleep(0.001)
        for board in two:
            board.hang.clear()
        for board in two:
            board.hanging.wait(60)
        os.kill(os.getpid(), signal.SIGINT)

    killer = threading.Thread(target=interrupt)
    killer.start()
    with pytest.raises(KeyboardInterrupt):
        run(study, two, 60)
    killer.join()
    assert set(threading.enumerate()) <= before
    assert not any(board.lease for board in two)
    assert all(board.cancelled for board in two)
    for board in two:
        board.hang = None
    run(study, two, 60)
    assert_complete(study, 60)
    assert run_once(two)


def test_devices_of_one_machine_take_turns(study):
    busy: list[str] = []

    def alone(job) -> Outcome:
        assert not busy, f"{job.job_id} beside {busy}"
        busy.append(job.job_id)
        time.sleep(0.002)
        busy.remove(job.job_id)
        return Outcome.OK

    boards = [ScriptedBoard(name, shares_processor=True) for name in ("local", "chroot")]
    for board in boards:
        board.outcome = alone
    summary = summary_of(run(study, boards, 12), 12)
    assert_complete(study, 12)
    assert all(share.jobs for share in summary.devices)


def test_failing_model_is_failed_once_for_all_boards(study, two):
    bad = f"{5:064x}"
    for board in two:
        board.outcome = lambda job: Outcome.INVALID_MODEL if job.model_sha256 == bad else Outcome.OK
    run(study, two, 12)
    assert sum(job.model_sha256 == bad for board in two for job in board.measured) == 1
    run(study, two, 12)
    assert sum(job.model_sha256 == bad for board in two for job in board.measured) == 1


def test_a_board_that_refuses_is_not_waited_for(study, monkeypatch):
    board = ScriptedBoard("pi1")
    push, pushes = board.push, []

    def full(file, sha256, suffix):
        pushes.append(sha256)
        if len(pushes) > 5:
            raise DeviceRefusedError("device 'pi1': its disk is full", "free some space")
        push(file, sha256, suffix)

    monkeypatch.setattr(board, "push", full)
    with pytest.raises(DevicesLostError, match=r"its disk is full.*run the same command again"):
        run(study, [board], 6, replace(OPTIONS, rejoin_pauses_s=(3600.0,)))
    monkeypatch.setattr(board, "push", push)
    run(study, [board], 6)
    assert_complete(study, 6)


def test_a_board_that_returns_and_is_lost_again_at_once_is_given_up(study, monkeypatch):
    board = ScriptedBoard("pi1")
    push = board.push

    def lost(file, sha256, suffix):
        if len(board.measured) > 5:
            raise DeviceError("device 'pi1' not reachable", "check it")
        push(file, sha256, suffix)

    monkeypatch.setattr(board, "push", lost)
    with pytest.raises(DevicesLostError, match="not reachable"):
        run(study, [board], 6)
    monkeypatch.setattr(board, "push", push)
    run(study, [board], 6)
    assert_complete(study, 6)
