"""What the options of a collection mean together."""

from dataclasses import replace

import pytest

from hytnas_agent.label import StoppingRule
from hytnas_host.collect.errors import CollectError
from hytnas_host.collect.options import MeasureOptions
from hytnas_host.devices.base import Method
from hytnas_host.devices.icount.device import METHOD as COUNTED


def test_a_device_is_measured_until_the_interval_is_narrow_by_default():
    assert MeasureOptions.of(Method()).rule == StoppingRule(0.015, 5, 20)
    assert MeasureOptions.of(Method(), precision_target=0.01, processes=3).rule == StoppingRule(0.01, 3, 20)


@pytest.mark.parametrize(
    ("chosen", "processes"),
    [
        ({"processes": 2}, 2),
        ({"processes": 7, "max_processes": 7}, 7),
        ({"processes": 7, "max_processes": 4}, 7),
        ({"max_processes": 4}, 4),
    ],
)
def test_no_room_for_more_processes_makes_a_fixed_number(chosen, processes):
    assert MeasureOptions.of(Method(), **chosen).rule == StoppingRule.fixed(processes)


def test_counted_instructions_take_one_process():
    assert MeasureOptions.of(COUNTED).passes.count == 1


def test_a_rule_that_makes_no_sense_is_an_error_that_names_the_options():
    with pytest.raises(CollectError, match=r"at least 3 processes.*--max-processes"):
        MeasureOptions(processes=2, max_processes=9)
    with pytest.raises(CollectError, match="half width"):
        replace(MeasureOptions(max_processes=9), precision_target=0.0)


def test_what_is_said_of_drift_is_one_rule():
    drift = MeasureOptions(drift_tolerance=0.1, drift_pauses_s=(1.0,), stop_on_drift=True).drift
    assert (drift.tolerance, drift.pauses_s, drift.stop) == (0.1, (1.0,), True)
