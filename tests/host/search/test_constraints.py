import numpy as np
import pytest

from hytnas_host.search import ConstraintError, parse_constraint
from hytnas_host.search.constraints import satisfied, violation


@pytest.mark.parametrize(
    ("text", "name", "relation", "bound"),
    [
        ("params <= 300k", "params", "<=", 300_000),
        ("params<=2.7M", "params", "<=", 2_700_000),
        ("  parameters  >=  15 k ", "params", ">=", 15_000),
        ("memory <= 64 MiB", "peak_memory_bytes", "<=", 64 * 2**20),
        ("energy <= 12 mJ", "energy_mj", "<=", 12.0),
        ("macs <= 1.5e2M", "macs", "<=", 150e6),
        ("macs <= 1G", "macs", "<=", 1e9),
        ("latency <= 25 ms", "latency_ms", "<=", 25),
        ("latency_ms <= 0.5s", "latency_ms", "<=", 500),
        ("latency <= 900us", "latency_ms", "<=", 0.9),
        ("accuracy >= 80 %", "accuracy", ">=", 0.8),
        ("accuracy >= .75", "accuracy", ">=", 0.75),
        ("params <= 0", "params", "<=", 0),
    ],
)
def test_reads_units_and_aliases(text, name, relation, bound):
    constraint = parse_constraint(text)
    assert (constraint.name, constraint.relation) == (name, relation)
    assert constraint.bound == pytest.approx(bound, rel=1e-12)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("params < 300k", "'<'"),
        ("params == 300k", "'=='"),
        ("speed <= 3", "speed"),
        ("params <= 300q", "'q'"),
        ("params <= 300ms", "'ms'"),
        ("latency <= 25", "'none'"),
        ("accuracy >= 80", "beyond 1"),
        ("params <= -3", "at least 0"),
        ("params <= 1e400", "finite"),
        ("params <= nan", "Cannot read"),
        ("params", "Cannot read"),
        ("", "Cannot read"),
        ("params <= 3 and macs <= 4", "Cannot read"),
        ("__import__('os').system('x') <= 3", "Cannot read"),
    ],
)
def test_says_in_one_line_what_is_wrong(text, says):
    with pytest.raises(ConstraintError) as caught:
        parse_constraint(text)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.next_step


def test_text_form_reads_back_where_the_unit_is_the_natural_one():
    constraint = parse_constraint("params <= 300k")
    assert str(constraint) == "params <= 300000"
    assert parse_constraint(str(constraint)) == constraint


def test_violation_is_relative_and_its_sign_agrees_with_satisfied():
    at_most, at_least = parse_constraint("params <= 200"), parse_constraint("accuracy >= 0.5")
    values = {"params": np.array([100.0, 200.0, 300.0]), "accuracy": np.array([0.6, 0.5, 0.6])}
    assert violation(at_most, values["params"]).tolist() == [-0.5, 0.0, 0.5]
    assert violation(at_least, values["accuracy"])[1] == 0
    assert satisfied((at_most, at_least), values, 3).tolist() == [True, True, False]
    assert satisfied((), {}, 2).tolist() == [True, True]
