from types import SimpleNamespace

import numpy as np
import pytest

from hytnas_agent.records import LatencyLabel, Outcome
from hytnas_host.search import SearchError, run_search, verify
from hytnas_host.search.result import VerifiedRow
from hytnas_host.search.verify import choose, errors_of, spread_subset


def true_latency_ms(architecture):
    return 5.0 + 2.0 * sum(architecture.indices[:-1])


def label(latency_ms, outcome=Outcome.OK):
    low, high = (None, None) if latency_ms is None else (0.99 * latency_ms, 1.01 * latency_ms)
    rest = dict.fromkeys(
        ("mad_ms", "mean_ms", "p90_ms", "p99_ms", "cold_ms", "load_ms", "throughput_per_s"), latency_ms
    )
    return LatencyLabel(
        model_sha256="0" * 64,
        outcome=outcome,
        processes=5,
        samples=50,
        median_ms=latency_ms,
        process_medians_ms=(),
        jobs=(),
        ci_low_ms=low,
        ci_high_ms=high,
        peak_rss_bytes=None,
        model_bytes=None,
        steady_processes=5,
        **rest,
    )


class TenPercentTooFast:
    """Predicts 0.9 of the truth; says that the first choice of the first variable is extrapolation."""

    def predict(self, architectures, /):
        mean = np.array([0.9 * true_latency_ms(a) for a in architectures])
        return SimpleNamespace(mean=mean, extrapolated=np.array([a.indices[0] == 0 for a in architectures]))


class Device:
    """Measures the truth, once, in the order given; ``failing`` says which measurement ends how."""

    def __init__(self, failing=None):
        self.failing = failing or {}
        self.batches = []

    def __call__(self, architectures):
        self.batches.append(list(architectures))
        return [
            label(None, self.failing[place]) if place in self.failing else label(true_latency_ms(a))
            for place, a in enumerate(architectures)
        ]


@pytest.fixture
def result(wide_space, evaluator, task, exact_metrics):
    return run_search(
        wide_space,
        evaluator,
        task=task,
        strategy="random",
        evaluations=60,
        exact_metrics=exact_metrics,
        seed=1,
        initial=20,
    )


@pytest.fixture
def check(result, wide_space, exact_metrics):
    def run(device, **changes):
        arguments = {
            "measure": device,
            "predictor": TenPercentTooFast(),
            "space": wide_space,
            "exact_metrics": exact_metrics,
        }
        arguments |= {"rng": np.random.default_rng(0), "device_name": "bench", "execution": "emulated"}
        return verify(result, **(arguments | changes))

    return run


def test_front_and_as_many_controls_are_measured_in_one_mixed_batch(check, result, wide_space):
    device = Device()
    verification = check(device, max_front=6)
    (batch,) = device.batches
    role_of = {row.architecture: row.role for row in verification.rows}
    roles = [role_of[wide_space.format(architecture)] for architecture in batch]
    assert sorted(roles) == ["control"] * 6 + ["front"] * 6
    assert roles != sorted(roles)
    assert roles != sorted(roles, reverse=True)
    assert [row.role for row in verification.rows] == ["front"] * 6 + ["control"] * 6
    assert (verification.device, verification.execution) == ("bench", "emulated")
    names = {row.architecture for row in verification.rows if row.role == "front"}
    assert names <= {member.architecture for member in result.front}
    assert {pick.architecture for pick in result.picks} <= names


def test_what_there_was_no_time_for_is_counted_and_no_row(check):
    whole = check(Device(), max_front=6)
    part = check(lambda architectures: [*Device()(architectures[:5]), *[None] * 7], max_front=6)
    assert (whole.left_out, part.left_out, len(part.rows)) == (0, 7, 5)
    assert set(part.rows) <= set(whole.rows)


def test_labels_go_to_the_architectures_they_were_measured_for(check, wide_space):
    for row in check(Device()).rows:
        architecture = wide_space.parse(row.architecture)
        assert row.measured_ms == pytest.approx(true_latency_ms(architecture))
        assert row.predicted_ms == pytest.approx(0.9 * true_latency_ms(architecture))
        assert row.ci_low_ms < row.measured_ms < row.ci_high_ms
        assert row.extrapolated == (architecture.indices[0] == 0)
        assert row.outcome == "OK"


