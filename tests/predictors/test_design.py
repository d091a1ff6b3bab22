"""The networks to measure: spread over the work columns, the same for a seed, and none twice."""

import numpy as np
import pytest

from hytnas_datasets.errors import SpaceError
from hytnas_datasets.plan import Task, network_hash
from hytnas_datasets.spaces import Architecture, get_space
from hytnas_predictors.design import choose_networks
from hytnas_predictors.errors import PredictorError
from hytnas_predictors.features import make_features

HYT = get_space("hyt")
SMALL = """
name = "design-small"
family = "none"

[[variables]]
name = "unroll"
choices = [1, 2, 4]

[[variables]]
name = "layout"
choices = ["nchw", "nhwc"]
"""


def work(architectures: list[Architecture]) -> np.ndarray:
    return np.log1p(make_features(HYT, architectures, Task(), ("work",)).x)


@pytest.fixture(scope="module")
def chosen() -> list[Architecture]:
    return choose_networks(HYT, Task(), 12, np.random.default_rng(0))


def test_a_seed_gives_the_same_distinct_networks(chosen):
    assert choose_networks(HYT, Task(), 12, np.random.default_rng(0)) == chosen
    assert choose_networks(HYT, Task(), 12, np.random.default_rng(1)) != chosen
    assert len({network_hash(each, Task()) for each in chosen}) == 12


def test_it_leaves_less_unsaid_than_a_random_sample(chosen):
    def left(rows: np.ndarray) -> float:
        """Mean squared share of what the span of some rows leaves of new networks' work."""
        new = work(HYT.sample(200, np.random.default_rng(7)))
        center = new.mean(axis=0)
        basis = np.linalg.qr((rows - center).T)[0]
        new = new - center
        return float(((new - new @ basis @ basis.T) ** 2).sum() / (new**2).sum())

    samples = [left(work(HYT.sample(12, np.random.default_rng(seed)))) for seed in range(10, 15)]
    assert left(work(chosen)) < np.mean(samples)


def test_it_goes_on_from_what_is_measured(chosen):
    more = choose_networks(HYT, Task(), 5, np.random.default_rng(0), measured=chosen)
    known = {network_hash(each, Task()) for each in chosen}
    assert not known & {network_hash(each, Task()) for each in more}


def test_the_first_of_a_longer_choice_are_those_of_a_shorter(chosen):
    assert choose_networks(HYT, Task(), 4, np.random.default_rng(0)) == chosen[:4]


def test_a_space_without_networks_is_covered(tmp_path):
    path = tmp_path / "space.toml"
    path.write_text(SMALL)
    space = get_space(path)
    everything = choose_networks(space, Task(), 6, np.random.default_rng(0))
    assert set(everything) == set(space.enumerate())
    with pytest.raises(SpaceError, match=r"only 6 more distinct networks.*7 were asked"):
        choose_networks(space, Task(), 7, np.random.default_rng(0))


def test_a_negative_number_is_refused():
    with pytest.raises(PredictorError, match="-1 networks"):
        choose_networks(HYT, Task(), -1, np.random.default_rng(0))
