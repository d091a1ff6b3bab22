from pathlib import Path

import pytest

from hytnas_agent.worker.processor import ProcessorMeter, run_delay_s


@pytest.fixture
def threads(tmp_path: Path) -> Path:
    for number, delay_ns in (("7", 250_000_000), ("8", 750_000_000)):
        (tmp_path / number).mkdir()
        (tmp_path / number / "schedstat").write_text(f"5000000000 {delay_ns} 42\n")
    return tmp_path


def test_the_waits_of_all_threads_count(threads: Path) -> None:
    assert run_delay_s(threads) == 1.0
    meter = ProcessorMeter(threads)
    (threads / "8" / "schedstat").write_text("5000000000 950000000 43\n")
    found = meter.read(20)
    assert found.run_delay_s == pytest.approx(0.2)
    assert found.wall_s > 0
    assert found.cpu_s > 0
    assert found.runs == 20
    assert found.preemptions >= 0


def test_a_thread_that_has_ended_gives_no_time_back(threads: Path) -> None:
    meter = ProcessorMeter(threads)
    (threads / "8" / "schedstat").unlink()
    assert meter.read(20).run_delay_s == 0.0


@pytest.mark.parametrize("text", ["", "5000000000", "one two three"])
def test_a_kernel_that_does_not_count_leaves_it_unknown(threads: Path, text: str) -> None:
    (threads / "8" / "schedstat").write_text(text)
    assert run_delay_s(threads) is None
    assert ProcessorMeter(threads).read(20).run_delay_s is None
    assert run_delay_s(threads / "nowhere") is None