def test_errors_of_a_predictor_that_is_ten_percent_too_fast(check):
    verification = check(Device())
    assert verification.front_mape == pytest.approx(0.1)
    assert verification.control_mape == pytest.approx(0.1)
    assert verification.front_bias_percent == pytest.approx(-10)
    assert verification.control_bias_percent == pytest.approx(-10)
    assert verification.kendall_tau == pytest.approx(1)
    assert verification.kendall_tau_low <= verification.kendall_tau <= verification.kendall_tau_high


def test_controls_are_strangers_to_search_and_predictor(result, wide_space, exact_metrics):
    known = set(exact_metrics.identities(wide_space.sample(5000, np.random.default_rng(9))))
    chosen = choose(
        result,
        wide_space,
        rng=np.random.default_rng(0),
        n_controls=40,
        known=known,
        exact_metrics=exact_metrics,
    )
    pairs = zip(chosen.architectures, chosen.roles, strict=True)
    controls = set(exact_metrics.identities([a for a, role in pairs if role == "control"]))
    assert len(controls) == 40
    assert not controls & known
    assert not controls & {row.plan_hash for row in result.evaluated}


def test_the_generator_decides_what_is_measured(check):
    devices = [Device(), Device(), Device()]
    for device, seed in zip(devices, (1, 1, 2), strict=True):
        check(device, rng=np.random.default_rng(seed))
    assert devices[0].batches == devices[1].batches
    assert devices[0].batches != devices[2].batches


def test_failures_stay_as_rows_and_out_of_the_errors(check):
    verification = check(Device({0: Outcome.TIMEOUT, 3: Outcome.CRASH}), max_front=5)
    failed = [row for row in verification.rows if row.measured_ms is None]
    assert sorted(row.outcome for row in failed) == ["CRASH", "TIMEOUT"]
    assert all(row.ci_low_ms is None and row.ci_high_ms is None for row in failed)
    assert len(verification.rows) == 10
    assert verification.front_mape == pytest.approx(0.1)


def test_an_unstable_label_counts_and_is_named():
    rows = [
        VerifiedRow("a", "front", 9.0, 10.0, 9.0, 11.0, "UNSTABLE"),
        VerifiedRow("b", "front", 12.0, 10.0, 9.0, 11.0, "OK"),
        VerifiedRow("c", "control", 5.0, None, None, None, "OOM"),
    ]
    assert errors_of(rows, "front") == (pytest.approx(0.15), pytest.approx(5.0))
    assert errors_of(rows, "control") == (None, None)


def test_unstable_measurements_keep_their_latency(check):
    def unstable(architectures):
        return [label(true_latency_ms(a), Outcome.UNSTABLE) for a in architectures]

    verification = check(unstable)
    assert {row.outcome for row in verification.rows} == {"UNSTABLE"}
    assert all(row.measured_ms is not None for row in verification.rows)


def test_all_failures_leave_no_figures(check):
    verification = check(lambda a: [label(None, Outcome.TIMEOUT) for _ in a])
    assert verification.kendall_tau is verification.kendall_tau_low is None
    assert verification.front_mape is verification.control_bias_percent is None


def test_without_controls(check):
    verification = check(Device(), n_controls=0, max_front=4)
    assert {row.role for row in verification.rows} == {"front"}
    assert verification.control_mape is None


def test_what_cannot_be_verified_is_refused(check, wide_space, evaluator, task, exact_metrics):
    with pytest.raises(SearchError, match="20 labels were expected, 1 came"):
        check(lambda _a: [label(1.0)])
    with pytest.raises(SearchError, match="at least 1 member"):
        check(Device(), max_front=0)
    empty = run_search(
        wide_space, evaluator, task=task, strategy="random", evaluations=10, exact_metrics=exact_metrics,
        constraints=["accuracy >= 99 %"],
    )  # fmt: skip
    with pytest.raises(SearchError, match="front is empty"):
        choose(empty, wide_space, rng=np.random.default_rng(0), exact_metrics=exact_metrics)


def test_spread_subset_keeps_what_it_must_and_covers_the_rest():
    points = np.column_stack([np.arange(101.0), 100 - np.arange(101.0)])
    assert spread_subset(points, 3) == [0, 50, 100]
    assert spread_subset(points, 3, keep=[100]) == [0, 50, 100]
    assert 7 in spread_subset(points, 4, keep=[7])
    assert spread_subset(points, 2, keep=[5, 9, 7]) == [5, 9]
    assert spread_subset(points[:3], 5) == [0, 1, 2]
    assert spread_subset(np.ones((4, 2)), 2) == [0, 1]
