import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import rankdata

from hytnas_host.search.normalise import RankScale


@given(arrays(np.float64, st.tuples(st.integers(2, 20), st.integers(1, 3)), elements=st.floats(-1e6, 1e6)))
def test_known_values_get_their_scaled_mean_ranks(values):
    ranks = RankScale.fit(values).transform(values)
    expected = (rankdata(values, axis=0) - 1) / (len(values) - 1)
    assert np.allclose(ranks, expected)


@given(
    arrays(np.float64, st.integers(2, 12), elements=st.integers(-50, 50).map(float)),
    arrays(np.float64, 8, elements=st.floats(-100, 100)),
)
def test_order_of_new_values_is_kept(known, new):
    ranks = RankScale.fit(known[:, None]).column(0, np.sort(new))
    assert (np.diff(ranks) >= -1e-12).all()


def test_better_than_any_known_value_still_counts_as_better():
    scale = RankScale.fit(np.array([[10.0], [20.0], [40.0]]))
    assert scale.column(0, np.array([10.0, 15.0, 20.0, 40.0])).tolist() == [0.0, 0.25, 0.5, 1.0]
    assert scale.column(0, np.array([4.0, 46.0])).tolist() == [-0.2, 1.2]


def test_one_known_value():
    scale = RankScale.fit(np.array([[5.0]]))
    assert scale.column(0, np.array([5.0, 4.0, 6.0])).tolist() == [0.0, -0.2, 0.2]
