"""What is remembered of how fast the cores have been."""

from pathlib import Path

import msgspec
import pytest

from hytnas_agent.core_speed import TOLERANCE, CoreSpeed
from hytnas_agent.device.gate import Gate
from hytnas_agent.device.speed_memory import GIVEN_UP_AFTER, MAX_KINDS, REMEMBERED, SpeedMemory
from hytnas_agent.records import HealthSnapshot, Verdict

STATE = HealthSnapshot(0.0, cores=(3,), max_clock_mhz=1200.0)


def memory(*own_us: float, path: Path | None = None) -> SpeedMemory:
    found = SpeedMemory(path)
    for each in own_us:
        found.add(STATE, CoreSpeed(each, (each,), ()))
    return found


def test_at_first_nothing_is_known() -> None:
    assert SpeedMemory().best_us(STATE) is None


def test_processes_that_did_not_see_the_best_change_nothing() -> None:
    assert memory(40.0, *[52.0] * (GIVEN_UP_AFTER - 1)).best_us(STATE) == 40.0
    seen = memory(40.0, *([52.0] * (GIVEN_UP_AFTER - 1) + [41.0]) * 3)
    assert seen.best_us(STATE) == pytest.approx(40.3)


def test_a_device_that_is_slower_for_good_is_measured_as_it_is_in_the_end() -> None:
    assert memory(*[40.0] * 300, *[52.0] * GIVEN_UP_AFTER).best_us(STATE) == 52.0


def test_a_core_that_is_faster_again_is_known_soon() -> None:
    slow = [40.0, *[52.0] * (GIVEN_UP_AFTER + REMEMBERED)]
    assert memory(*slow).best_us(STATE) == 52.0
    assert memory(*slow, *[40.0] * 4).best_us(STATE) < 42.0


@pytest.mark.parametrize(("step", "steps"), [(0.03, 6), (0.095, 4)])
def test_spells_in_small_steps_raise_it_by_the_tolerance_at_most_however_often_the_agent_restarts(
    tmp_path: Path, step: float, steps: int
) -> None:
    path = tmp_path / "core-speeds.json"
    memory(*[40.0] * REMEMBERED, path=path)
    for number in range(1, steps + 1):
        spell = [40.0 * (1 + step) ** number] * REMEMBERED
        best_us = memory(*spell, path=path).best_us(STATE)
        assert 40.0 < best_us <= (1 + TOLERANCE) * 40.0
    assert memory(*[40.0] * 5, path=path).best_us(STATE) == pytest.approx(40.0)


def test_steps_are_held_against_the_lowest_again_once_the_core_is_faster() -> None:
    faster = [*[40.0] * REMEMBERED, *[37.0] * REMEMBERED]
    assert memory(*faster, *[41.0] * REMEMBERED).best_us(STATE) == 37.0


def test_steps_are_held_against_the_new_speed_of_a_device_that_is_slower_for_good() -> None:
    slower = [*[40.0] * REMEMBERED, *[52.0] * (GIVEN_UP_AFTER + REMEMBERED)]
    assert memory(*slower, *[56.0] * REMEMBERED).best_us(STATE) == 56.0
    assert memory(*slower, *[56.0] * REMEMBERED, *[61.0] * REMEMBERED).best_us(STATE) == 56.0


def test_steps_are_not_held_against_a_lucky_first_process() -> None:
    assert memory(37.0, *[40.0] * REMEMBERED, *[43.0] * REMEMBERED).best_us(STATE) == 43.0


def test_a_memory_that_does_not_say_its_lowest_learns_it(tmp_path: Path) -> None:
    path = tmp_path / "core-speeds.json"
    memory(*[40.0] * REMEMBERED, path=path)
    kinds = msgspec.json.decode(path.read_bytes())
    for known in kinds.values():
        del known["lowest_us"]
    path.write_bytes(msgspec.json.encode(kinds))
    assert SpeedMemory(path).best_us(STATE) == 40.0
    assert memory(*[43.0] * REMEMBERED, *[46.0] * REMEMBERED, path=path).best_us(STATE) == 43.0


def test_one_lucky_process_does_not_set_it() -> None:
    assert memory(*[40.0] * REMEMBERED, 10.0).best_us(STATE) == 40.0


def test_one_lucky_probe_does_not_set_it() -> None:
    found = memory(40.0)
    found.add(STATE, CoreSpeed(40.0, (10.0, *[40.0] * 20), ()))
    assert found.best_us(STATE) == pytest.approx(40.0)


def test_what_the_first_process_looked_for_counts_and_what_others_were_told_does_not() -> None:
    found = SpeedMemory()
    found.add(STATE, CoreSpeed(40.0, (52.0,), ()))
    assert found.best_us(STATE) == 40.0
    found.add(STATE, CoreSpeed(30.0, (41.0,), ()))
    assert found.best_us(STATE) == pytest.approx(40.1)


@pytest.mark.parametrize(
    "other", [{"cores": (0,)}, {"max_clock_mhz": 600.0}, {"max_clock_mhz": None}, {"governor": "powersave"}]
)
def test_it_is_that_of_these_cores_at_this_clock(other: dict[str, object]) -> None:
    assert memory(40.0).best_us(msgspec.structs.replace(STATE, **other)) is None


def test_it_outlives_the_agent(tmp_path: Path) -> None:
    path = tmp_path / "core-speeds.json"
    memory(40.0, 52.0, path=path)
    assert SpeedMemory(path).best_us(STATE) == memory(40.0, 52.0).best_us(STATE)
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[1]", b'{"a": "b"}', b'{"a": {"bests_us": []}}', b'{"a": {"bests_us": [-1]}}', b"\xff\xfe"],
)
def test_a_damaged_file_is_begun_again(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "core-speeds.json"
    path.write_bytes(content)
    assert SpeedMemory(path).best_us(STATE) is None
    memory(40.0, path=path)
    assert SpeedMemory(path).best_us(STATE) == 40.0


def test_a_file_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    assert memory(40.0, path=tmp_path / "missing" / "core-speeds.json").best_us(STATE) == 40.0


def test_the_kinds_of_cores_are_bounded(tmp_path: Path) -> None:
    path = tmp_path / "core-speeds.json"
    found = memory(40.0, path=path)
    for core in range(MAX_KINDS + 3):
        found.add(msgspec.structs.replace(STATE, cores=(100 + core,)), CoreSpeed(40.0, (40.0,), ()))
    assert len(msgspec.json.decode(path.read_bytes())) == MAX_KINDS
    assert found.best_us(STATE) is None


def test_the_gate_hands_it_on() -> None:
    gate = Gate(speeds=memory(40.0))
    gate.remember(STATE, Verdict("VALID"), CoreSpeed(40.0, (30.0,), ()))
    gate.remember(STATE, Verdict("VALID"), None)
    gate.remember(None, None, CoreSpeed(40.0, (1.0,), ()))
    assert gate.best_speed_us(STATE) == memory(40.0, 30.0).best_us(STATE)
