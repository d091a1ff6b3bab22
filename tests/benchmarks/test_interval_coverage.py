"""The simulation of the stopping rule is the rule."""

import numpy as np
import pytest
from interval_coverage import KINDS, simulate

from hytnas_agent.stopping import StoppingRule

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


@pytest.mark.parametrize("kind", ["normal", "skewed", "bimodal", "correlated"])
def test_noise_has_mean_0(kind: str) -> None:
    values = KINDS[kind](np.random.default_rng(2), 40_000, 5)
    assert abs(values.mean()) < 0.03


def test_within_the_aim_at_every_level_of_normal_noise() -> None:
    rule = StoppingRule()
    for level in (0.005, 0.01, 0.02, 0.04):
        logs = level * KINDS["normal"](np.random.default_rng(3), 40_000, rule.max_processes)
        assert 0.93 <= simulate(rule, rule.look_confidence, logs)["coverage"] <= 0.97
