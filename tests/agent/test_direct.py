"""Measuring a file without a server: what is measured again, and what stands."""

import signal
from collections.abc import Sequence

import pytest

from hytnas_agent import direct
from hytnas_agent.cli import main
from hytnas_agent.paths import StateFolder
from hytnas_agent.records import MeasureJob, MeasureSettings, ProcessResult, Verdict

from .conftest import Models, make_result

DISTURBED = Verdict("INVALID", ("other processes took 50% of core 3",))


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, Verdict]]:
    """The median and verdict of each timed process in order; what is left of them at the end."""
    left: list[tuple[float, Verdict]] = []

    def run_job(job: MeasureJob, *_: object, **__: object) -> ProcessResult:
        if job.measure_pass != "timed":
            return make_result(measure_pass=job.measure_pass)
        median_ms, verdict = left.pop(0)
        return make_result((median_ms,) * 3, median_ms=median_ms, verdict=verdict)

    monkeypatch.setattr(direct, "run_job", run_job)
    return left


def measured(
    models: Models, state: StateFolder, answers: Sequence[tuple[float, Verdict]]
) -> direct.Measurement:
    done: list[tuple[int, int]] = []
    measurement = direct.measure_file(
        models.tiny,
        state,
        MeasureSettings(),
        processes=3,
        on_result=lambda number, total: done.append((number, total)),
    )
    assert not answers
    assert done[-1] == (len(measurement.results), len(measurement.results))
    return measurement


def test_a_disturbed_process_is_measured_again_after_the_others(
    models: Models, state: StateFolder, answers: list[tuple[float, Verdict]]
) -> None:
    valid = Verdict("VALID")
    answers += [(1.0, valid), (9.0, DISTURBED), (1.2, valid), (1.1, valid)]
    measurement = measured(models, state, answers)
    assert measurement.label.process_medians_ms == (1.0, 1.1, 1.2)
    assert measurement.label.disturbed_processes == 0
    kept = [result.median_ms for result in measurement.results if result.measure_pass == "timed"]
    assert kept == [1.0, 9.0, 1.1, 1.2]


def test_where_it_is_never_quiet_the_fastest_attempt_stands_and_says_so(
    models: Models, state: StateFolder, answers: list[tuple[float, Verdict]]
) -> None:
    answers += [(20.0 - number, DISTURBED) for number in range(8)]  # three, and five further attempts
    label = measured(models, state, answers).label
    assert label.process_medians_ms == (13.0,)
    assert label.disturbed_processes == 3
    assert "3 of 3 processes were disturbed: other processes took 50% of core 3" in label.message


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_end_puts_back_what_was_set(
    models: Models, state: StateFolder, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    restored: list[bool] = []

    def signalled(*_: object, **__: object) -> ProcessResult:
        signal.raise_signal(number)
        raise AssertionError

    def refuse(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(direct, "run_job", signalled)
    monkeypatch.setattr(direct.PinnedGovernors, "restore", lambda _: restored.append(True))
    before = signal.signal(number, refuse)
    try:
        assert main(["measure", str(models.tiny), "--state", str(state.root)]) == 1
        assert signal.getsignal(number) == refuse
    finally:
        signal.signal(number, before)
    assert restored == [True]
