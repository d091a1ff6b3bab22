from types import SimpleNamespace

import pytest

from hytnas_agent.records import MeasureSettings, Outcome, Verdict
from hytnas_datasets.spaces import Architecture, Space
from hytnas_datasets.store import Study
from hytnas_datasets.store.summary import Coverage

Make = SimpleNamespace


def add_processes(
    study: Study, make: Make, sha256: str, medians: list[float], purpose: str = "latency"
) -> None:
    for replicate, median_ms in enumerate(medians):
        result = make.result(f"{sha256}-{purpose}-{replicate}", sha256, median_ms=median_ms)
        study.results.add(result, model_sha256=sha256, purpose=purpose, replicate=replicate)


def test_an_empty_study_describes_itself(study: Study) -> None:
    summary = study.describe()
    assert (summary.sampled, summary.exports, summary.trainings, summary.outliers) == ({}, 0, 0, ())
    assert summary.repeat_noise is None
    assert summary.canary_drift is None
    assert summary.latency_range_ms is None


def test_counts_and_duplicates(study: Study, measured: list[Architecture]) -> None:
    summary = study.describe()
    assert summary.sampled == {"latency": 4}
    assert summary.networks == {"latency": 3}
    assert summary.duplicates == {"latency": 1}
    assert summary.exports == 3
    assert summary.labels == {"latency": {"OK": 2, "OOM": 1}}
    assert summary.latency_range_ms == (10.0, 20.0)


def test_it_is_said_what_measured_from_the_most_real_to_the_least(study: Study, make: Make) -> None:
    study.exports.add(make.export("a", None))
    assert study.describe().executions == ()
    for replicate, execution in enumerate(("simulated", "emulated", "native", "emulated")):
        result = make.result(f"job-{replicate}", "a", context=make.context(execution=execution))
        study.results.add(result, model_sha256="a", purpose="latency", replicate=replicate)
    assert study.describe().executions == ("native", "emulated", "simulated")


def test_coverage_counts_every_choice(study: Study, space: Space, measured: list[Architecture]) -> None:
    study.architectures.add(space, measured[:1], ["q"], "accuracy")
    study.architectures.add(space, [*measured[:1], Architecture("tiny", (2, 1, 1))], ["q", "r"], "canary")
    assert study.describe().coverage == (
        Coverage("tiny", "depth", (1, 2, 3), (1, 1, 2)),
        Coverage("tiny", "ratio", (1.0, 1.5), (3, 1)),
        Coverage("tiny", "kind", ("conv", "attention"), (4, 0)),
    )


def test_a_canary_alone_covers_no_space(study: Study, space: Space) -> None:
    study.architectures.add(space, [Architecture("tiny", (0, 0, 0))], ["q"], "canary")
    assert study.describe().coverage == ()


def test_repeat_noise_is_the_pooled_relative_deviation(study: Study, make: Make) -> None:
    for sha256, medians in (("a", [99.0, 101.0]), ("b", [9.9, 10.1]), ("c", [5.0])):
        study.exports.add(make.export(sha256, None))
        add_processes(study, make, sha256, medians)
    summary = study.describe()
    assert summary.repeated_models == 2
    assert summary.repeat_noise == pytest.approx(0.01414, rel=1e-2)
    assert summary.jobs == {"latency": 5}
    assert summary.outcomes == {"OK": 5}


def test_a_process_far_from_its_models_others_is_an_outlier(study: Study, make: Make) -> None:
    for index in range(6):
        study.exports.add(make.export(f"m{index}", None))
        add_processes(study, make, f"m{index}", [10.0, 10.1, 9.9, 10.05, 9.95 if index else 14.0])
    outliers = study.describe().outliers
    assert [(outlier.model_sha256, outlier.median_ms) for outlier in outliers] == [("m0", 14.0)]
    assert outliers[0].model_median_ms == 10.05


def test_failed_and_memory_passes_are_not_noise(study: Study, make: Make) -> None:
    study.exports.add(make.export("m", None))
    add_processes(study, make, "m", [10.0, 10.0])
    memory = make.result("memory", "m", median_ms=90.0, measure_pass="memory")
    crash = make.result("crash", "m", median_ms=None, outcome=Outcome.CRASH, samples_ms=())
    for result in (memory, crash):
        study.results.add(result, model_sha256="m", purpose="latency", replicate=9)
    summary = study.describe()
    assert summary.repeat_noise == 0.0
    assert summary.outcomes == {"OK": 3, "CRASH": 1}


def test_canary_drift_is_the_largest_departure_from_its_series(study: Study, make: Make) -> None:
    study.exports.add(make.export("canary", None))
    add_processes(study, make, "canary", [10.0, 10.0, 10.5], purpose="canary")
    summary = study.describe()
    assert summary.canaries == 3
    assert summary.canary_drift == pytest.approx(0.05)
    assert summary.repeat_noise is None
    assert [result.median_ms for result in study.results.canaries()] == [10.0, 10.0, 10.5]


