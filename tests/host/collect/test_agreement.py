"""Boards are held to equal contexts and an equal canary before their labels are mixed."""

from dataclasses import replace

import msgspec
import pytest

from hytnas_agent.records import MeasureJob, Outcome, ProcessResult, Verdict
from hytnas_datasets.store import Study
from hytnas_host.collect.errors import CollectError, DevicesDifferError

from .scripted import CANARY, OPTIONS, Bar, ScriptedBoard, other, run, taking

HOGGED = Verdict("INVALID", ("other processes took 50% of core 3",))


class TroubledBoard(ScriptedBoard):
    """A board on which jobs of the canary crash or are disturbed, by their number among all of its jobs."""

    def __init__(self, name: str, *, crashed: set[int], disturbed: set[int]) -> None:
        super().__init__(name)
        self.disturbed = disturbed
        self.outcome = lambda job: Outcome.CRASH if len(self.measured) in crashed else Outcome.OK

    def _result(self, job: MeasureJob, outcome: Outcome) -> ProcessResult:
        result = super()._result(job, outcome)
        if outcome is not Outcome.OK or len(self.measured) not in self.disturbed:
            return result
        return taking(result, 1.4 * result.median_ms, verdict=HOGGED)


@pytest.fixture
def study(tmp_path):
    with Study.open(tmp_path / "study") as study:
        yield study


def test_boards_of_different_contexts_are_refused_with_the_fields(study):
    boards = [ScriptedBoard("pi1"), ScriptedBoard("pi2", context=other(governor="ondemand", kernel="6.6"))]
    with pytest.raises(DevicesDifferError) as error:
        run(study, boards, 4)
    assert "'pi1' and 'pi2'" in str(error.value)
    assert "governor: performance -> ondemand" in str(error.value)
    assert "kernel: 6.1 -> 6.6" in str(error.value)
    assert "soc" not in str(error.value)
    assert "--keep-apart" in str(error.value)
    assert not boards[0].measured
    assert not any(board.lease for board in boards)
    run(study, boards, 4, replace(OPTIONS, keep_apart=True))
    assert len(study.labels.all("latency")) == 8


def test_boards_whose_canaries_disagree_are_refused_with_both_values_before_anything_is_labelled(study):
    boards = [ScriptedBoard("pi1"), ScriptedBoard("pi2", median_ms=107.0)]
    with pytest.raises(DevicesDifferError) as error:
        run(study, boards, 4)
    message = str(error.value)
    assert "107.2 ms on pi2 (3 processes) but 100.2 ms on pi1 (3 processes)" in message
    assert "7.0 % apart" in message
    assert all(word in message for word in ("cooling", "power supply", "--keep-apart"))
    assert {job.model_sha256 for board in boards for job in board.measured} == {CANARY}
    assert study.labels.all("latency") == []
    assert not any(board.lease for board in boards)


def test_tolerance_can_be_chosen(study):
    boards = [ScriptedBoard("pi1"), ScriptedBoard("pi2", median_ms=107.0)]
    collected = run(study, boards, 4, replace(OPTIONS, board_tolerance=0.1))
    assert collected.agreement.agree
    assert collected.agreement.ratio == pytest.approx(1.07, abs=0.005)


def test_board_that_slows_down_later_is_said_at_the_end(study):
    boards = [ScriptedBoard("pi1"), ScriptedBoard("pi2")]

    def hot(job) -> Outcome:
        boards[1].median_ms = 130.0 if job.model_sha256 != CANARY else boards[1].median_ms
        return Outcome.OK

    boards[1].outcome = hot
    collected = run(study, boards, 40, replace(OPTIONS, canary_every=3, drift_pauses_s=()))
    assert not collected.agreement.agree
    assert "disagree by more than 3 %" in collected.summary(40, failures=(), export_s=0.0).describe()


def test_board_of_an_earlier_call_is_compared_too(study):
    run(study, [ScriptedBoard("pi1")], 4)
    slower = ScriptedBoard("pi2", median_ms=110.0)
    with pytest.raises(DevicesDifferError, match=r"on pi2 .* but .* on pi1"):
        run(study, [slower], 8)
    run(study, [slower], 8, replace(OPTIONS, keep_apart=True))
    assert sum(stored.device_id == "id-pi2" for stored in study.labels.all("latency")) == 8


def test_board_of_an_earlier_call_without_canaries_is_not_taken_for_equal(study):
    run(study, [ScriptedBoard("pi1")], 4, replace(OPTIONS, canary_every=0))
    with pytest.raises(DevicesDifferError, match="nothing shows that pi1"):
        run(study, [ScriptedBoard("pi2")], 8)
    assert {stored.device_id for stored in study.labels.all("latency")} == {"id-pi1"}
    run(study, [ScriptedBoard("pi1"), ScriptedBoard("pi2")], 8)
    assert len(study.labels.all("latency")) == 8


def test_more_canaries_are_measured_while_noise_leaves_the_question_open(study):
    boards = [ScriptedBoard("pi1"), ScriptedBoard("pi2")]
    for board in boards:
        board.spread = 0.02
    bars: list[Bar] = []

    def bar(*arguments) -> Bar:
        bars.append(Bar(*arguments))
        return bars[-1]

    collected = run(study, boards, 4, progress=bar)
    compared = [event for event in bars[0].events if event.startswith("comparing the devices")]
    assert [event.split()[3] for event in compared[:2]] == ["3", "3"]
    assert collected.agreement.agree


