import numpy as np
import pytest

from hytnas_host.search.errors import SearchError
from hytnas_host.search.objectives import check_objectives, get_objective, to_minimised


def test_maximised_objectives_are_negated_and_back(objectives):
    values = np.array([[10.0, 0.8, 100.0], [20.0, 0.9, 200.0]])
    minimised = to_minimised(values, objectives)
    assert minimised.tolist() == [[10.0, -0.8, 100.0], [20.0, -0.9, 200.0]]
    assert np.array_equal(to_minimised(minimised, objectives), values)
    assert values[0, 1] == 0.8


def test_unknown_missing_and_repeated_objectives_are_refused():
    with pytest.raises(SearchError, match=r"no objective 'speed'.*latency_ms"):
        get_objective("speed")
    with pytest.raises(SearchError, match="no objective"):
        check_objectives(())
    with pytest.raises(SearchError, match="twice: params"):
        check_objectives((get_objective("params"), get_objective("params")))


def test_source_is_kept():
    assert get_objective("latency_ms", source="xgboost").source == "xgboost"
    assert get_objective("params").source == "layer plan"
