"""What the labels of each device rest on."""

from types import SimpleNamespace

from hytnas_agent.records import DeviceIdentity, Outcome, Verdict
from hytnas_datasets.store import LabelQuality, Study
from hytnas_datasets.store.records import FORMER_SPEED

Make = SimpleNamespace

VALID = Verdict("VALID")
UNVERIFIED = Verdict("VALID_UNVERIFIED", (), ("clock",))
DISTURBED = Verdict("INVALID", ("other processes took 40% of core 3", "12 pages were swapped"), ("clock",))


def measure(
    study: Study,
    make: Make,
    sha256: str,
    verdicts: list[Verdict | None],
    *,
    purpose: str = "latency",
    label: bool = True,
    **changes,
) -> list[str]:
    """A model with one process a verdict, of 10, 11, 12 ... ms, and its label; the processes' job ids."""
    study.exports.add(make.export(sha256, None))
    device = changes.pop("device", "board-1")
    at_s = changes.pop("at_s", 1000.0)
    results = [
        make.result(
            f"{device}-{purpose}-{sha256}-{number}",
            sha256,
            median_ms=10.0 + number,
            verdict=verdict,
            started_unix_s=at_s + number,
            identity=DeviceIdentity(device, "pi"),
        )
        for number, verdict in enumerate(verdicts)
    ]
    for number, result in enumerate(results):
        study.results.add(result, model_sha256=sha256, purpose=purpose, replicate=number)
    if label:
        medians = tuple(result.median_ms for result in results)
        jobs = tuple(result.job_id for result in results)
        made = make.label(sha256, medians, jobs=jobs, **changes)
        study.labels.add(made, purpose, device, make.context())
    return [result.job_id for result in results]


def quality(study: Study) -> LabelQuality:
    (found,) = study.describe().qualities
    return found


def test_each_label_is_counted_once_by_the_worst_verdict_of_its_processes(study: Study, make: Make) -> None:
    measure(study, make, "a", [VALID] * 3)
    measure(study, make, "b", [VALID, UNVERIFIED, VALID])
    measure(study, make, "c", [VALID, UNVERIFIED, None])
    measure(study, make, "d", [DISTURBED] * 3, too_few_undisturbed=True)
    measure(study, make, "e", [], outcome=Outcome.OOM)
    found = quality(study)
    assert (found.labels, found.valid, found.unverified, found.not_judged, found.disturbed) == (4, 1, 1, 1, 1)
    assert found.absent == ("clock",)


def test_a_disturbed_process_that_its_label_leaves_out_is_no_mark_on_it(study: Study, make: Make) -> None:
    *jobs, _ = measure(study, make, "a", [VALID] * 4 + [DISTURBED], label=False)
    label = make.label("a", (10.0, 11.0, 12.0, 13.0), jobs=tuple(jobs))
    study.labels.add(label, "latency", "board-1", make.context())
    assert (quality(study).valid, quality(study).invalid, quality(study).retried) == (1, 1, 0)


def test_widths_that_were_not_reached_are_told_from_those_that_were_not_asked_for(
    study: Study, make: Make
) -> None:
    measure(study, make, "a", [VALID] * 3, outcome=Outcome.UNSTABLE, target_half_width=0.015)
    measure(study, make, "b", [VALID] * 3, target_half_width=0.015)
    measure(study, make, "c", [VALID] * 3)
    assert (quality(study).unstable, quality(study).untargeted) == (1, 1)


def test_attempts_after_disturbed_ones_are_counted_with_the_kinds_of_reasons(
    study: Study, make: Make
) -> None:
    study.exports.add(make.export("a", None))
    other = Verdict("INVALID", ("other processes took 71.5 % of core 2",))
    for number, verdict in enumerate((DISTURBED, other, VALID)):
        result = make.result(f"job-{number}", "a", verdict=verdict)
        study.results.add(result, model_sha256="a", purpose="latency", replicate=0)
    failed = make.result("job-3", "a", outcome=Outcome.CRASH, samples_ms=(), median_ms=None)
    study.results.add(failed, model_sha256="a", purpose="latency", replicate=1)
    found = quality(study)
    assert (found.processes, found.invalid, found.retried) == (3, 2, 2)
    assert list(found.reasons.items()) == [
        ("other processes took \u2026 of core \u2026", 2),
        ("\u2026 pages were swapped", 1),
    ]


def test_processes_without_a_steady_state_are_counted(study: Study, make: Make) -> None:
    study.exports.add(make.export("a", None))
    for number, steady in enumerate((True, False, None, False)):
        result = make.result(f"job-{number}", "a", steady=steady)
        study.results.add(result, model_sha256="a", purpose="latency", replicate=number)
    assert (quality(study).processes, quality(study).unsteady) == (4, 2)


def test_what_was_discarded_is_counted_and_a_label_that_still_rests_on_it_is_stale(
    study: Study, make: Make
) -> None:
    gone = measure(study, make, "a", [VALID] * 3)
    measure(study, make, "b", [VALID] * 3)
    study.results.discard(gone[:2], "the canary has drifted by +20.0 %")
    assert (quality(study).discarded, quality(study).stale) == (2, 1)
    for number in range(2):
        again = make.result(f"again-{number}", "a", median_ms=10.0 + number, verdict=VALID)
        study.results.add(again, model_sha256="a", purpose="latency", replicate=number)
    assert (quality(study).discarded, quality(study).stale) == (2, 1), "equal medians of other processes"
    label = make.label("a", (10.0, 11.0, 12.0), jobs=("again-0", "again-1", gone[2]))
    study.labels.add(label, "latency", "board-1", make.context())
    assert (quality(study).discarded, quality(study).stale) == (2, 0)


def test_labels_of_before_a_lasting_change_of_speed_are_counted(study: Study, make: Make) -> None:
    measure(study, make, "a", [VALID] * 3, at_s=100.0)
    old = measure(study, make, "canary", [VALID] * 3, purpose="canary", label=False, at_s=200.0)
    measure(study, make, "b", [VALID] * 3, at_s=300.0)
    measure(study, make, "c", [VALID] * 3, at_s=200.5)
    study.results.discard(old, f"pi {FORMER_SPEED}")
    study.failures.add("drift", "board-1", "pi has changed speed for good")
    study.failures.add("export", "board-1", "no")
    found = quality(study)
    assert (found.former_speed, found.speed_changes) == (2, 1)
    assert (found.processes, found.discarded) == (9, 0), "the canary's are not counted"


def test_devices_and_what_was_measured_afresh_are_apart(study: Study, make: Make) -> None:
    measure(study, make, "a", [VALID] * 3, purpose="verify-1234")
    measure(study, make, "a", [VALID] * 3, device="board-2")
    measure(study, make, "b", [UNVERIFIED] * 3)
    measure(study, make, "b", [UNVERIFIED] * 3, purpose="verify-5678")
    found = study.describe().qualities
    assert [(q.device_id, q.afresh, q.labels, q.valid, q.processes) for q in found] == [
        ("board-2", False, 1, 1, 3),
        ("board-1", False, 1, 0, 3),
        ("board-1", True, 2, 1, 6),
    ]


def test_a_study_without_measurements_has_none(study: Study) -> None:
    assert study.describe().qualities == ()
