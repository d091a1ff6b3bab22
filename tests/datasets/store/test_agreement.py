"""The rule by which boards count as alike, against simulated noise, and what a study makes of it."""

from collections import Counter
from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from hytnas_agent.protocol import DeviceDescription
from hytnas_agent.records import (
    DeviceIdentity,
    HealthSnapshot,
    LatencyLabel,
    MeasureSettings,
    Outcome,
    ProcessResult,
    Verdict,
)
from hytnas_datasets.errors import StudyError
from hytnas_datasets.spaces import Architecture, Space
from hytnas_datasets.store import Study, compare_boards
from hytnas_datasets.store.agreement import comparable_ms

Make = SimpleNamespace
TRIALS = 300
QUIET, HOGGED = Verdict("VALID"), Verdict("INVALID", ("other processes took 50% of core 3",))
medians = st.lists(st.floats(0.1, 1000.0), min_size=2, max_size=6)

Process = tuple[float | Outcome, ...]
"""The attempts at a process: the median of each, negative where it was disturbed, or how it failed."""


def process(make: Make, attempts: Process, job_id: str = "job", **changes: object) -> list[ProcessResult]:
    results = []
    for number, value in enumerate(attempts):
        if isinstance(value, Outcome):
            found = {"outcome": value, "median_ms": None, "samples_ms": ()}
        else:
            found = {"median_ms": abs(value), "verdict": QUIET if value > 0 else HOGGED}
        results.append(make.result(f"{job_id}-{number}", "canary", **found, **changes))
    return results


def verdicts(ratio: float, noise: float, boards: int = 2) -> dict[str, float]:
    """How often boards of which one is slower by a factor come to each verdict, with log-normal noise.

    As in a collection: five processes each, then twice as many, as long as that leaves the question open.
    """
    rng = np.random.default_rng([1, boards])
    factors = np.ones(boards)
    factors[0] = ratio
    found = Counter[str]()
    for _ in range(TRIALS):
        draws = 80.0 * factors[:, None] * np.exp(rng.normal(0.0, noise, (boards, 40)))
        for processes in (5, 10, 20, 40):
            medians_ms = {f"board-{i}": values[:processes].tolist() for i, values in enumerate(draws)}
            verdict = compare_boards(medians_ms).verdict
            if verdict != "undecided":
                break
        found[verdict] += 1
    return {verdict: count / TRIALS for verdict, count in found.items()}


# The bounds lie three standard errors of 300 trials below the shares that 500 trials gave: of equal boards
# 98.8 % (2 % noise), 98.6 % (four boards) and 77 % (4 %) agree.
@pytest.mark.parametrize(
    ("noise", "boards", "least"), [(0.01, 2, 0.99), (0.02, 2, 0.965), (0.02, 4, 0.96), (0.04, 2, 0.69)]
)
def test_boards_that_are_equal_are_found_to_agree(noise, boards, least):
    assert verdicts(1.0, noise, boards)["agree"] >= least


@pytest.mark.parametrize(
    ("ratio", "noise", "boards"), [(1.06, 0.01, 2), (1.06, 0.02, 2), (1.06, 0.02, 4), (1.10, 0.02, 2)]
)
def test_boards_that_differ_by_more_than_the_tolerance_never_agree(ratio, noise, boards):
    found = verdicts(ratio, noise, boards)
    assert "agree" not in found
    assert found["disagree"] >= 0.98


def test_interval_is_welchs():
    rng = np.random.default_rng(3)
    one, other = np.exp(rng.normal(4.0, 0.02, 5)), np.exp(rng.normal(4.1, 0.05, 8))
    found = compare_boards({"one": one.tolist(), "other": other.tolist()})
    interval = stats.ttest_ind(np.log(other), np.log(one), equal_var=False).confidence_interval(0.95)
    assert np.log([found.ratio_low, found.ratio_high]) == pytest.approx([interval.low, interval.high])
    assert (found.slower, found.faster) == ("other", "one")
    assert found.ratio == pytest.approx(np.exp(np.log(other).mean() - np.log(one).mean()))


