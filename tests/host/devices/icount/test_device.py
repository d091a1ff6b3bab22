"""The emulated Cortex-A53 as far as it can be tested without its emulator."""

import fcntl
import stat
from pathlib import Path

import msgspec
import pytest

import hytnas_agent
from hytnas_agent.launcher import COUNTER_PLACE, Launcher
from hytnas_agent.paths import StateFolder
from hytnas_host.collect.options import MeasureOptions
from hytnas_host.devices import DEVICES, DeviceError, open_device
from hytnas_host.devices.errors import QuietError
from hytnas_host.devices.icount import METHOD, Built, build, building, is_built
from hytnas_host.devices.icount.building import EmulatorManifest, cache_folder
from hytnas_host.devices.icount.device import launcher_of, write_launcher
from hytnas_host.devices.icount.recipe import RECIPE, EmulatorRecipe
from hytnas_host.devices.quiet import host_work, quiet_folder, quiet_machine

MANIFEST = EmulatorManifest(
    emulator={"qemu-user": "1:7.2"},
    system={"libc6": "2.36", "python3.11-minimal": "3.11.2"},
    wheels=("onnxruntime==1.31.1",),
    instructions_per_s=1_200_000_000,
    cpu="cortex-a53",
    python="3.11",
)


@pytest.fixture
def built(tmp_path: Path) -> Built:
    folder = tmp_path / "built, with a comma"
    for library in ("lib/ld-linux-x86-64.so.2", "usr/lib/x86_64-linux-gnu/libglib-2.0.so.0"):
        path = folder / "emulator" / library
        path.parent.mkdir(parents=True)
        path.touch()
    return Built(folder, MANIFEST)


def test_workers_are_started_in_the_emulator_with_a_counter(built: Built, tmp_path: Path) -> None:
    launcher = launcher_of(built, tmp_path / "packages")
    command = list(launcher.python)
    assert command[0] == str(built.folder / "emulator/lib/ld-linux-x86-64.so.2")
    plugin = command[command.index("-plugin") + 1]
    assert plugin == f"{built.folder}/libinsncount.so".replace(",", ",,") + f",page={COUNTER_PLACE}"
    assert command[command.index("-cpu") + 1] == "cortex-a53"
    assert command[command.index("-L") + 1] == str(built.system)
    assert command[-1] == str(built.system / "usr/bin/python3.11")
    assert launcher.environment["PYTHONPATH"] == f"{built.wheels}:{tmp_path / 'packages'}"


def test_the_context_says_what_it_is_and_names_every_version(built: Built, tmp_path: Path) -> None:
    hardware = launcher_of(built, tmp_path).hardware
    assert hardware is not None
    assert hardware.board == "emulated Cortex-A53 (instruction count)"
    assert hardware.execution == "instruction_count"
    assert "libc6 2.36" in hardware.os
    assert hardware.kernel == "qemu-user 1:7.2, 1.2e9 instructions a second"


def test_the_launcher_is_private_and_reaches_the_agents_package_alone(built: Built, tmp_path: Path) -> None:
    state = tmp_path / "state"
    for _ in range(2):
        write_launcher(StateFolder(state), built)
    path = state / "launcher.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert msgspec.json.decode(path.read_bytes(), type=Launcher) == launcher_of(built, state / "packages")
    assert [each.name for each in (state / "packages").iterdir()] == ["hytnas_agent"]
    assert (state / "packages/hytnas_agent").resolve() == Path(hytnas_agent.__file__).parent


def test_measuring_takes_one_counted_run_of_one_process() -> None:
    options = MeasureOptions.of(METHOD, seed=3)
    assert (options.processes, options.canary_every, options.memory_pass) == (1, 0, False)
    assert (options.settings.threads, options.settings.min_runs, options.settings.max_runs) == (1, 1, 1)
    assert MeasureOptions.of(METHOD, processes=4).processes == 4


def test_it_is_a_device_like_others_and_starts_nothing_by_being_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    assert "icount-a53" in DEVICES
    with open_device("icount-a53") as device:
        assert (device.name, device.shares_processor, device.method) == ("icount-a53", False, METHOD)
    assert not is_built()
    assert not (tmp_path / "cache").exists()


def test_a_counted_run_is_host_work_that_a_timed_run_keeps_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with open_device("icount-a53") as device:
        with device.quiet(), host_work(), pytest.raises(QuietError), quiet_machine():
            pass
        # What keeps other processes out is the lock: shared with host work, and not to be had exclusively.
        with device.quiet():
            (lock,) = quiet_folder().glob("*.machine")
            with lock.open() as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                fcntl.flock(file, fcntl.LOCK_UN)
                with pytest.raises(BlockingIOError):
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_change_of_the_recipe_is_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    other = EmulatorRecipe(wheels=("onnxruntime==1.23.2",))
    assert cache_folder(other) != cache_folder(RECIPE)
    assert (
        cache_folder(EmulatorRecipe())
        == cache_folder(RECIPE)
        == tmp_path / "hytnas" / "icount" / RECIPE.hash()
    )


def test_what_is_missing_to_build_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(building, "missing_tools", lambda: ("gcc", "debian-archive-keyring"))
    with pytest.raises(DeviceError, match=r"apt-get install gcc debian-archive-keyring"):
        build()
    assert not is_built()


def test_a_failed_build_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(building, "missing_tools", lambda: ())
    with pytest.raises(DeviceError, match="is not installed"):
        build()
    assert [each.suffix for each in cache_folder().parent.iterdir()] == [".lock"]


def test_a_damaged_build_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = cache_folder()
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text("{")
    with pytest.raises(DeviceError, match="is damaged"):
        build()
