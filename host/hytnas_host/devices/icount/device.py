"""The emulated Cortex-A53 as a device: this machine's agent, with workers behind the emulator."""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import msgspec

import hytnas_agent
from hytnas_agent.device.hardware import Hardware
from hytnas_agent.launcher import COUNTER_PLACE, LAUNCHER_VARIABLE, Launcher
from hytnas_agent.paths import LEASE_VARIABLE, StateFolder, state_folder
from hytnas_agent.records import MeasureSettings
from hytnas_agent.whole_file import write_whole
from hytnas_host.devices.base import Method
from hytnas_host.devices.client import AgentDevice
from hytnas_host.devices.errors import DeviceError
from hytnas_host.devices.icount.building import Built, build
from hytnas_host.devices.icount.recipe import RECIPE
from hytnas_host.devices.quiet import host_work
from hytnas_host.devices.state import client_id, host_state_folder
from hytnas_host.devices.transport import LocalTransport, PipeConnection

DEVICE_NAME = "icount-a53"
LAUNCHER_FILE = "launcher.json"
BOARD = "emulated Cortex-A53 (instruction count)"

METHOD = Method(
    # The first inference and the reference's other case come before: counts agree from there on.
    # The deadline is the wall clock's: a machine that is busy with other things must not cost a label.
    settings=MeasureSettings(warmup_max_runs=0, min_runs=1, max_runs=1, deadline_s=3600.0),
    processes=1,
    max_processes=1,
    canary_every=0,
    memory_pass=False,
)
"""Repetitions tell nothing here: one process, one counted run, no canary, no memory of a board."""


def launcher_of(built: Built, packages: Path) -> Launcher:
    """How the agent starts Python in the emulated system.

    Parameters
    ----------
    packages : Path
        A folder that holds the agent's package and nothing else.
    """
    manifest = built.manifest
    libc, python = (manifest.system[name] for name in ("libc6", f"python{manifest.python}-minimal"))
    rate = f"{manifest.instructions_per_s / 1e9:g}e9 instructions a second"
    return Launcher(
        python=built.python(counting=COUNTER_PLACE),
        environment={
            "PYTHONPATH": f"{built.wheels}:{packages}",
            "PYTHONHOME": "",
            "PYTHONHASHSEED": "0",
            "PYTHONNOUSERSITE": "1",
            "LD_PRELOAD": "",
        },
        instructions_per_s=manifest.instructions_per_s,
        serial=f"{DEVICE_NAME} {manifest.instructions_per_s}",
        hardware=Hardware(
            board=BOARD,
            soc=manifest.cpu,
            architecture="aarch64",
            cores=1,
            memory_bytes=0,
            os=f"Debian {RECIPE.suite}, libc6 {libc}, Python {python}",
            kernel=f"qemu-user {manifest.emulator['qemu-user']}, {rate}",
            cpu_model=BOARD,
            cpu_features=("fp", "asimd", "crc32"),
            virtualisation="",
            execution="instruction_count",
        ),
    )


class CountingTransport:
    """The way to an agent of its own whose workers are emulated; the emulator is built on first use.

    Parameters
    ----------
    state : StateFolder
        The agent's, which holds the launcher.
    on_step : callable
        Told what is being built.
    """

    def __init__(self, state: StateFolder, *, on_step: Callable[[str], None] = lambda _: None) -> None:
        self._state = state
        self._on_step = on_step
        launcher = {LAUNCHER_VARIABLE: str(state.root / LAUNCHER_FILE), LEASE_VARIABLE: ""}
        self._local = LocalTransport(state.root, environment=launcher)

    def connect(self) -> PipeConnection:
        """Build the emulated system if need be, and start ``hytnas-agent connect`` as a child."""
        write_launcher(self._state, build(on_step=self._on_step))
        return self._local.connect()

    def put(self, file: Path, destination: str) -> None:
        """Copy a file into the agent's incoming folder."""
        self._local.put(file, destination)

    def close(self) -> None:
        """Nothing is shared."""
        self._local.close()


def write_launcher(state: StateFolder, built: Built) -> None:
    """Leave in the state folder how its agent starts workers. Raises AgentError and DeviceError."""
    packages = state.create().root / "packages"
    try:
        packages.mkdir(mode=0o700, exist_ok=True)
        link = packages / "hytnas_agent"
        draft = link.with_name(f"{link.name}.{os.getpid()}")
        draft.unlink(missing_ok=True)
        draft.symlink_to(Path(hytnas_agent.__file__).parent)
        draft.replace(link)
        launcher = msgspec.json.encode(launcher_of(built, packages))
        write_whole(state.root / LAUNCHER_FILE, launcher, private=True)
    except OSError as error:
        raise DeviceError(
            f"the agent's state folder {state.root} cannot be written: {error.strerror}",
            "free space, or set XDG_STATE_HOME to a folder that can be written",
        ) from error


class CountingDevice(AgentDevice):
    """An agent's device whose counted runs no load disturbs, but which is itself a load on this machine."""

    def quiet(self) -> AbstractContextManager[None]:
        """Hold while a counted run goes on: it is host work, which a timed run of this machine keeps out."""
        return host_work()


def open_icount(state: Path | None = None) -> CountingDevice:
    """The emulated Cortex-A53; nothing is built or started before the first question.

    Parameters
    ----------
    state : Path, optional
        The agent's state folder; one that belongs to this recipe by default.
    """
    folder = state or host_state_folder() / f"{DEVICE_NAME}-{RECIPE.hash()}"
    return CountingDevice(
        DEVICE_NAME,
        CountingTransport(state_folder(folder)),
        client_id=client_id(),
        shares_processor=False,  # it does, but no load changes a count, and the host's work need not stop
        method=METHOD,
    )