@given(medians, medians, st.floats(0.01, 100.0))
def test_neither_the_order_of_the_boards_nor_the_unit_matters(one, other, unit):
    found = compare_boards({"a": one, "b": other})
    turned = compare_boards({"b": [unit * v for v in other], "a": [unit * v for v in one]})
    assert found.ratio == pytest.approx(turned.ratio)
    assert found.ratio >= 1.0
    assert found.ratio_low <= found.ratio <= found.ratio_high


def test_boards_without_noise_are_judged_by_their_ratio_alone():
    assert compare_boards({"a": [100.0] * 3, "b": [102.9] * 3}).agree
    assert not compare_boards({"a": [100.0] * 3, "b": [103.1] * 3}).agree
    assert compare_boards({"a": [100.0] * 3, "b": [103.1] * 3}, tolerance=0.05).agree


def test_nothing_is_said_of_boards_that_were_not_measured_twice():
    assert compare_boards({}) is None
    assert compare_boards({"a": [1.0, 2.0], "b": [1.0]}) is None


def test_disagreement_is_said_with_both_values_and_names():
    found = compare_boards({"a": [100.0, 101.0, 99.0], "b": [110.0, 111.0, 109.0]})
    line = found.describe({"a": "pi1", "b": "pi2"})
    assert "110 ms on pi2 (3 processes) but 100 ms on pi1 (3 processes)" in line
    assert "disagree by more than 3 %" in line
    assert "10.0 % apart" in line


def test_boards_far_apart_in_much_noise_are_not_said_to_agree():
    noisy = compare_boards({"a": [100.0, 130.0, 80.0], "b": [112.7, 150.0, 90.0]})
    assert noisy.verdict == "undecided"
    assert not noisy.agree
    assert "varies too much to tell whether the boards agree within 3 %" in noisy.describe({})
    assert compare_boards({"a": [100.0, 101.0, 99.0] * 9, "b": [100.5, 101.0, 99.0] * 9}).agree


def test_interval_is_said_with_its_confidence():
    pair = {"a": [100.0, 100.1, 99.9], "b": [100.1, 100.0, 99.8]}
    assert "(95 % interval" in compare_boards(pair).describe({})
    assert "(98.3 % interval" in compare_boards({**pair, "c": [100.0, 100.2, 99.9]}).describe({})


def test_undisturbed_processes_stand_alone_once_they_are_enough(make: Make) -> None:
    four = [(10.0,), (-30.0, 11.0), (12.0,), (-99.0, -98.0, -97.0)]
    assert comparable_ms(process(make, each) for each in four) == [10.0, 11.0, 12.0]


def test_too_few_undisturbed_ones_are_made_up_to_three_with_the_fastest_others(make: Make) -> None:
    four = [(-30.0,), (10.0,), (-40.0,), (-25.0, -20.0)]
    assert comparable_ms(process(make, each) for each in four) == [10.0, 20.0, 30.0]
    assert comparable_ms(process(make, each) for each in four[:2]) == [10.0, 30.0]


def test_failed_and_cancelled_processes_are_none_to_compare_by(make: Make) -> None:
    crash, cancelled = Outcome.CRASH, Outcome.CANCELLED
    failed = [(crash,), (-20.0, crash), (cancelled,), (-20.0, cancelled)]
    assert comparable_ms(process(make, each) for each in [*failed, (crash, 10.0)]) == [10.0]


def add_canaries(
    study: Study, make: Make, board: str, values: Sequence[float | Process], **settings: float
) -> None:
    """Canaries by their median, or by their attempts as ``process`` takes them."""
    study.exports.add(make.export("canary", "canary-plan"))
    for number, value in enumerate(values):
        attempts = value if isinstance(value, tuple) else (value,)
        for result in process(
            make,
            attempts,
            job_id=f"{board}-{number}",
            identity=DeviceIdentity(board, "pi"),
            settings=MeasureSettings(**settings),
        ):
            study.results.add(result, model_sha256="canary", purpose="canary", replicate=number)


