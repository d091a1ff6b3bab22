"""The agent's virtual environment on the board: made in full beside the one in use, then switched to.

Below ``~/.local/share/hytnas``: ``wheels/<hash>/`` what was pushed, ``environments/<key>/`` one virtual
environment each, ``current`` and ``previous`` links to two of them. An environment is complete, and may be
``current``, once it holds ``hytnas.json``, which is written last. ``state`` names the agent's state folder,
empty for its default, so that any host finds the agent that another one has installed. ``settled`` names the
environment that the agent was last started from: the last thing of all.
"""

import hashlib
import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

import msgspec

from hytnas_agent.protocol import DeviceDescription, DoctorResult
from hytnas_host.provision.board import Board
from hytnas_host.provision.errors import ProvisionError
from hytnas_host.provision.facts import BoardFacts
from hytnas_host.provision.project_wheel import DISTRIBUTION
from hytnas_host.provision.service import LINGER_NOTE
from hytnas_host.provision.steps import Steps
from hytnas_host.provision.wheels import Wheel

LAYOUT = 1
INSTALL_TIMEOUT_S = 3600.0
PROBE_TIMEOUT_S = 600.0
STOP_TIMEOUT_S = 180.0
SPARE_BYTES = 64 << 20
"""Left free on the board beside what is installed: compiled modules, the journal, some models."""

_KEY = r"[^/]+-[0-9a-f]{12}"
_WHEEL_FOLDER = r"wheels/[0-9a-f]{16}"
_FILES = rf"(current|previous|state|settled|lock|{LINGER_NOTE})(\.part)?"
_INSTALLED = re.compile(rf"environments/{_KEY}|{_WHEEL_FOLDER}|{_FILES}")
"""What provisioning puts below the root."""

_BYTES_PER_FILE_SYSTEM_BYTE = 1.1  # blocks that are not full


class EnvironmentManifest(msgspec.Struct, frozen=True):
    """What ``hytnas.json`` of an environment says: its runtimes, and its wheels as paths below the root."""

    runtimes: tuple[str, ...]
    wheels: tuple[str, ...]


@dataclass(frozen=True)
class Installation:
    """What is to be on the board.

    Parameters
    ----------
    facts : BoardFacts
        The board before.
    python : str
        Its interpreter.
    wheels : tuple of Wheel
        What the environment holds, the project's own among it.
    pip : Wheel
        What installs it; it stays outside.
    """

    facts: BoardFacts
    python: str
    wheels: tuple[Wheel, ...]
    pip: Wheel

    @property
    def version(self) -> str:
        """The project's version."""
        return str(next(wheel.version for wheel in self.wheels if wheel.name == DISTRIBUTION))

    @property
    def key(self) -> str:
        """Names the environment: the project's version, and a hash of all that goes into it."""
        parts = (LAYOUT, self.python, self.facts.python[:2], sorted(wheel.sha256 for wheel in self.wheels))
        return f"{self.version}-{hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:12]}"

    @property
    def folder(self) -> str:
        """The environment's folder on the board."""
        return f"{self.facts.root}/environments/{self.key}"

    @property
    def complete(self) -> bool:
        """Whether the board has the environment already."""
        return self.key in self.facts.environments

    @property
    def to_push(self) -> tuple[Wheel, ...]:
        """Wheels that the board does not have yet, whole."""
        if self.complete:
            return ()
        here = self.facts.wheels
        return tuple(
            wheel for wheel in (*self.wheels, self.pip) if here.get(place_of(wheel)) != wheel.size_bytes
        )

    def check_space(self, name: str) -> None:
        """Refuse to begin what cannot be finished; raises ProvisionError."""
        if self.complete:
            return
        needed = sum(wheel.size_bytes for wheel in self.to_push) + SPARE_BYTES
        needed += int(sum(wheel.unpacked_bytes for wheel in self.wheels) * _BYTES_PER_FILE_SYSTEM_BYTE)
        free = self.facts.free_bytes
        if free < needed:
            raise ProvisionError(
                f"{name} has {free >> 20} MiB free in {self.facts.home}, {needed >> 20} MiB are needed",
                "Free some space there (sudo apt clean, old files) and run it again",
            )


def manifest_of(facts: BoardFacts, key: str) -> EnvironmentManifest:
    """What is noted in a complete environment; raises ProvisionError."""
    try:
        return msgspec.json.decode(facts.environments[key], type=EnvironmentManifest)
    except ValueError as error:
        raise ProvisionError(
            f"{facts.root}/environments/{key}/hytnas.json on the board is damaged: {error}",
            "Remove that environment there and run it again",
        ) from error


