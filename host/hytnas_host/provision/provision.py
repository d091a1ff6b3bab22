"""Giving a board its agent: ask what it is, bring wheels, install beside what is there, try it, switch to it.

Every step can be broken off and done again: what is there already is left, what is half there is made anew,
and ``current`` on the board points to an environment that has been tried, or to none.
"""

import contextlib
import dataclasses
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from hytnas_agent.protocol import Check, DeviceDescription
from hytnas_host.provision import environment, service
from hytnas_host.provision.board import Board, Shell
from hytnas_host.provision.environment import Installation
from hytnas_host.provision.facts import BoardFacts, ask_board
from hytnas_host.provision.plan import DEFAULT_PYTHON, Plan, ProvisionOptions, make_plan
from hytnas_host.provision.resolve import cache_folder
from hytnas_host.provision.steps import SilentSteps, Steps

Hold = Callable[[Sequence[str]], AbstractContextManager[object]]
"""Makes a context that keeps the device to oneself; its argument is the argv of the agent that is there."""


@dataclass(frozen=True)
class Provisioned:
    """What came of it: the agent's program and state folder, whether anything was done, what it then says."""

    agent: tuple[str, ...]
    state: str | None
    version: str
    changed: bool
    description: DeviceDescription | None = None
    checks: tuple[Check, ...] = ()


def provision(
    shell: Shell,
    name: str,
    options: ProvisionOptions,
    *,
    state: str | None = None,
    steps: Steps | None = None,
    hold: Hold = contextlib.nullcontext,
    cache: Path | None = None,
) -> Provisioned:
    """Put the agent on a board, or bring it up to date; done again, it finds nothing to do.

    Parameters
    ----------
    shell : Shell
        The connection to the board.
    name : str
        The device's name, for messages.
    options : ProvisionOptions
        What is wanted.
    state : str, optional
        The agent's state folder if neither the options nor the board name one; its default if not given.
    steps : Steps, optional
        Where progress is shown.
    hold : Hold
        Entered where the board has an agent, whoever installed it: nothing is copied or installed while it
        measures for somebody.
    cache : Path, optional
        Where wheels are kept on this host; `resolve.cache_folder` if not given.

    Raises
    ------
    ProvisionError
        With what to do about it. Nothing that worked on the board before is broken then, unless the agent,
        which was tried, cannot be started as a service after the switch to it: see what systemd says there.
    """
    shown = steps or SilentSteps()
    board = Board(shell, name)
    with shown.step("ask the board what it is"):
        facts = ask_board(board, options.python)
    with tempfile.TemporaryDirectory(prefix="hytnas-wheel-") as folder:
        plan = make_plan(
            name, facts, options, folder=Path(folder), cache=cache or cache_folder(), steps=shown
        )
        options = dataclasses.replace(options, state=environment.state_folder(facts, options.state, state))
        former = environment.state_folder(facts, None, state)
        done = Provisioned(
            tuple(environment.agent_command(facts, None)), options.state, plan.wanted.version, changed=False
        )
        if _nothing_to_do(board, plan.wanted, options):
            return done
        with hold(environment.agent_command(facts, former)) if facts.current else contextlib.nullcontext():
            description, checks = _bring(board, plan, options, shown)
    _start(board, plan.wanted, options, former, shown)
    return dataclasses.replace(done, changed=True, description=description, checks=checks)


def unprovision(
    shell: Shell,
    name: str,
    *,
    python: str = DEFAULT_PYTHON,
    state: str | None = None,
    discard_results: bool = False,
    steps: Steps | None = None,
    hold: Hold = contextlib.nullcontext,
) -> bool:
    """Remove from a board all that was put there, the agent's state included; False where nothing was.

    Parameters are those of `provision`; ``hold`` is entered and left before anything is removed.

    Raises
    ------
    ProvisionError
        If the agent has results that no host has fetched, unless they may be discarded.
    """
    shown = steps or SilentSteps()
    board = Board(shell, name)
    with shown.step("ask the board what it is"):
        facts = ask_board(board, python)
    if facts.current is not None:
        agent = environment.agent_command(facts, environment.state_folder(facts, None, state))
        with hold(agent):  # refused while somebody measures
            pass
        with shown.step("stop the agent and remove its state"):
            discard = ["--discard-results"] if discard_results else []
            environment.stop_agent(board, agent, "--delete-state", *discard)
            # Should what follows be broken off: there is nothing left to stop.
            board.run(["rm", "-f", f"{facts.root}/current"], "removing the agent")
    service.remove_service(board, facts, shown)
    return environment.remove_all(board, facts, shown) or facts.unit is not None


def _nothing_to_do(board: Board, wanted: Installation, options: ProvisionOptions) -> bool:
    facts = wanted.facts
    if not wanted.complete or not facts.current == facts.settled == wanted.key:
        return False
    if facts.state != (options.state or ""):
        return False
    if not _with_service(facts, options):
        return facts.unit is None
    agent = environment.agent_command(facts, options.state)
    return facts.unit == service.unit_text(agent) and service.service_runs(board, facts)


def _with_service(facts: BoardFacts, options: ProvisionOptions) -> bool:
    return facts.unit is not None if options.service is None else options.service


def _bring(
    board: Board, plan: Plan, options: ProvisionOptions, steps: Steps
) -> tuple[DeviceDescription, tuple[Check, ...]]:
    """Get the environment onto the board and try it, beside the one in use; what its agent says."""
    wanted, facts = plan.wanted, plan.wanted.facts
    if _with_service(facts, options):
        service.check_services(board, facts)
    wanted.check_space(board.name)
    environment.push_wheels(board, wanted, steps)
    if not wanted.complete:
        environment.make_environment(board, wanted, steps)
    agent = environment.agent_command(facts, options.state, f"environments/{wanted.key}")
    with steps.step("try the agent and its runtimes"):
        description = environment.describe(board, agent, plan.runtimes)
        unwanted = {f"runtime {info.name}" for info in description.runtimes} - {
            f"runtime {name}" for name in plan.runtimes
        }
        found = environment.examine(board, agent).checks
        checks = tuple(check for check in found if check.name not in unwanted)
    if not wanted.complete:
        environment.complete_environment(board, wanted, plan.runtimes)
    return description, checks


def _start(
    board: Board, wanted: Installation, options: ProvisionOptions, former: str | None, steps: Steps
) -> None:
    """Switch to the environment and run the agent from it.

    The server of the former one is stopped after the switch: a host that connects in between starts the new.
    Where the state folder becomes another one, no server may be left for the former, and no result in it.
    """
    facts = wanted.facts
    agent = environment.agent_command(facts, options.state)
    if facts.current is not None and former != options.state:
        with steps.step("stop the agent and remove its former state"):
            tried = environment.agent_command(facts, former, f"environments/{wanted.key}")
            environment.stop_agent(board, tried, "--delete-state")
    with steps.step("switch to it"):
        environment.switch_to(board, wanted)
        environment.note_state(board, facts, options.state)
        environment.stop_agent(board, agent)
    if _with_service(facts, options):
        service.install_service(board, facts, agent, steps)
    else:
        service.remove_service(board, facts, steps)
    environment.prune(board, wanted)
    environment.settle(board, wanted)
