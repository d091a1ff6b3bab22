"""Giving a board its agent: ask what it is, bring wheels, install beside what is there, try it, switch to it.

Every step can be broken off and done again: what is there already is left, what is half there is made anew,
and ``current`` on the board points to an environment that has been tried, or to none.
"""

import contextlib
import tempfile
from collections.abc import Callable
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


@dataclass(frozen=True)
class Provisioned:
    """What came of it: the agent's program, whether anything was to be done, and then what it says."""

    agent: tuple[str, ...]
    version: str
    changed: bool
    description: DeviceDescription | None = None
    checks: tuple[Check, ...] = ()


def provision(
    shell: Shell,
    name: str,
    options: ProvisionOptions,
    *,
    steps: Steps | None = None,
    hold: Callable[[], AbstractContextManager[object]] = contextlib.nullcontext,
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
    steps : Steps, optional
        Where progress is shown.
    hold : callable
        Makes a context that keeps the device to oneself, entered where an agent is in use: nothing is copied
        or installed while it measures for somebody.
    cache : Path, optional
        Where wheels are kept on this host; `resolve.cache_folder` if not given.

    Raises
    ------
    ProvisionError
        With what to do about it. Nothing that worked on the board before is broken then.
    """
    shown = steps or SilentSteps()
    board = Board(shell, name)
    with shown.step("ask the board what it is"):
        facts = ask_board(board, options.python)
    with tempfile.TemporaryDirectory(prefix="hytnas-wheel-") as folder:
        plan = make_plan(
            name, facts, options, folder=Path(folder), cache=cache or cache_folder(), steps=shown
        )
        agent = environment.agent_command(facts, options.state)
        program, version = environment.agent_command(facts, None), plan.wanted.version
        if _nothing_to_do(board, plan.wanted, options, agent):
            return Provisioned(tuple(program), version, changed=False)
        with hold() if facts.current is not None else contextlib.nullcontext():
            description, checks = _bring(board, plan, options, shown)
    _start(board, plan.wanted, options, agent, shown)
    return Provisioned(tuple(program), version, changed=True, description=description, checks=checks)


def unprovision(
    shell: Shell,
    name: str,
    *,
    python: str = DEFAULT_PYTHON,
    state: str | None = None,
    discard_results: bool = False,
    steps: Steps | None = None,
) -> bool:
    """Remove from a board all that was put there, the agent's state included; False where nothing was.

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
        with shown.step("stop the agent and remove its state"):
            discard = ["--discard-results"] if discard_results else []
            agent = environment.agent_command(facts, state)
            environment.stop_agent(board, agent, "--delete-state", *discard)
            # Should what follows be broken off: there is nothing left to stop.
            board.run(["rm", "-f", f"{facts.root}/current"], "removing the agent")
    service.remove_service(board, facts, shown)
    there = board.ask(["test", "-e", facts.root], "looking for what is installed").status == 0
    if there:
        with shown.step("remove what was installed"):
            environment.remove_all(board, facts)
    return there or facts.unit is not None


def _nothing_to_do(board: Board, wanted: Installation, options: ProvisionOptions, agent: list[str]) -> bool:
    facts = wanted.facts
    if not wanted.complete or not facts.current == facts.settled == wanted.key:
        return False
    if not _with_service(facts, options):
        return facts.unit is None
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
    board: Board, wanted: Installation, options: ProvisionOptions, agent: list[str], steps: Steps
) -> None:
    """Switch to the environment and run the agent from it.

    The server of the former one is stopped after the switch: a host that connects in between starts the new.
    """
    facts = wanted.facts
    with steps.step("switch to it"):
        environment.switch_to(board, wanted)
        environment.stop_agent(board, agent)
    if _with_service(facts, options):
        service.install_service(board, facts, agent, steps)
    else:
        service.remove_service(board, facts, steps)
    environment.prune(board, wanted)
    environment.settle(board, wanted)