def place_of(wheel: Wheel) -> str:
    """Where a wheel is kept, below the root: pip wants it under its own name."""
    return f"wheels/{wheel.sha256[:16]}/{wheel.path.name}"


def push_wheels(board: Board, wanted: Installation, steps: Steps) -> None:
    """Copy what the board does not have; raises ProvisionError."""
    for wheel in wanted.to_push:
        with steps.step(f"copy {wheel}", wheel.size_bytes):
            board.push(wheel.path, wheel.sha256, f"{wanted.facts.root}/{place_of(wheel)}")


def make_environment(board: Board, wanted: Installation, steps: Steps) -> None:
    """Make the environment, offline; what a broken-off attempt has left is removed first.

    pip runs out of its own wheel: Debian's Python may lack ``ensurepip``.

    Raises
    ------
    ProvisionError
        If it cannot be made; it is not complete then.
    """
    if not wanted.facts.has_venv:
        raise ProvisionError(
            f"{board.name}: its Python has no module venv",
            "Install it there with: sudo apt install python3-venv",
        )
    root, folder = wanted.facts.root, wanted.folder
    with steps.step("make a virtual environment"):
        _alone(board, wanted, ["rm", "-rf", folder], "removing an unfinished environment")
        venv = [wanted.python, "-m", "venv", "--without-pip", folder]
        _alone(board, wanted, venv, "making a virtual environment")
    pip = [f"{folder}/bin/python", f"{root}/{place_of(wanted.pip)}/pip", "--isolated"]
    pip.append("--disable-pip-version-check")
    with steps.step(f"install {len(wanted.wheels)} wheels"):
        listed = "".join(
            f"file://{quote(f'{root}/{place_of(wheel)}')} --hash=sha256:{wheel.sha256}\n"
            for wheel in wanted.wheels
        )
        board.write(listed, f"{folder}/requirements.txt")
        # The host has resolved everything and checked it, as `pip check` would do here for much longer.
        # Compiling all of numpy would take a Pi longer than installing it: modules are compiled when first
        # imported.
        install = ["install", "--quiet", "--no-index", "--no-deps", "--no-compile", "--no-cache-dir"]
        install += ["--require-hashes", "--requirement", f"{folder}/requirements.txt"]
        _alone(board, wanted, [*pip, *install], "installing wheels")


def _alone(board: Board, wanted: Installation, argv: Sequence[str], what: str) -> None:
    # A command goes on when its connection breaks: done again, it must not meet itself.
    board.run_alone(f"{wanted.facts.root}/lock", argv, what, timeout_s=INSTALL_TIMEOUT_S)


def complete_environment(board: Board, wanted: Installation, runtimes: tuple[str, ...]) -> None:
    """Say in the environment that it is complete, once the disk has it all; raises ProvisionError."""
    board.run(["sync", "-f", wanted.folder], "writing to the disk", timeout_s=INSTALL_TIMEOUT_S)
    manifest = EnvironmentManifest(runtimes, tuple(place_of(wheel) for wheel in (*wanted.wheels, wanted.pip)))
    board.write(msgspec.json.encode(manifest).decode(), f"{wanted.folder}/hytnas.json")


def switch_to(board: Board, wanted: Installation) -> None:
    """Make the environment the current one, and the present one the previous; raises ProvisionError."""
    facts = wanted.facts
    if facts.current == wanted.key:
        return
    if facts.current is not None:
        board.point(f"{facts.root}/previous", f"environments/{facts.current}")
    board.point(f"{facts.root}/current", f"environments/{wanted.key}")
    board.run(["sync", "-f", facts.root], "writing to the disk", timeout_s=INSTALL_TIMEOUT_S)


def note_state(board: Board, facts: BoardFacts, state: str | None) -> None:
    """Note which state folder the agent has; raises ProvisionError."""
    board.write(state or "", f"{facts.root}/state")


def settle(board: Board, wanted: Installation) -> None:
    """Note that the agent runs from this environment, or will; raises ProvisionError."""
    board.write(f"{wanted.key}\n", f"{wanted.facts.root}/settled")


