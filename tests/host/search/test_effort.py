import pytest

from hytnas_host.search import SearchError, default_effort
from hytnas_host.search.effort import FEW, MANY
from hytnas_host.search.toy import grid_space


@pytest.mark.parametrize(
    ("choices", "cost_s", "strategy", "expected"),
    [
        ((50, 400), 0.0005, None, ("exhaustive", MANY, 100, 100)),
        ((51, 400), 0.0005, None, ("nsga2", MANY, 100, 100)),
        ((51, 400), 0.0005, "random", ("random", MANY, 100, 100)),
        ((51, 400), 0.0005, "hyt", ("hyt", FEW, 10, 30)),
        ((2, 2), 60.0, None, ("hyt-plus", FEW, 10, 30)),
        ((51, 400), 60.0, "nsga2", ("nsga2", FEW, 10, 30)),
    ],
)
def test_cheap_evaluations_are_many_and_dear_ones_are_few(choices, cost_s, strategy, expected):
    effort = default_effort(grid_space("toy", choices), cost_s, strategy)
    assert (effort.strategy, effort.evaluations, effort.batch, effort.initial) == expected


def test_an_unknown_strategy_is_refused():
    with pytest.raises(SearchError, match="no search strategy 'grid'"):
        default_effort(grid_space("toy", (2, 2)), 0.0, "grid")
