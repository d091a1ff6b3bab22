import numpy as np
import pytest

from hytnas_datasets.targets import TARGETS
from hytnas_host.search.errors import SearchError
from hytnas_host.search.objectives import (
    check_objectives,
    get_objective,
    parse_objectives,
    to_minimised,
)


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


def test_every_target_can_be_an_objective_in_its_own_direction():
    for target in TARGETS.values():
        objective = get_objective(target.name)
        assert (objective.unit, objective.direction) == (target.unit, target.direction)


def test_objectives_are_read_with_or_without_a_direction():
    read = parse_objectives("max:accuracy, latency ,min:energy_mj,max: macs,throughput_per_s")
    assert [(o.name, o.direction) for o in read] == [
        ("accuracy", "max"),
        ("latency_ms", "min"),
        ("energy_mj", "min"),
        ("macs", "max"),
        ("throughput_per_s", "max"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("accuracy,speed", r"no objective 'speed'.*Choose from latency_ms, accuracy, .*macs"),
        ("up:accuracy", r"Cannot read the objective 'up:accuracy'.*max:accuracy,min:latency_ms"),
        ("accuracy,", "Cannot read the objective ''"),
        ("latency,latency_ms", "twice: latency_ms"),
    ],
)
def test_objectives_that_cannot_be_read_are_refused(text, message):
    with pytest.raises(SearchError, match=message):
        parse_objectives(text)


def test_source_is_kept():
    assert get_objective("latency_ms", source="xgboost").source == "xgboost"
    assert get_objective("params").source == "layer plan"
