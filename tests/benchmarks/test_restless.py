"""The replay of recorded spells: its core, its courses, and what the rules come to on simple ones."""

from pathlib import Path

import numpy as np
import pytest
import restless
from restless import BIN_S, MODELS_MS, PROBE_NS, PROBES_A_BIN, Course, ReplayedCore, replay


def course(*spells: tuple[float, float]) -> Course:
    """Of (seconds, share of slow probes)."""
    parts = [np.full(round(seconds / BIN_S), share) for seconds, share in spells]
    return Course("made up", np.concatenate(parts), 1.3)


def core_on(made: Course) -> ReplayedCore:
    return ReplayedCore(made, 0, np.random.default_rng(0))


def test_work_takes_longer_by_the_share_of_the_moment() -> None:
    core = core_on(course((1.0, 0.0), (1.0, 1.0), (1.0, 0.5)))
    core.work(1e9)
    assert core.now == pytest.approx(1e9, rel=1e-3)
    assert core.probe() == pytest.approx(1.3 * PROBE_NS)
    core.work(2e9)  # 0.77 of it in the slow second, 0.87 in the next, the rest in the first again
    assert core.now == pytest.approx(3e9 + 1e9 * (2 - 1 / 1.3 - 1 / 1.15), rel=2e-3)


def test_a_fast_core_costs_no_more_than_before_and_its_labels_are_the_truth() -> None:
    fast = course((10.0, 0.0))
    before, now = (replay(fast, rule, 0, 0) for rule in ("before", "now"))
    assert before.valid == before.processes == now.valid == now.processes == 5 * len(MODELS_MS)
    assert now.seconds <= 1.04 * before.seconds
    for model, label in now.labels:
        assert label.median_ms == pytest.approx(MODELS_MS[model], rel=1e-3)


def test_spells_longer_than_a_process_leave_more_of_them_valid() -> None:
    spells = course(*[(3.0, 0.0), (5.0, 1.0)] * 4)
    before, now = (replay(spells, rule, 0, 0) for rule in ("before", "now"))
    assert now.valid / now.processes > 1.5 * before.valid / before.processes
    assert now.early > 0
    assert before.early == 0
    assert sum(label.too_few_undisturbed for _, label in now.labels) == 0


def test_a_core_that_is_never_fast_comes_to_an_end_with_a_label_for_each() -> None:
    found = replay(course((10.0, 1.0)), "now", 0, 0)
    assert found.valid == 0
    assert found.processes == 10 * len(MODELS_MS)
    assert found.early == 5 * len(MODELS_MS)
    assert all(label.too_few_undisturbed and label.median_ms for _, label in found.labels)


def test_rules_are_held_against_the_same_time() -> None:
    found = replay(course((1.0, 0.0)), "now", 0, 0, seconds=100.0)
    assert found.seconds == pytest.approx(100.0, abs=3.0)
    assert found.processes > 5 * len(MODELS_MS)
    assert len(found.labels) % len(MODELS_MS) == 0


def test_a_stretch_is_the_one_whose_usable_share_is_nearest() -> None:
    made = course((10.0, 0.0), (10.0, 1.0), (5.0, 0.0))
    assert made.usable == pytest.approx(0.6)
    chosen = made.stretch(0.3, 10.0)
    assert len(chosen.slow) == 1000
    assert chosen.usable == pytest.approx(0.3)


def test_what_is_recorded_is_read_again(tmp_path: Path) -> None:
    bursts = np.full((100, PROBES_A_BIN), 40.0)
    bursts[50:, : PROBES_A_BIN // 2] = 52.0
    restless.keep(tmp_path / "course.npz", bursts)
    found = restless.recorded_course(tmp_path / "course.npz")
    assert found.slowdown == pytest.approx(1.3)
    assert found.slow.tolist() == [0.0] * 50 + [0.5] * 50


def test_the_published_courses_are_there() -> None:
    assert restless.recorded_course(restless.RECORDED).slow.size == round(1200 / BIN_S)
    processes = restless.course_of_processes(restless.PUBLISHED)
    assert 0.2 < processes.usable < 0.4
