"""The simulation of the stopping rule is the rule."""

from typing import Literal

import numpy as np
import pytest
from interval_coverage import KINDS, simulate

from hytnas_agent.label import StoppingRule, aggregate
from hytnas_agent.protocol import DeviceIdentity
from hytnas_agent.records import MeasureSettings, Outcome, ProcessResult, Verdict

RULE = StoppingRule(0.015, 5, 12)


@pytest.mark.parametrize("kind", KINDS)
def test_all_runs_at_once_come_to_what_the_rule_says_one_by_one(kind: str) -> None:
    logs = 0.015 * KINDS[kind](np.random.default_rng(1), 60, RULE.max_processes)
    counts, covered, stable = [], [], []
    for row in np.exp(logs).tolist():
        for n in range(1, len(row) + 1):
            decision = RULE.decide(row[:n])
            if decision.state != "CONTINUE":
                break
        counts.append(n)
        covered.append(decision.low_ms <= 1.0 <= decision.high_ms)
        stable.append(decision.state == "STABLE")
    found = simulate(RULE, RULE.look_confidence, logs)
    assert found["processes"] == pytest.approx(np.mean(counts))
    assert found["coverage"] == pytest.approx(np.mean(covered))
    assert found["stable"] == pytest.approx(np.mean(stable))


def process(latency_ms: float, status: Literal["VALID", "INVALID"]) -> ProcessResult:
    settings, identity = MeasureSettings(), DeviceIdentity("id", "host")
    first = ("job", "0" * 64, "timed", Outcome.OK, settings, 1.0, 1.0, "0", identity)
    return ProcessResult(*first, samples_ms=(latency_ms,), verdict=Verdict(status))


def test_with_disturbed_processes_it_is_what_the_label_says() -> None:
    rng = np.random.default_rng(4)
    logs = 0.004 * KINDS["normal"](rng, 60, RULE.max_processes)
    undisturbed = rng.binomial(RULE.max_processes, 0.4, len(logs))
    labels = []
    for row, left in zip(np.exp(logs).tolist(), undisturbed, strict=True):
        counted = row[:left]
        for n in range(RULE.min_processes, left):  # more processes only while these say CONTINUE
            if RULE.decide(row[:n]).state != "CONTINUE":
                counted = row[:n]
                break
        good = [process(value, "VALID") for value in counted]
        lost = [process(9.0, "INVALID")] * (RULE.max_processes - left)
        labels.append(aggregate([*good, *lost], RULE))
    kept = [label for label in labels if not label.too_few_undisturbed]
    assert 0 < sum(label.processes < RULE.min_processes for label in kept) < len(kept) < len(labels)
    found = simulate(RULE, RULE.look_confidence, logs, undisturbed)
    assert found["left"] == pytest.approx(len(kept) / len(labels))
    assert found["processes"] == pytest.approx(np.mean([label.processes for label in kept]))
    assert found["stable"] == pytest.approx(np.mean([label.outcome is Outcome.OK for label in kept]))
    covered = [label.ci_low_ms <= 1.0 <= label.ci_high_ms for label in kept]
    assert found["coverage"] == pytest.approx(np.mean(covered))


@pytest.mark.parametrize("kind", ["normal", "skewed", "bimodal", "correlated"])
def test_noise_has_mean_0(kind: str) -> None:
    values = KINDS[kind](np.random.default_rng(2), 40_000, 5)
    assert abs(values.mean()) < 0.03


def test_within_the_aim_at_every_level_of_normal_noise() -> None:
    rule = StoppingRule()
    for level in (0.005, 0.01, 0.02, 0.04):
        logs = level * KINDS["normal"](np.random.default_rng(3), 40_000, rule.max_processes)
        assert 0.93 <= simulate(rule, rule.look_confidence, logs)["coverage"] <= 0.97
