"""What attempts come to, which of them count, and which are made again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hytnas_agent.label import (
    DISTURBED_ATTEMPTS,
    DISTURBED_RETRIES,
    came_to,
    counting,
    ending,
    given_up,
    least_disturbed,
    may_be_discarded,
    measured_again,
    medians_ms,
    process_settled,
    retries_of,
    settled,
    well_timed,
)
from hytnas_agent.records import Outcome, ProcessResult, Verdict

from ..conftest import make_result

INVALID = Verdict("INVALID", ("throttled",))
VALID = Verdict("VALID")


def ok(median_ms: float = 1.0) -> ProcessResult:
    return make_result((median_ms,) * 3, verdict=VALID)


def disturbed(median_ms: float = 1.0, **fields: object) -> ProcessResult:
    return make_result((median_ms,) * 3, verdict=INVALID, **fields)


def failed(outcome: Outcome, **fields: object) -> ProcessResult:
    return make_result(outcome=outcome, **fields)


@given(st.lists(st.sampled_from(list(Outcome)), max_size=40))
def test_attempts_always_come_to_an_end(outcomes):
    tried: list[Outcome] = []
    for outcome in outcomes:
        if settled(tried):
            break
        tried.append(outcome)
    assert len(tried) <= 4 * (2 - 1) + 3 - 1 + 10 - 1 + 1


@pytest.mark.parametrize(
    ("outcomes", "end"),
    [
        ([], False),
        ([Outcome.OK], True),
        ([Outcome.INVALID_MODEL], True),
        ([Outcome.TIMEOUT], False),
        ([Outcome.TIMEOUT, Outcome.TIMEOUT], True),
        ([Outcome.OOM, Outcome.OK], True),
        ([Outcome.CRASH], False),
        ([Outcome.CRASH, Outcome.CRASH], True),
        ([Outcome.CRASH, Outcome.OK], True),
        ([Outcome.INTERNAL], False),
        ([Outcome.CANCELLED], False),
        ([Outcome.CANCELLED, Outcome.CANCELLED], False),
        ([Outcome.THROTTLED, Outcome.THROTTLED], False),
        ([Outcome.THROTTLED] * 3, True),
    ],
)
def test_what_is_tried_again(outcomes, end):
    assert settled(outcomes) is end


def test_a_disturbed_attempt_is_made_again_but_not_after_a_lasting_load() -> None:
    assert ending(ok()) is Outcome.OK
    assert ending(disturbed()) is Outcome.THROTTLED
    assert ending(disturbed(measure_pass="sustained")) is Outcome.OK
    assert ending(failed(Outcome.CRASH)) is Outcome.CRASH
    assert not process_settled([disturbed()], 0)
    assert process_settled([disturbed(measure_pass="sustained")], 0)
    assert process_settled([disturbed(), ok()], 1)


@pytest.mark.parametrize("retries", range(DISTURBED_RETRIES + 2))
def test_an_attempt_is_the_last_just_where_its_process_is_settled_if_it_is_disturbed(retries: int) -> None:
    """An attempt that may end early is followed by another one, and only such an attempt."""
    for before in range(DISTURBED_ATTEMPTS):
        attempts = [disturbed()] * before
        others = [[disturbed()] * (retries + 1)]
        due = retries_of(others, next_of=attempts) + retries_of([attempts])
        had = retries_of([*others, [*attempts, disturbed()]])
        assert due == had
        assert measured_again(attempts, due) is not process_settled([*attempts, disturbed()], had)


def test_retries_are_attempts_after_a_disturbed_one() -> None:
    assert retries_of([[disturbed()], [ok()], [failed(Outcome.CRASH), ok()]]) == 0
    assert retries_of([[disturbed(), disturbed(), ok()], [disturbed(), failed(Outcome.CRASH)]]) == 3
    assert retries_of([[disturbed()]], next_of=[disturbed()]) == 1
    assert retries_of([[ok()]], next_of=[ok()]) == retries_of([], next_of=[]) == 0


def test_a_process_is_discarded_twice_at_most_and_what_was_disturbed_counts_with_it() -> None:
    assert may_be_discarded([ok()], 0)
    assert may_be_discarded([ok(), ok()], 1)
    assert not may_be_discarded([ok(), ok(), ok()], 2)
    assert may_be_discarded([disturbed(), ok()], 1)
    assert not may_be_discarded([disturbed(), disturbed(), ok()], 0)


def test_a_model_is_given_up_once_one_process_or_several_alike_have_failed() -> None:
    crash, hang = failed(Outcome.CRASH), failed(Outcome.TIMEOUT)
    assert not given_up([])
    assert not given_up([[crash]])
    assert given_up([[crash, crash], [ok()]])
    assert given_up([[hang], [hang]])
    assert not given_up([[hang], [hang], [ok()]])
    assert given_up([[failed(Outcome.INVALID_MODEL)]])
    assert not given_up([[failed(Outcome.CANCELLED)] * 10, [failed(Outcome.THROTTLED)] * 3])


def test_a_process_comes_to_its_last_attempt_or_the_fastest_of_disturbed_ones() -> None:
    assert least_disturbed([disturbed(1.0), ok(2.0)]).median_ms == 2.0
    assert least_disturbed([disturbed(3.0), disturbed(1.0), disturbed(2.0)]).median_ms == 1.0
    late = make_result(outcome=Outcome.THROTTLED, verdict=INVALID)
    assert least_disturbed([disturbed(3.0), late]).median_ms == 3.0
    assert least_disturbed([late]) is late
    cancelled = failed(Outcome.CANCELLED)
    assert came_to([[], [cancelled], [disturbed(1.0), ok(2.0)]]) == [ok(2.0)]


def test_the_undisturbed_count_or_else_the_fastest() -> None:
    assert medians_ms(counting([ok(2.0), disturbed(1.0), ok(3.0)])) == (2.0, 3.0)
    assert medians_ms(counting([disturbed(2.0), disturbed(1.0)])) == (1.0,)
    assert counting([]) == []


def test_what_went_well_is_timed_and_has_samples() -> None:
    others = [failed(Outcome.CRASH), make_result(measure_pass="memory"), make_result()]
    assert well_timed([ok(), *others, disturbed()]) == [ok(), disturbed()]
