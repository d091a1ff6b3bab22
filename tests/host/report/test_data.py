from types import SimpleNamespace

import pytest

from hytnas_host.report.data import MAX_BEHIND, behind


@pytest.mark.parametrize(
    ("evaluated", "drawn"), [(10, 8), (MAX_BEHIND + 2, MAX_BEHIND), (20_000, MAX_BEHIND)]
)
def test_some_of_those_behind_the_front_are_drawn_evenly(evaluated, drawn):
    members = [SimpleNamespace(architecture=str(number)) for number in range(evaluated)]
    shown = behind(SimpleNamespace(front=members[:2], evaluated=members))
    numbers = [int(member.architecture) for member in shown]
    assert len(numbers) == drawn
    assert numbers == sorted(set(numbers))
    assert min(numbers) == 2
    assert max(numbers) > evaluated - evaluated // MAX_BEHIND - 3
