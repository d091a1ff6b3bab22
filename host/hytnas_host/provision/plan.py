"""What is to be installed on a board: chosen and gathered on this host, before anything is changed there."""

from dataclasses import dataclass
from pathlib import Path

from hytnas_host.provision.environment import Installation, manifest_of
from hytnas_host.provision.errors import ProvisionError
from hytnas_host.provision.facts import BoardFacts
from hytnas_host.provision.project_wheel import DISTRIBUTION, project_wheel
from hytnas_host.provision.resolve import Request, resolve
from hytnas_host.provision.runtimes import choose, constraints, extras
from hytnas_host.provision.steps import Steps
from hytnas_host.provision.targets import WheelTarget, target_of
from hytnas_host.provision.wheels import Wheel, read_wheel

DEFAULT_PYTHON = "/usr/bin/python3"


@dataclass(frozen=True)
class ProvisionOptions:
    """What is wanted on the board.

    Parameters
    ----------
    runtimes : tuple of str
        See `runtimes.choose`; none leaves them as they are on the board.
    service : bool, optional
        With a systemd unit or without; None leaves that as it is.
    python : str
        The board's interpreter.
    state : str, optional
        The agent's state folder on the board; None leaves that as it is.
    wheel : Path, optional
        The project's wheel; made from what runs here if not given.
    wheel_folder : Path, optional
        Where to take all other wheels from, instead of from an index.
    """

    runtimes: tuple[str, ...] = ()
    service: bool | None = None
    python: str = DEFAULT_PYTHON
    state: str | None = None
    wheel: Path | None = None
    wheel_folder: Path | None = None


@dataclass(frozen=True)
class Plan:
    """The runtimes that were chosen, and all that is to be installed."""

    runtimes: tuple[str, ...]
    wanted: Installation


def make_plan(
    name: str, facts: BoardFacts, options: ProvisionOptions, *, folder: Path, cache: Path, steps: Steps
) -> Plan:
    """Choose the runtimes and get all wheels.

    Parameters
    ----------
    name : str
        The device's name, for messages.
    facts : BoardFacts
        What the board is.
    options : ProvisionOptions
        What is wanted.
    folder, cache : Path
        Where the project's wheel is made, and where the others are kept.
    steps : Steps
        Where progress is shown.

    Raises
    ------
    ProvisionError
        If the board is not supported, or wheels for it cannot be had.
    """
    target = target_of(name, facts)
    runtimes = choose(options.runtimes or _present(facts), target)
    steps.say(f"{target}; runtimes: {', '.join(runtimes)}")
    with steps.step("make the toolkit's wheel"):
        own = read_wheel(options.wheel or project_wheel(folder))
    _check_own(own, target, extras(runtimes))
    request = Request(
        target,
        facts.markers,
        own.wanted(facts.markers, extras(runtimes)),
        [constraints(runtimes, target, preferred=preferred) for preferred in (True, False)],
        options.wheel_folder,
    )
    with steps.step("resolve and download wheels"):
        wheels, pip = resolve(request, cache)
    return Plan(runtimes, Installation(facts, options.python, (own, *wheels), pip))


def _present(facts: BoardFacts) -> tuple[str, ...]:
    """The runtimes of the board's current environment."""
    if facts.current is None or facts.current not in facts.environments:
        return ()
    return manifest_of(facts, facts.current).runtimes


def _check_own(own: Wheel, target: WheelTarget, wanted: tuple[str, ...]) -> None:
    if own.name != DISTRIBUTION or not own.tags & target.tags():
        raise ProvisionError(
            f"{own.path.name} is no wheel of {DISTRIBUTION} for {target}", "Name another with --wheel"
        )
    if absent := sorted(set(wanted) - set(own.extras)):
        raise ProvisionError(f"{own} has no extra {absent[0]!r}", "Name a newer wheel with --wheel")
