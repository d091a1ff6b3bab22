"""Which results are attempts at the same process."""

import msgspec

from hytnas_agent.label import alike_but_for_deadline, board_of, measured_with
from hytnas_agent.records import MeasureSettings, Outcome

from ..conftest import make_result

SETTINGS = MeasureSettings(deadline_s=60.0)
PATIENT, HASTY = MeasureSettings(deadline_s=900.0), MeasureSettings(deadline_s=5.0)


def test_a_deadline_that_was_kept_changes_nothing() -> None:
    result = make_result((1.0,), settings=SETTINGS)
    assert all(measured_with(result, each) for each in (SETTINGS, PATIENT, HASTY))
    assert not measured_with(result, MeasureSettings(min_runs=11))
    assert alike_but_for_deadline(PATIENT) == alike_but_for_deadline(HASTY)
    assert alike_but_for_deadline(MeasureSettings(core=1)) != alike_but_for_deadline(SETTINGS)


def test_a_deadline_that_was_missed_tells_nothing_of_a_later_one() -> None:
    for outcome in (Outcome.TIMEOUT, Outcome.THROTTLED):
        late = make_result(outcome=outcome, settings=SETTINGS)
        assert not measured_with(late, PATIENT)
        assert measured_with(late, HASTY)
        assert measured_with(late, SETTINGS)


def test_a_process_that_did_not_get_to_tell_its_context_is_of_its_board_alone() -> None:
    result = make_result((1.0,))
    assert board_of(msgspec.structs.replace(result, context=None)) == (result.identity.device_id, "")
