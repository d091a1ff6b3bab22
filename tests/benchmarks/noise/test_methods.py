from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from itertools import count, islice
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from noise.journal import Process
from noise.methods import METHODS, Turn, label_of, next_process, settings_of, turns_of_block

from hytnas_agent.label import DISTURBED_ATTEMPTS, DISTURBED_RETRIES, StoppingRule, aggregate
from hytnas_agent.records import (
    DeviceContext,
    DeviceIdentity,
    MeasureSettings,
    Outcome,
    ProcessResult,
    Verdict,
)
from hytnas_datasets.store import ExportRecord, Study
from hytnas_host.collect import jobs as collect

MODELS = [f"{number:064x}" for number in range(8)]
RULE = StoppingRule(max_processes=10)
JOBS = count()
CONTEXT = DeviceContext(
    "Pi", "bcm", "aarch64", 4, 2**30, "Debian", "6.1", "onnxruntime", "1.23", "x", 1, "performance"
)


def process(
    median_ms: float = 5.0,
    *,
    method: str = "ours",
    model: str = MODELS[0],
    outcome: Outcome = Outcome.OK,
    usable: bool = True,
    replicate: int = 0,
) -> Process:
    samples = (median_ms,) * 3 if outcome is Outcome.OK else ()
    job_id, cold_ms = f"job-{next(JOBS)}", 2 * median_ms
    return Process(
        "quiet", 0, model, method, replicate, job_id, outcome, 0.0, 0.5, samples, cold_ms, usable=usable
    )


def add(measured: dict[Turn, list[Process]], turn: Turn, found: Process) -> None:
    """Add a process as the replicate that is asked for."""
    replicate = next_process(turn[0], measured[turn], RULE)
    assert replicate is not None
    measured[turn].append(msgspec.structs.replace(found, replicate=replicate))


def run_block(
    measure: Callable[[Turn], Process], measured: dict[Turn, list[Process]], limit: int | None = None
) -> list[Turn]:
    taken = []
    for turn in islice(turns_of_block(MODELS, measured, RULE, [0, 1, 2]), limit):
        add(measured, turn, measure(turn))
        taken.append(turn)
    return taken


def steady(turn: Turn) -> Process:
    return process(method=turn[0], model=turn[1])


def test_every_method_measures_every_model_once() -> None:
    taken = Counter(run_block(steady, defaultdict(list)))
    assert {turn: count for turn, count in taken.items() if turn[0] != "ours"} == {
        (method, model): 1 for method in ("naive", "fixed") for model in MODELS
    }
    assert {taken["ours", model] for model in MODELS} == {RULE.min_processes}


def test_the_methods_are_mixed_in_time() -> None:
    """Over many blocks the processes of all methods lie about the block's middle."""
    places = defaultdict(list)
    for seed in range(40):
        measured: dict[Turn, list[Process]] = defaultdict(list)
        for place, turn in enumerate(turns_of_block(MODELS, measured, RULE, [seed])):
            add(measured, turn, steady(turn))
            places[turn[0]].append(place)
    middle = np.mean([place for each in places.values() for place in each])
    for method in METHODS:
        assert np.mean(places[method]) == pytest.approx(middle, rel=0.1)


def test_a_model_is_not_measured_twice_by_ours_before_the_others_had_their_turn() -> None:
    counts: Counter[str] = Counter()
    for method, model in run_block(steady, defaultdict(list)):
        if method == "ours":
            assert counts[model] == min(counts[each] for each in MODELS)
            counts[model] += 1


def test_an_interrupted_block_goes_on_in_the_same_order() -> None:
    whole = run_block(steady, defaultdict(list))
    measured: dict[Turn, list[Process]] = defaultdict(list)
    begun = run_block(steady, measured, limit=17)
    assert begun + run_block(steady, measured) == whole


def test_a_noisy_model_gets_more_processes_within_the_budget() -> None:
    rng = np.random.default_rng(0)
    taken = Counter(
        run_block(
            lambda turn: process(
                5.0 * (float(np.exp(0.2 * rng.normal())) if turn[1] == MODELS[3] else 1.0),
                method=turn[0],
                model=turn[1],
            ),
            defaultdict(list),
        )
    )
    assert taken["ours", MODELS[3]] == RULE.max_processes
    assert taken["ours", MODELS[2]] == RULE.min_processes


