"""Verdicts on timed runs between two states of a Raspberry Pi 3B, written down in ``trees``."""

import pytest

from hytnas_agent.core_speed import CoreSpeed
from hytnas_agent.device.health import health_snapshot
from hytnas_agent.device.probes import PROBES, TimedRuns
from hytnas_agent.device.verdict import judge
from hytnas_agent.records import HealthSnapshot, MeasurePass, ProcessorTime, Verdict

from .conftest import CORES, TREES

AT_SPEED = CoreSpeed(40.0, (40.0, 40.5), (0,) * 10)
QUIET = ProcessorTime(wall_s=0.5, cpu_s=0.498, run_delay_s=0.001)
TREE_NAMES = sorted(path.stem for path in TREES.glob("*.toml"))


@pytest.fixture
def verdict(tree):
    def between(before: str, after: str, processor: ProcessorTime | None = QUIET) -> Verdict:
        snapshots = [health_snapshot(CORES, tree(name)) for name in (before, after)]
        return judge(TimedRuns(*snapshots, processor, AT_SPEED))

    return between


def test_a_healthy_board_is_valid(verdict) -> None:
    assert verdict("healthy", "healthy") == Verdict("VALID")


@pytest.mark.parametrize(
    ("after", "reasons"),
    [
        (
            "throttled-82c",
            (
                "throttled, soft temperature limit",
                "82 degrees Celsius",
                "the clock fell to 600 MHz of 1200",
            ),
        ),
        ("under-voltage-now", ("under voltage (rpi_volt)", "the clock fell to 600 MHz of 1200")),
        ("under-voltage-sticky", ("under voltage, throttled",)),
        ("swap-in-use", ("16172 pages were swapped",)),
    ],
)
def test_what_came_about_during_the_runs_makes_them_invalid(
    verdict, after: str, reasons: tuple[str, ...]
) -> None:
    found = verdict("healthy", after)
    assert (found.status, found.reasons, found.usable) == ("INVALID", reasons, False)


@pytest.mark.parametrize(
    ("before", "after", "reasons"),
    [
        ("healthy", "capped-600", ("the clock's limit was changed (1200 -> 600 MHz)",)),
        ("cooled-600", "healthy", ("the clock's limit was changed (600 -> 1200 MHz)",)),
        ("cooled-600", "cooled-600", ("the kernel holds the clock at 600 MHz for heat",)),
        ("capped-600", "capped-600", ()),
    ],
)
def test_a_limit_of_the_clock_disturbs_where_it_moves_or_cools(
    verdict, before: str, after: str, reasons: tuple[str, ...]
) -> None:
    assert verdict(before, after).reasons == reasons


@pytest.mark.parametrize("name", ["under-voltage-sticky", "swap-in-use"])
def test_what_was_so_before_and_goes_on_quietly_does_not(verdict, name: str) -> None:
    """Bits of since boot tell of the past, and memory that stays swapped out moves nothing."""
    assert verdict(name, name) == Verdict("VALID")


@pytest.mark.parametrize("name", ["throttled-82c", "under-voltage-now"])
def test_what_goes_on_now_does(verdict, name: str) -> None:
    assert verdict(name, name).status == "INVALID"
    assert verdict(name, "healthy").status == "INVALID"


def test_absent_probes_are_named_and_never_healthy(verdict) -> None:
    assert verdict("no-vcgencmd", "no-vcgencmd") == Verdict("VALID_UNVERIFIED", (), ("throttling", "clock"))
    assert verdict("emulated", "emulated") == Verdict(
        "VALID_UNVERIFIED", (), ("throttling", "temperature", "clock")
    )


@pytest.mark.parametrize(
    ("before", "after", "reasons"),
    [
        ("no-vcgencmd", "no-vcgencmd", ()),
        ("no-vcgencmd-600", "no-vcgencmd-600", ()),
        ("no-vcgencmd-600", "no-vcgencmd", ()),
        ("no-vcgencmd", "no-vcgencmd-600", ("the clock fell to 600 MHz of 1200",)),
        ("no-vcgencmd", "no-vcgencmd-cooled-600", ("the clock's limit was changed (1200 -> 600 MHz)",)),
        (
            "no-vcgencmd-cooled-600",
            "no-vcgencmd-cooled-600",
            ("the kernel holds the clock at 600 MHz for heat",),
        ),
    ],
)
def test_what_a_pis_kernel_asked_for_accuses_and_does_not_acquit(
    verdict, before: str, after: str, reasons: tuple[str, ...]
) -> None:
    found = verdict(before, after)
    assert found.reasons == reasons
    assert ("clock" in found.unverified) is not bool(reasons)


