"""A systemd unit of the user's own that keeps the agent's server running, also before anybody logs in."""

import shlex
from collections.abc import Sequence
from importlib import resources
from string import Template

from hytnas_host.provision.board import Board
from hytnas_host.provision.errors import ProvisionError
from hytnas_host.provision.facts import BoardFacts
from hytnas_host.provision.steps import Steps

UNIT = "hytnas-agent.service"
LINGER_NOTE = "linger-enabled"
"""A file below the root that says that lingering was switched on here, and is to be switched off again."""

START_S = 120.0


def unit_text(agent: Sequence[str]) -> str:
    """The unit that serves with this argv."""
    template = resources.files("hytnas_host.provision").joinpath(UNIT).read_text()
    return Template(template).substitute(agent=" ".join(map(_quoted, agent)))


def check_services(board: Board, facts: BoardFacts) -> None:
    """Refuse a unit where systemd runs none for the user; raises ProvisionError."""
    if not facts.user_services:
        raise ProvisionError(
            f"{board.name}: systemd runs no services of {facts.user} there",
            "Install libpam-systemd there, or use --no-systemd: the agent then starts when it is asked for",
        )


def install_service(board: Board, facts: BoardFacts, agent: Sequence[str], steps: Steps) -> None:
    """Write the unit and have systemd start the current agent; raises ProvisionError."""
    with steps.step("start the agent as a service"):
        board.write(unit_text(agent), _unit_path(facts))
        _systemctl(board, facts, "daemon-reload")
        _systemctl(board, facts, "enable", UNIT)
        _systemctl(board, facts, "restart", UNIT)
    if facts.linger:
        return
    note = f"{facts.root}/{LINGER_NOTE}"
    board.run(["touch", note], "noting that lingering is switched on")
    done = board.ask(["loginctl", "--no-ask-password", "enable-linger", facts.user], "enabling lingering")
    if done.status != 0:
        board.run(["rm", "-f", note], "noting that lingering is not switched on")
        steps.say(
            "The service ends with the last login and does not start with the board. "
            f"To change that, run there once: sudo loginctl enable-linger {facts.user}"
        )


def service_runs(board: Board, facts: BoardFacts) -> bool:
    """Whether systemd has the unit running."""
    argv = [*_systemctl_argv(facts), "is-active", "--quiet", UNIT]
    return board.ask(argv, "asking for the service").status == 0


def remove_service(board: Board, facts: BoardFacts, steps: Steps) -> None:
    """Stop the unit and remove it, and lingering if it was switched on for it; without a unit, nothing."""
    if facts.unit is None:
        return
    with steps.step("remove the service"):
        if facts.user_services:
            _systemctl(board, facts, "disable", "--now", UNIT)
        board.run(["rm", "-f", _unit_path(facts)], "removing the unit")
        if facts.user_services:
            _systemctl(board, facts, "daemon-reload")
        note = f"{facts.root}/{LINGER_NOTE}"
        if board.ask(["test", "-e", note], "asking for lingering").status == 0:
            argv = ["loginctl", "--no-ask-password", "disable-linger", facts.user]
            board.run(argv, "disabling lingering")
            board.run(["rm", "-f", note], "noting that lingering is switched off")


def _systemctl(board: Board, facts: BoardFacts, *words: str) -> None:
    argv = [*_systemctl_argv(facts), *words]
    board.run(argv, shlex.join(["systemctl", "--user", *words]), timeout_s=START_S)


def _systemctl_argv(facts: BoardFacts) -> list[str]:
    # A login over SSH without PAM has no such variable.
    return ["env", f"XDG_RUNTIME_DIR=/run/user/{facts.uid}", "systemctl", "--user"]


def _unit_path(facts: BoardFacts) -> str:
    return f"{facts.home}/.config/systemd/user/{UNIT}"


def _quoted(word: str) -> str:
    """A word of ExecStart: systemd.service(5), "Command lines"."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'