def test_boards_whose_noise_never_tells_are_refused(study):
    boards = [ScriptedBoard("pi1"), ScriptedBoard("pi2", median_ms=103.0)]
    for board in boards:
        board.spread = 0.1
    with pytest.raises(
        DevicesDifferError,
        match=r"varies too much to tell whether .* on pi2 \(40 processes\).*find out what else runs",
    ):
        run(study, boards, 4)
    assert study.labels.all("latency") == []


def test_canaries_of_a_refused_call_count_in_the_next(study):
    boards = [ScriptedBoard("pi1"), ScriptedBoard("pi2", median_ms=107.0)]
    with pytest.raises(DevicesDifferError, match=r"\(3 processes\)"):
        run(study, boards, 4)
    with pytest.raises(DevicesDifferError, match=r"\(6 processes\)"):
        run(study, boards, 4)


def test_tolerance_is_kept_with_the_study(study):
    boards = [ScriptedBoard("pi1"), ScriptedBoard("pi2", median_ms=107.0)]
    run(study, boards, 4, replace(OPTIONS, board_tolerance=0.1))
    (found,) = study.describe().board_agreements
    assert (found.agreement.tolerance, found.agreement.agree) == (0.1, True)


def test_throttled_canary_is_measured_again(study):
    boards = [ScriptedBoard("pi1"), ScriptedBoard("pi2")]
    boards[1].outcome = lambda job: Outcome.THROTTLED if len(boards[1].measured) < 3 else Outcome.OK
    assert run(study, boards, 4).agreement.agree
    assert len(study.labels.all("latency")) == 4


def test_boards_are_compared_alike_when_labels_are_collected_and_when_they_are_read(study):
    # Canaries: disturbed, then well; disturbed, crashed, well; well; disturbed thrice; from there on well.
    troubled = TroubledBoard("pi2", crashed={4}, disturbed={1, 3, 7, 8, 9})
    boards = [ScriptedBoard("pi1"), troubled]
    options = replace(OPTIONS, processes=4)
    collected = run(study, boards, 4, options)
    (read,) = study.describe().board_agreements
    assert collected.agreement == read.agreement
    assert read.agreement.agree
    canaries = [result for result in study.results.canaries() if result.identity.device_id == "id-pi2"]
    assert [result.outcome for result in canaries[:5]].count(Outcome.CRASH) == 1
    well = [each for each in canaries if each.outcome is Outcome.OK and not each.is_disturbed]
    assert len(canaries) == len(well) + 6
    assert {board.device_id: board.processes for board in read.agreement.boards}["id-pi2"] == len(well)

    study.results.discard([result.job_id for result in well], "drift")
    troubled.disturbed = set(range(1000))
    patient = msgspec.structs.replace(OPTIONS.settings, deadline_s=900.0)
    with pytest.raises(DevicesDifferError) as error:
        run(study, boards, 8, replace(options, settings=patient))
    (read,) = study.describe().board_agreements
    assert read.agreement.verdict == "disagree"
    assert read.agreement.describe(study.devices.names()) in str(error.value)
    assert " ms on pi2 (3 processes) but " in str(error.value)


def test_board_lost_while_it_is_compared_joins_once_it_agrees(study):
    boards = [ScriptedBoard("pi1"), ScriptedBoard("pi2")]
    boards[1].dies_at = 2
    boards[1].returns = lambda: True
    collected = run(study, boards, 40)
    shares = collected.summary(40, failures=(), export_s=0.0).devices
    assert sum(share.models for share in shares) == 40
    assert shares[1].rejoined == 1
    assert shares[1].models > 0
    assert collected.agreement.agree


def test_board_lost_while_it_is_compared_does_not_join_where_it_disagrees(study):
    boards = [ScriptedBoard("pi1"), ScriptedBoard("pi2", median_ms=107.0)]
    boards[1].dies_at = 2
    boards[1].returns = lambda: True
    collected = run(study, boards, 12)
    lost = collected.summary(12, failures=(), export_s=0.0).devices[1].lost
    assert "disagree by more than 3 %" in lost
    assert {stored.device_id for stored in study.labels.all("latency")} == {"id-pi1"}
    assert len(study.labels.all("latency")) == 12


def test_one_board_under_two_names_is_refused(study):
    boards = [ScriptedBoard("pi1"), ScriptedBoard("pi2")]
    boards[1].identity = boards[0].identity
    with pytest.raises(CollectError, match="'pi1' and 'pi2' are one and the same device"):
        run(study, boards, 4)


def test_no_device_is_refused(study):
    with pytest.raises(CollectError, match="no device"):
        run(study, [], 4)


def test_boards_without_a_canary_cannot_share(study):
    boards = [ScriptedBoard("pi1"), ScriptedBoard("pi2")]
    with pytest.raises(CollectError, match="without a canary"):
        run(study, boards, 4, replace(OPTIONS, canary_every=0))


def test_canary_that_does_not_run_on_a_board_is_said(study):
    boards = [ScriptedBoard("pi1"), ScriptedBoard("pi2")]
    boards[1].outcome = lambda job: Outcome.OOM
    with pytest.raises(CollectError, match=r"canary does not run on 'pi2': OOM"):
        run(study, boards, 4)