def of_slots(*slots: Sequence[Process]) -> list[Process]:
    """Attempts of the replicates 0, 1, ..., further ones after the others, as a block measures them."""
    rounds = range(max(map(len, slots)))
    return [
        msgspec.structs.replace(slot[number], replicate=replicate)
        for number in rounds
        for replicate, slot in enumerate(slots)
        if number < len(slot)
    ]


def test_a_disturbed_process_is_measured_again_and_stands_as_what_it_came_to() -> None:
    disturbed = process(9.0, usable=False)
    slots = [[process(5.0 + 0.01 * k)] for k in range(4)]
    assert next_process("ours", of_slots([disturbed], *slots), RULE) == 0
    label = label_of("ours", of_slots([disturbed, process(5.04)], *slots), RULE)
    assert label is not None
    assert (label.latency_ms, label.disturbed, label.stable) == (5.02, 1, True)
    assert not label.too_few_undisturbed
    assert label.cost_s == 6 * 0.5


def test_what_a_disturbed_attempt_cost_is_charged_to_what_came_after_it() -> None:
    disturbed = process(9.0, usable=False)
    slots = [[process(5.0 + 0.01 * k)] for k in range(4)]
    label = label_of("ours", of_slots([disturbed, process(5.04)], *slots), RULE)
    assert label is not None
    # The first attempt cost half a second, and the slot that it was at came to stand last.
    assert label.processes_ms == (5.0, 5.01, 5.02, 5.03, 5.04)
    assert label.spent_s == (1.0, 1.5, 2.0, 2.5, 3.0)


def test_attempts_of_equal_medians_are_told_apart() -> None:
    """A disturbed process that took just as long as those of the label is not charged as one of them."""
    disturbed = [process(5.0, usable=False) for _ in range(DISTURBED_ATTEMPTS)]
    label = label_of("ours", of_slots(disturbed, *[[process(5.0)] for _ in range(5)]), RULE)
    assert label is not None
    assert label.processes_ms == (5.0,) * 5
    assert label.spent_s == (1.0, 1.5, 2.0, 2.5, 3.0)


def test_of_a_process_that_is_always_disturbed_the_fastest_attempt_is_held_and_does_not_count() -> None:
    attempts = [process(value, usable=False) for value in (9.0, 7.0, 8.0)]
    assert len(attempts) == DISTURBED_ATTEMPTS
    slots = [[process(5.0 + 0.01 * k)] for k in range(4)]
    # Four undisturbed ones are too few for the rule, and that slot has had its attempts.
    assert next_process("ours", of_slots(attempts, *slots), RULE) == 5
    label = label_of("ours", of_slots(attempts, *slots, [process(5.04)]), RULE)
    assert label is not None
    assert len(label.processes_ms) == 5
    assert label.disturbed == DISTURBED_ATTEMPTS


def test_with_too_few_undisturbed_ones_these_alone_count() -> None:
    slow = [[process(9.0, usable=False), process(7.0 + 0.01 * k, usable=False)] for k in range(3)]
    slots = [[process(5.0)], [process(5.1)], *slow]
    label = label_of("ours", whole(slots), RULE)
    assert label is not None
    assert label.too_few_undisturbed
    assert not label.stable
    assert label.processes_ms == (5.0, 5.1)


def whole(slots: Sequence[Sequence[Process]]) -> list[Process]:
    """What these come to once the method wants no more: further processes are disturbed, too."""
    processes = of_slots(*slots)
    while (replicate := next_process("ours", processes, RULE)) is not None:
        processes.append(process(9.5, usable=False, replicate=replicate))
    return processes


def test_a_device_that_is_always_disturbed_costs_what_a_collection_would_spend() -> None:
    taken = run_block(
        lambda turn: process(method=turn[0], model=turn[1], usable=False), measured := defaultdict(list)
    )
    assert Counter(taken)["ours", MODELS[0]] == RULE.min_processes + DISTURBED_RETRIES
    label = label_of("ours", measured["ours", MODELS[0]], RULE)
    assert label is not None
    assert label.latency_ms == 5.0
    assert label.too_few_undisturbed
    assert len(label.processes_ms) == 1
    assert label.spent_s == (label.cost_s,)


