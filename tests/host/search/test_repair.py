import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hytnas_datasets.spaces import get_space
from hytnas_host.search.repair import as_architectures, as_codes, repair, settle


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(codes=arrays(np.int64, (5, 8), elements=st.integers(-3, 9)), seed=st.integers(0, 99))
def test_any_numbers_become_architectures(conditional_space, codes, seed):
    before = codes.copy()
    repaired = repair(codes, conditional_space, np.random.default_rng(seed))
    assert conditional_space.is_valid(repaired).all()
    assert np.array_equal(codes, before)


def test_bundled_conditional_space_is_repaired():
    space, rng = get_space("hyt-mixed"), np.random.default_rng(0)
    codes = rng.integers(-1, 5, size=(200, len(space.variables)))
    assert space.is_valid(repair(codes, space, rng)).all()


def test_architectures_are_left_as_they_are(conditional_space):
    rng = np.random.default_rng(1)
    codes = conditional_space.encode(conditional_space.sample(50, rng))
    assert np.array_equal(settle(codes, conditional_space, rng), codes)
    assert np.array_equal(repair(codes, conditional_space, rng), codes)


def test_a_broken_constraint_keeps_the_codes_that_it_does_not_touch(conditional_space):
    target = np.array([[0, -1, -1, 2, 3, 0, 3, 1]])
    repaired = repair(target, conditional_space, np.random.default_rng(2))[0]
    assert repaired[[0, 3, 6, 7]].tolist() == [0, 2, 3, 1]
    assert repaired[4] <= repaired[5]


def test_repair_is_reproducible(conditional_space):
    codes = np.random.default_rng(3).integers(-1, 4, size=(20, 8))
    first, second = (repair(codes, conditional_space, np.random.default_rng(4)) for _ in range(2))
    assert np.array_equal(first, second)


@pytest.mark.parametrize("n", [0, 3])
def test_codes_and_back(small_space, n):
    architectures = small_space.sample(n, np.random.default_rng(0))
    codes = as_codes(architectures, small_space)
    assert codes.shape == (n, 4)
    assert as_architectures(codes, small_space) == architectures