@pytest.fixture
def two_boards(study: Study, measured: list[Architecture], make: Make) -> Study:
    """A second board has measured one network more."""
    study.labels.add(make.label("m1", (12.0, 14.0, 16.0)), "latency", "board-2", make.context())
    add_canaries(study, make, "board-1", [10.0, 10.1, 9.9])
    return study


def test_labels_of_boards_that_agree_stand_in_one_set_each_with_its_device(
    two_boards: Study, space: Space, measured: list[Architecture], make: Make
) -> None:
    add_canaries(two_boards, make, "board-2", [10.1, 10.0, 9.9])
    labelled = two_boards.labelled("latency_ms", space=space)
    assert dict(zip(labelled.architectures, labelled.devices, strict=True)) == {
        measured[0]: ("board-1",),
        measured[1]: ("board-2",),
        measured[2]: ("board-1",),
        measured[3]: ("board-1",),
    }
    assert labelled.provenance.endswith("(2 boards)")


def test_labels_of_boards_that_disagree_are_not_mixed_and_one_can_be_chosen(
    two_boards: Study, space: Space, measured: list[Architecture], make: Make
) -> None:
    add_canaries(two_boards, make, "board-2", [12.1, 12.0, 11.9])
    with pytest.raises(StudyError, match=r"12 ms on board-2 .* but 10 ms on board-1 .*--device"):
        two_boards.labelled("latency_ms", space=space)
    chosen = two_boards.labelled("latency_ms", space=space, device="board-2")
    assert chosen.architectures == (measured[1],)
    assert chosen.devices == (("board-2",),)


@pytest.mark.parametrize("canaries", [[], [10.0]])
def test_labels_of_a_board_without_canaries_are_not_mixed_with_others(
    two_boards: Study, space: Space, measured: list[Architecture], make: Make, canaries: list[float]
) -> None:
    add_canaries(two_boards, make, "board-2", canaries)
    with pytest.raises(StudyError, match=r"\(board-1, board-2\).*nothing shows that they agree.*--device"):
        two_boards.labelled("latency_ms", space=space)
    assert len(two_boards.labelled("latency_ms", space=space, device="board-1")) == 3


def test_third_board_without_canaries_is_not_hidden_by_two_that_agree(
    two_boards: Study, space: Space, make: Make
) -> None:
    add_canaries(two_boards, make, "board-2", [10.1, 10.0, 9.9])
    two_boards.labels.add(make.label("m0", (10.0, 10.0, 10.0)), "latency", "board-3", make.context())
    with pytest.raises(StudyError, match=r"board-1, board-2, board-3.*nothing shows"):
        two_boards.labelled("latency_ms", space=space)


def test_canaries_under_another_deadline_are_compared(two_boards: Study, space: Space, make: Make) -> None:
    add_canaries(two_boards, make, "board-2", [12.1, 12.0, 11.9], deadline_s=900.0)
    with pytest.raises(StudyError, match=r"disagree by more than 3 %"):
        two_boards.labelled("latency_ms", space=space)


def test_tolerance_that_the_boards_were_measured_with_holds_when_they_are_read(
    two_boards: Study, space: Space, measured: list[Architecture], make: Make
) -> None:
    add_canaries(two_boards, make, "board-2", [11.1, 11.0, 10.9])
    two_boards.boards.set_tolerance(make.context(), 0.2)
    assert measured[1] in two_boards.labelled("latency_ms", space=space).architectures
    (found,) = two_boards.describe().board_agreements
    assert (found.agreement.agree, found.agreement.tolerance) == (True, 0.2)