def test_seed_noise_is_the_pooled_deviation_of_accuracies(study: Study, space: Space, make: Make) -> None:
    architectures = space.decode([[0, 0, 0], [1, 0, 0], [2, 0, 0]])
    study.architectures.add(space, architectures, ["p0", "p1", "p2"], "accuracy")
    for index, values in enumerate(([0.5, 0.6], [0.7, 0.8], [0.3])):
        for seed, accuracy in enumerate(values):
            study.accuracies.add(make.accuracy(architectures[index], f"p{index}", seed, accuracy=accuracy))
    failed = make.accuracy(architectures[2], "p2", 9, accuracy=None, failure="diverged")
    study.accuracies.add(failed)
    summary = study.describe()
    assert summary.seed_noise == pytest.approx(0.0707, rel=1e-2)
    assert (summary.trainings, summary.trained_networks, summary.failed_trainings) == (6, 3, 1)
    assert summary.repeated_trainings == 2
    assert summary.accuracy_range == (0.3, 0.8)


def test_disturbed_processes_are_counted_and_left_out_of_the_noise(study: Study, make: Make) -> None:
    study.exports.add(make.export("m", "p"))
    disturbed = Verdict("INVALID", ("other processes took 40% of core 3",), ("clock",))
    valid = Verdict("VALID_UNVERIFIED", (), ("clock",))
    for number, (median_ms, verdict) in enumerate(
        [(10.0, valid), (10.0, valid), (90.0, disturbed), (10.0, valid), (10.0, None)]
    ):
        result = make.result(f"job-{number}", "m", median_ms=median_ms, verdict=verdict)
        study.results.add(result, model_sha256="m", purpose="latency", replicate=number)
    summary = study.describe()
    assert summary.verdicts == {"VALID_UNVERIFIED": 3, "INVALID": 1, "not judged": 1}
    assert summary.unverified == ("clock",)
    assert summary.repeat_noise == pytest.approx(0.0)
    assert summary.jobs == {"latency": 5}


def test_of_a_model_that_was_always_disturbed_no_noise_is_known_and_a_canary_still_shows_drift(
    study: Study, make: Make
) -> None:
    for purpose, model in (("latency", "m"), ("canary", "c")):
        study.exports.add(make.export(model, None if purpose == "canary" else "p"))
        for number, median_ms in enumerate((10.0, 20.0)):
            verdict = Verdict("INVALID", ("heat",))
            result = make.result(f"{model}-{number}", model, median_ms=median_ms, verdict=verdict)
            study.results.add(result, model_sha256=model, purpose=purpose, replicate=number)
    summary = study.describe()
    assert (summary.repeat_noise, summary.repeated_models) == (None, 0)
    assert summary.canary_drift == pytest.approx(1 / 3)


def test_processes_of_other_settings_or_another_context_are_no_noise_no_outlier_and_no_drift(
    study: Study, make: Make
) -> None:
    """A model that was measured again in another way has labels of two ways, neither of them noisy."""
    ways = {
        "a": {},
        "b": {"settings": MeasureSettings(min_runs=3)},
        "c": {"context": make.context(kernel="6.6")},
    }
    for purpose, model in (("latency", "m"), ("canary", "c")):
        study.exports.add(make.export(model, None))
        for (way, changes), slower in zip(ways.items(), (1.0, 1.5, 2.0), strict=True):
            for replicate, median_ms in enumerate((10.0, 10.01, 10.0, 10.01)):
                job_id = f"{model}-{way}-{replicate}"
                result = make.result(job_id, model, median_ms=slower * median_ms, **changes)
                study.results.add(result, model_sha256=model, purpose=purpose, replicate=replicate)
    summary = study.describe()
    assert summary.repeat_noise == pytest.approx(0.0, abs=0.001)
    assert summary.outliers == ()
    assert summary.canary_drift == pytest.approx(0.0, abs=0.001)


def test_discarded_canaries_are_no_drift(study: Study, make: Make) -> None:
    study.exports.add(make.export("canary", None))
    add_processes(study, make, "canary", [10.0, 10.0, 10.5, 30.0], purpose="canary")
    study.results.discard([study.results.canaries()[-1].job_id], "the canary has drifted by +200.0 %")
    assert study.describe().canary_drift == pytest.approx(0.05)


def test_noise_has_one_value_of_each_process_however_often_it_was_measured(study: Study, make: Make) -> None:
    study.exports.add(make.export("m", "p"))
    medians = {(0, 0): 40.0, (0, 1): 30.0, (0, 2): 20.0, (1, 0): 90.0, (1, 1): 20.0}
    for (replicate, attempt), median_ms in medians.items():
        verdict = Verdict("VALID") if median_ms == 20.0 else Verdict("INVALID", ("heat",))
        result = make.result(f"job-{replicate}-{attempt}", "m", median_ms=median_ms, verdict=verdict)
        study.results.add(result, model_sha256="m", purpose="latency", replicate=replicate)
    summary = study.describe()
    assert summary.repeat_noise == pytest.approx(0.0)
    assert summary.verdicts == {"INVALID": 3, "VALID": 2}