def prune(board: Board, wanted: Installation) -> None:
    """Remove all environments but the current and the previous one, and what was pushed for neither."""
    facts = wanted.facts
    kept = {wanted.key, facts.previous if facts.current == wanted.key else facts.current}
    listed = (
        board.run(["ls", "-1", f"{facts.root}/environments"], "listing environments").decode().split("\n")
    )
    places = {place_of(wheel) for wheel in (*wanted.wheels, wanted.pip)}
    for key in facts.environments.keys() & kept:
        places.update(manifest_of(facts, key).wheels)
    needed = {posixpath.dirname(place) for place in places}
    unneeded = [
        f"{facts.root}/environments/{key}" for key in listed if re.fullmatch(_KEY, key) and key not in kept
    ]
    present = {
        folder for folder in map(posixpath.dirname, facts.wheels) if re.fullmatch(_WHEEL_FOLDER, folder)
    }
    unneeded += [f"{facts.root}/{folder}" for folder in sorted(present - needed)]
    if unneeded:
        _alone(board, wanted, ["rm", "-rf", *unneeded], "removing old environments")


def remove_all(board: Board, facts: BoardFacts, steps: Steps) -> bool:
    """Remove what was installed, by name, and its folder if it is empty then; False where nothing was there.

    Raises ProvisionError.
    """
    what = "removing what was installed"
    find = ["find", f"{facts.root}/", "-mindepth", "1", "-maxdepth", "2", "-printf", "%P\\n"]
    listed = board.ask(find, "looking for what is installed")
    if listed.status != 0:
        return False
    names = [
        name for name in listed.stdout.decode(errors="replace").splitlines() if _INSTALLED.fullmatch(name)
    ]
    if names:
        with steps.step("remove what was installed"):
            board.run(
                ["rm", "-rf", *(f"{facts.root}/{name}" for name in names)], what, timeout_s=INSTALL_TIMEOUT_S
            )
    for folder in ("/environments", "/wheels", ""):
        board.ask(["rmdir", f"{facts.root}{folder}"], what)  # one with something else in it stays
    return bool(names)


def state_folder(facts: BoardFacts, wanted: str | None, otherwise: str | None = None) -> str | None:
    """The agent's state folder: the wanted one, else the one noted on the board, else ``otherwise``.

    None stands for the agent's default.
    """
    chosen = wanted or (otherwise if facts.state is None else facts.state)
    if not chosen:
        return None
    inside = chosen[2:] if chosen.startswith("~/") else chosen
    return posixpath.normpath(posixpath.join(facts.home, inside))


def agent_command(facts: BoardFacts, state: str | None, environment: str = "current") -> list[str]:
    """The agent's argv on the board, less the subcommand."""
    return [f"{facts.root}/{environment}/bin/hytnas-agent", *(["--state", state] if state else [])]


def describe(board: Board, agent: Sequence[str], runtimes: Sequence[str]) -> DeviceDescription:
    """What the agent says the board is; a runtime that does not work there is an error.

    Raises
    ------
    ProvisionError
        If the agent does not start, or a runtime is not usable.
    """
    said = board.run([*agent, "describe", "--json"], "trying the agent", timeout_s=PROBE_TIMEOUT_S)
    try:
        described = msgspec.json.decode(said, type=DeviceDescription)
    except ValueError as error:
        raise ProvisionError(f"{board.name}: the agent's answer is not understood: {error}") from error
    states = {info.name: info for info in described.runtimes}
    for name in runtimes:
        info = states.get(name)
        if info is None or not info.usable:
            reason = info.reason if info else "the agent does not know it"
            raise ProvisionError(
                f"{board.name}: {name} does not work there: {reason}",
                "Choose another with --runtime",
            )
    return described


def examine(board: Board, agent: Sequence[str]) -> DoctorResult:
    """The agent's findings about the board's fitness; raises ProvisionError if it does not answer."""
    done = board.ask([*agent, "doctor", "--json"], "examining the board", timeout_s=PROBE_TIMEOUT_S)
    try:
        return msgspec.json.decode(done.stdout, type=DoctorResult)
    except ValueError as error:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise ProvisionError(
            f"{board.name}: the agent's doctor failed: {said[-1] if said else f'status {done.status}'}"
        ) from error


def stop_agent(board: Board, agent: Sequence[str], *options: str) -> None:
    """Stop the agent's server where one runs; its jobs go back to their hosts. Raises ProvisionError."""
    board.run([*agent, "stop", *options], "stopping the agent", timeout_s=STOP_TIMEOUT_S)