@pytest.mark.parametrize("medians", [(29.0, 30.0, 31.0), (19.0, 20.0, 21.0)])
def test_labels_measured_with_different_settings_are_not_mixed_but_deadlines_may_differ(
    study: Study, space: Space, measured: list[Architecture], make: Make, medians: tuple[float, ...]
) -> None:
    """Whatever their processes measured: labels of equal medians are told apart, too."""

    def add(model: str, medians: tuple[float, ...], number: int, **settings: float) -> LatencyLabel:
        for replicate, median_ms in enumerate(medians):
            result = make.result(
                f"{model}-{number}-{replicate}",
                model,
                median_ms=median_ms,
                settings=MeasureSettings(**settings),
            )
            study.results.add(result, model_sha256=model, purpose="latency", replicate=replicate)
        jobs = tuple(f"{model}-{number}-{replicate}" for replicate in range(len(medians)))
        return make.label(model, medians, jobs=jobs)

    study.labels.add(add("m0", (9.0, 10.0, 11.0), 0), "latency", "board-1", make.context())
    patient = add("m2", (19.0, 20.0, 21.0), 0, deadline_s=900.0)
    study.labels.add(patient, "latency", "board-1", make.context())
    assert len(study.labelled("latency_ms", space=space)) == 3
    hasty = add("m2", medians, 1, min_runs=3)
    assert len(study.labelled("latency_ms", space=space)) == 3
    study.labels.add(hasty, "latency", "board-1", make.context())
    with pytest.raises(StudyError, match=r"settings min_runs: 10 / 3"):
        study.labelled("latency_ms", space=space)
    study.labels.add(patient, "latency", "board-1", make.context())
    assert len(study.labelled("latency_ms", space=space)) == 3


def test_unknown_device_is_answered_with_those_there_are(two_boards: Study, space: Space) -> None:
    with pytest.raises(StudyError, match=r"no device 'pi9'.*board-1, board-2"):
        two_boards.labelled("latency_ms", space=space, device="pi9")


def test_attempts_that_were_measured_again_do_not_set_boards_apart(
    study: Study, space: Space, measured: list[Architecture], make: Make
) -> None:
    study.labels.add(make.label("m1", (12.0, 14.0, 16.0)), "latency", "board-2", make.context())
    add_canaries(study, make, "board-1", [100.0] * 6)
    add_canaries(study, make, "board-2", [100.0, (-140.0, 100.0), 100.0, (-140.0, 100.0), 100.0, 100.0])
    (found,) = study.describe().board_agreements
    assert (found.agreement.verdict, found.agreement.ratio) == ("agree", 1.0)
    assert {board.processes for board in found.agreement.boards} == {6}
    assert len(study.labelled("latency_ms", space=space)) == len(measured)


def test_discarded_canaries_are_none_to_compare_by(two_boards: Study, make: Make) -> None:
    add_canaries(two_boards, make, "board-2", [12.1, 12.0, 10.1, 10.0, (-14.0, 9.9)])
    two_boards.results.discard(["board-2-0-0", "board-2-1-0"], "drift")
    (found,) = two_boards.describe().board_agreements
    assert found.agreement.verdict == "agree"
    two_boards.results.discard(["board-2-4-1"], "drift")
    medians_ms = two_boards.boards.comparable_canaries_ms(make.context(), "canary", MeasureSettings())
    assert medians_ms == {"board-1": [10.0, 10.1, 9.9], "board-2": [10.1, 10.0, 14.0]}


def test_summary_counts_per_board_and_says_how_the_canaries_agree(two_boards: Study, make: Make) -> None:
    for board, name in (("board-1", "pi1"), ("board-2", "pi2")):
        identity = DeviceIdentity(board, "pi")
        described = DeviceDescription(identity, make.context(), (), HealthSnapshot(1.0), "0.1.0")
        two_boards.devices.add(described, name=name)
    add_canaries(two_boards, make, "board-2", [10.1, 10.0, 9.9])
    summary = two_boards.describe()
    assert [(b.name, b.labels, b.canaries) for b in summary.boards] == [
        ("pi1", {"OK": 2}, 3),
        ("pi2", {"OK": 1}, 3),
    ]
    (found,) = summary.board_agreements
    assert found.agreement.agree
    assert two_boards.devices.names() == {"board-1": "pi1", "board-2": "pi2"}