@pytest.mark.parametrize(
    ("before", "after", "reasons"),
    [
        ("no-vcgencmd-600", "no-vcgencmd-600", ()),
        ("no-vcgencmd", "no-vcgencmd-600", ("the clock fell to 600 MHz of 1200",)),
    ],
)
def test_of_another_board_only_a_fall_of_the_clock_is_seen(
    tree, before: str, after: str, reasons: tuple[str, ...]
) -> None:
    snapshots = []
    for name in (before, after):
        sources = tree(name)
        (sources.root / "proc/device-tree/model").write_text("Another Board")
        snapshots.append(health_snapshot(CORES, sources))
    found = judge(TimedRuns(*snapshots))
    assert found.reasons == reasons
    assert "clock" not in found.unverified


@pytest.mark.parametrize(
    ("bits", "reasons"),
    [
        ((None, None), ()),
        ((0x50000, None), ()),
        ((None, 0x50004), ("throttled",)),
        ((0x1, None), ("under voltage",)),
    ],
)
def test_bits_that_were_read_once_accuse_and_do_not_acquit(
    bits: tuple[int | None, int | None], reasons: tuple[str, ...]
) -> None:
    found = judge(TimedRuns(*(HealthSnapshot(0.0, throttled_bits=some) for some in bits)))
    assert found.reasons == reasons
    assert ("throttling" in found.unverified) is not bool(reasons)


def test_with_nothing_to_read_nothing_is_verified() -> None:
    nothing = HealthSnapshot(0.0)
    found = judge(TimedRuns(nothing, nothing))
    assert found == Verdict("VALID_UNVERIFIED", (), tuple(probe.name for probe in PROBES))


def test_an_absent_probe_hides_no_disturbance_that_another_saw(verdict) -> None:
    found = verdict("emulated", "swap-in-use")
    assert found.status == "INVALID"
    assert "throttling" in found.unverified


def test_a_changed_governor_is_found(tree) -> None:
    sources = tree("healthy")
    before = health_snapshot(CORES, sources)
    (sources.root / "sys/devices/system/cpu/cpu3/cpufreq/scaling_governor").write_text("powersave\n")
    found = judge(TimedRuns(before, health_snapshot(CORES, sources), QUIET))
    assert found.reasons == ("the governor was changed (performance -> powersave)",)


@pytest.mark.parametrize("name", TREE_NAMES)
def test_reading_a_board_changes_nothing(tree, name: str) -> None:
    sources = tree(name)

    def content() -> dict[str, str]:
        return {str(path): path.read_text() for path in sources.root.rglob("*") if path.is_file()}

    before = content()
    health_snapshot(CORES, sources)
    assert content() == before


def test_only_a_raspberry_pi_is_asked_for_vcgencmd(tree) -> None:
    sources = tree("healthy")
    assert sources.ask_firmware("get_throttled") == "throttled=0x0"
    (sources.root / "proc/device-tree/model").write_text("Another Board")
    assert sources.ask_firmware("get_throttled") is None


def busy(busy_s: float, core_busy_s: float, **changes: object) -> HealthSnapshot:
    return HealthSnapshot(
        0.0, cores=(3,), busy_s=busy_s, core_busy_s=core_busy_s, core_steal_s=0.0, **changes
    )


@pytest.mark.parametrize(
    ("measure_pass", "elsewhere_s", "reasons"),
    [
        ("energy", 0.9, ()),
        ("energy", 5.0, ("other processes worked for 50% of a core's time",)),
        ("profile", 5.0, ()),
        ("sustained", 5.0, ()),
    ],
)
def test_work_on_other_cores_disturbs_a_meter_alone(
    measure_pass: MeasurePass, elsewhere_s: float, reasons: tuple[str, ...]
) -> None:
    runs = TimedRuns(busy(0.0, 0.0), busy(10.0 + elsewhere_s, 10.0), ProcessorTime(10.0, 10.0))
    assert judge(runs, measure_pass).reasons == reasons


@pytest.mark.parametrize(
    ("measure_pass", "reasons"),
    [
        ("profile", ("throttled", "81 degrees Celsius", "12 pages were swapped")),
        ("energy", ("throttled", "81 degrees Celsius", "12 pages were swapped")),
        ("sustained", ()),
    ],
)
def test_heat_is_the_subject_of_a_lasting_load(measure_pass: MeasurePass, reasons: tuple[str, ...]) -> None:
    quiet = busy(0.0, 0.0, throttled_bits=0, swapped_pages=0)
    hot = busy(
        10.0,
        10.0,
        throttled_bits=4,
        swapped_pages=12,
        temperature_celsius=81.0,
        temperature_limit_celsius=80.0,
    )
    assert judge(TimedRuns(quiet, hot, ProcessorTime(10.0, 10.0)), measure_pass).reasons == reasons


def test_others_on_its_core_disturb_every_pass() -> None:
    runs = TimedRuns(busy(0.0, 0.0), busy(10.0, 10.0), ProcessorTime(10.0, 5.0, 5.0))
    for measure_pass in ("profile", "energy", "sustained"):
        assert judge(runs, measure_pass).reasons[0] == "other processes took 50% of core 3"
