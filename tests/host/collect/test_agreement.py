"""Boards are held to equal contexts and an equal canary before their labels are mixed."""

from dataclasses import replace

import pytest

from hytnas_agent.records import Outcome
from hytnas_datasets.store import Study
from hytnas_host.collect.errors import BoardsDifferError, CollectError

from .scripted import CANARY, OPTIONS, ScriptedBoard, other, run


@pytest.fixture
def study(tmp_path):
    with Study.open(tmp_path / "study") as study:
        yield study


def test_boards_of_different_contexts_are_refused_with_the_fields(study):
    boards = [ScriptedBoard("pi1"), ScriptedBoard("pi2", context=other(governor="ondemand", kernel="6.6"))]
    with pytest.raises(BoardsDifferError) as error:
        run(study, boards, 4)
    assert "'pi1' and 'pi2'" in str(error.value)
    assert "governor: performance -> ondemand" in str(error.value)
    assert "kernel: 6.1 -> 6.6" in str(error.value)
    assert "soc" not in str(error.value)
    assert "--keep-apart" in str(error.value)
    assert not boards[0].measured
    assert not any(board.lease for board in boards)
    run(study, boards, 4, replace(OPTIONS, keep_apart=True))
    assert len(study.stored_labels("latency")) == 8


def test_boards_whose_canaries_disagree_are_refused_with_both_values_before_anything_is_labelled(study):
    boards = [ScriptedBoard("pi1"), ScriptedBoard("pi2", median_ms=107.0)]
    with pytest.raises(BoardsDifferError) as error:
        run(study, boards, 4)
    message = str(error.value)
    assert "107.2 ms on pi2 (3 processes) but 100.2 ms on pi1 (3 processes)" in message
    assert "7.0 % apart" in message
    assert all(word in message for word in ("cooling", "power supply", "--keep-apart"))
    assert {job.model_sha256 for board in boards for job in board.measured} == {CANARY}
    assert study.stored_labels("latency") == []
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
    collected = run(study, boards, 40, replace(OPTIONS, canary_every=3))
    assert not collected.agreement.agree
    assert "disagree by more than 3 %" in collected.summary(40, failed_exports=0, export_s=0.0).describe()


def test_board_of_an_earlier_call_is_compared_too(study):
    run(study, [ScriptedBoard("pi1")], 4)
    slower = ScriptedBoard("pi2", median_ms=110.0)
    with pytest.raises(BoardsDifferError, match=r"on pi2 .* but .* on pi1"):
        run(study, [slower], 8)
    run(study, [slower], 8, replace(OPTIONS, keep_apart=True))
    assert sum(stored.device_id == "id-pi2" for stored in study.stored_labels("latency")) == 8


def test_one_board_under_two_names_is_refused(study):
    boards = [ScriptedBoard("pi1"), ScriptedBoard("pi2")]
    boards[1].identity = boards[0].identity
    with pytest.raises(CollectError, match="'pi1' and 'pi2' are one and the same board"):
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
