"""Times of layers that are known by a rule, so that the sum over any network is."""

import numpy as np
import pytest

from hytnas_agent.pass_records import OperatorProfile, OperatorTime
from hytnas_datasets.plan import LayerPlan, Task, build_plan, count_layer
from hytnas_datasets.plan.layers import Layer, size
from hytnas_datasets.spaces import get_space
from hytnas_predictors.leaderboard.lookup_table import ProfiledLayers

SOME = np.arange(12) < 6


def proportional(layer: Layer) -> float:
    return 1e-3 * (count_layer(layer).macs or size(layer.shape))


def crooked(layer: Layer) -> float:
    return proportional(layer) ** 0.8


@pytest.fixture(scope="module")
def plans() -> list[LayerPlan]:
    networks = get_space("hyt").sample(12, np.random.default_rng(0))
    return [build_plan(each, Task()) for each in networks]


def totals(profiles: list[OperatorProfile]) -> np.ndarray:
    return np.array([1e3 * profile.kernel_ms for profile in profiles])


def test_a_shape_that_no_profile_has_takes_the_time_per_work_of_another(plans, make_profile) -> None:
    profiles = [make_profile(plan, proportional) for plan in plans]
    np.testing.assert_allclose(ProfiledLayers(plans, profiles).estimate_us(SOME), totals(profiles))


def test_shapes_that_are_known_are_looked_up(plans, make_profile) -> None:
    profiles = [make_profile(plan, crooked) for plan in plans]
    found, expected = ProfiledLayers(plans, profiles).estimate_us(SOME), totals(profiles)
    np.testing.assert_allclose(found[SOME], expected[SOME])
    np.testing.assert_allclose(found[~SOME], expected[~SOME], rtol=0.1)
    assert not np.isclose(found[~SOME], expected[~SOME], rtol=1e-6).all()


def test_profiles_outside_the_fitted_rows_do_not_count(plans, make_profile) -> None:
    honest = [make_profile(plan, crooked) for plan in plans]
    other = [*honest[:6], *[make_profile(plan, lambda layer: 1e9) for plan in plans[6:11]], None]
    ours, theirs = ProfiledLayers(plans, honest), ProfiledLayers(plans, other)
    np.testing.assert_array_equal(ours.estimate_us(SOME), theirs.estimate_us(SOME))
    assert theirs.profiled.tolist() == [True] * 11 + [False]
    assert (theirs.estimate_us(SOME | True) > ours.estimate_us(SOME | True)).all()


def test_a_fused_operator_is_its_first_layers_and_an_inserted_one_its_neighbours(plans) -> None:
    names = ("/stem/embed/conv/Conv_output_0_nchwc", "ReorderOutput_token_1", "/head/classifier/Gemm")
    times = [OperatorTime(name, name.split("_")[0], 10.0**i) for i, name in enumerate(names)]
    layers = ProfiledLayers([plans[0], plans[0]], [OperatorProfile(9, 1.0, tuple(times)), None])
    np.testing.assert_allclose(layers.estimate_us(np.array([True, False])), [111.0, 111.0])