@settings(deadline=None)  # every result goes through to the disk
@given(st.lists(st.tuples(st.booleans(), st.floats(1.0, 9.0)), min_size=60, max_size=60))
def test_a_study_decides_as_a_collection_does(found: list[tuple[bool, float]]) -> None:
    """The same results, one after the other, to the study and to the journal of a collection."""
    with TemporaryDirectory() as folder, Study.open(Path(folder)) as study:
        study.exports.add(ExportRecord(MODELS[0], "onnx", "models/a.onnx", 1))
        journal = collect.JobJournal(study, "latency", "board", CONTEXT, MeasureSettings())
        processes: list[Process] = []
        for number, (usable, value) in enumerate(found):
            slot = journal.next_timed(MODELS[0], RULE)
            replicate = next_process("ours", processes, RULE)
            assert replicate == (None if slot is None else slot.replicate)
            if slot is None:
                break
            processes.append(process(value, usable=usable, replicate=slot.replicate))
            journal.store(slot, collected(str(number), value, usable=usable))
        else:
            pytest.fail("a label takes at most 15 processes")
        theirs = aggregate(journal.last_attempts(MODELS[0]), RULE)
    ours = label_of("ours", processes, RULE)
    assert ours is not None
    assert ours.latency_ms == theirs.median_ms
    assert sorted(ours.processes_ms) == sorted(theirs.process_medians_ms)
    assert ours.too_few_undisturbed == theirs.too_few_undisturbed
    assert ours.stable == (theirs.outcome is Outcome.OK)
    assert list(ours.spent_s) == sorted(ours.spent_s)
    assert ours.spent_s[-1] <= ours.cost_s


def collected(job_id: str, value: float, *, usable: bool) -> ProcessResult:
    return ProcessResult(
        job_id,
        MODELS[0],
        "timed",
        Outcome.OK,
        MeasureSettings(),
        0.0,
        0.5,
        "0.1",
        DeviceIdentity("board", "host"),
        CONTEXT,
        samples_ms=(value,) * 3,
        median_ms=value,
        verdict=Verdict("VALID" if usable else "INVALID"),
    )


def test_the_other_methods_take_what_they_get() -> None:
    for method in ("naive", "fixed"):
        disturbed = [process(9.0, method=method, usable=False)]
        assert next_process(method, disturbed, RULE) is None
        label = label_of(method, disturbed, RULE)
        assert label is not None
        assert label.latency_ms == 9.0


def test_the_first_run_is_of_the_naive_process() -> None:
    label = label_of("first", [process(5.0, method="naive")], RULE)
    assert label is not None
    assert label.latency_ms == 10.0


def test_failures_are_tried_again_and_then_given_up() -> None:
    failed = process(outcome=Outcome.CRASH)
    for method in METHODS:
        assert next_process(method, [failed], RULE) == 0
        assert next_process(method, [failed] * 2, RULE) is None
        assert label_of(method, [failed] * 2, RULE) is None


def test_a_label_waits_for_the_method_to_be_satisfied() -> None:
    assert label_of("ours", of_slots(*[[process()]] * 4), RULE) is None
    assert label_of("naive", [], RULE) is None


def test_an_unstable_label_says_so() -> None:
    values = [5.0, 6.0] * 5
    label = label_of("ours", of_slots(*[[process(value)] for value in values]), RULE)
    assert label is not None
    assert label.latency_ms == 5.5
    assert not label.stable


def test_the_runs_of_a_process() -> None:
    naive, fixed = settings_of("naive", 1, 0.1), settings_of("fixed", 1, 0.1)
    assert (naive.warmup_max_runs, naive.min_runs, naive.max_runs) == (0, 1, 1)
    assert (fixed.warmup_max_runs, fixed.min_runs, fixed.max_runs) == (10, 50, 50)
    assert fixed.warmup_max_runs < 2 * fixed.warmup_window
    assert settings_of("ours", 1, 0.1).timed_budget_s == 0.1
