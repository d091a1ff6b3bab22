"""The systemd unit, on boards whose `systemctl` and `loginctl` are the test's."""

import configparser
from pathlib import Path

import pytest

from hytnas_host.provision import service
from hytnas_host.provision.board import Board
from hytnas_host.provision.errors import ProvisionError
from hytnas_host.provision.facts import BoardFacts
from hytnas_host.provision.steps import SilentSteps

from .conftest import Done, LocalShell

OK, REFUSED = Done(0, b"", b""), Done(1, b"", b"Access denied\n")


def facts(shell: LocalShell, **changes: object) -> BoardFacts:
    unit = shell.home / ".config/systemd/user/hytnas-agent.service"
    values: dict[str, object] = {
        **dict.fromkeys(("machine", "libc"), ""),
        **{key: {} for key in ("markers", "environments", "wheels")},
        **dict.fromkeys(("current", "previous", "settled", "state")),
        "python_bits": 64,
        "python": (3, 11, 2),
        "has_venv": True,
        "home": str(shell.home),
        "user": "pi",
        "uid": 1000,
        "free_bytes": 1 << 30,
        "user_services": True,
        "linger": False,
        "unit": unit.read_text() if unit.exists() else None,
    }
    return BoardFacts(**(values | changes))


class Said(SilentSteps):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)


@pytest.fixture
def board(shell: LocalShell) -> Board:
    shell.answers |= {"env XDG_RUNTIME_DIR=": OK, "loginctl": OK}
    shell.root.mkdir(parents=True)
    return Board(shell, "pi")


def asked(shell: LocalShell, program: str) -> list[str]:
    calls = [call[call.index(program) + 1 :] for call in shell.calls if program in call]
    return [" ".join(word for word in call if not word.startswith("--")) for call in calls]


def test_the_unit_serves_with_this_argv_and_disturbs_no_measurement() -> None:
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str
    unit.read_string(service.unit_text(["/home/a b/100%/hytnas-agent", "--state", "/s"]))
    lines = unit["Service"]
    assert lines["ExecStart"] == '"/home/a b/100%%/hytnas-agent" "--state" "/s" serve --take-over'
    assert (lines["Restart"], lines["KillMode"], lines["OOMPolicy"]) == ("on-failure", "mixed", "continue")
    # Filters of system calls, priorities and quotas would show in latencies.
    disturbing = ("SystemCallFilter", "Restrict", "MemoryHigh", "CPUQuota", "Nice", "CPUAffinity")
    assert not [name for name in lines if name.startswith(disturbing)]


def test_it_is_written_started_and_kept_without_a_login(board: Board, shell: LocalShell) -> None:
    said = Said()
    service.install_service(board, facts(shell), ["/agent"], said)
    assert asked(shell, "systemctl") == [
        "daemon-reload",
        "enable hytnas-agent.service",
        "restart hytnas-agent.service",
    ]
    assert asked(shell, "loginctl") == ["enable-linger pi"]
    assert facts(shell).unit == service.unit_text(["/agent"])
    assert said.lines == []


def test_lingering_that_is_not_permitted_is_said_with_the_command(board: Board, shell: LocalShell) -> None:
    shell.answers["loginctl"] = REFUSED
    said = Said()
    service.install_service(board, facts(shell), ["/agent"], said)
    assert "sudo loginctl enable-linger pi" in said.lines[0]
    assert not (shell.root / service.LINGER_NOTE).exists()


@pytest.mark.parametrize("was_on", [True, False])
def test_removal_undoes_what_was_done_and_no_more(board: Board, shell: LocalShell, was_on: bool) -> None:
    service.install_service(board, facts(shell, linger=was_on), ["/agent"], SilentSteps())
    shell.calls.clear()
    service.remove_service(board, facts(shell, linger=True), SilentSteps())
    assert asked(shell, "systemctl") == ["disable hytnas-agent.service", "daemon-reload"]
    assert asked(shell, "loginctl") == ([] if was_on else ["disable-linger pi"])
    assert facts(shell).unit is None
    shell.calls.clear()
    service.remove_service(board, facts(shell), SilentSteps())
    assert shell.calls == []


def test_a_board_without_services_of_users_is_refused(board: Board, shell: LocalShell) -> None:
    with pytest.raises(ProvisionError, match=r"systemd runs no services of pi there.*--no-systemd"):
        service.check_services(board, facts(shell, user_services=False))


def test_systemd_is_quoted_where_it_refuses(board: Board, shell: LocalShell, tmp_path: Path) -> None:
    shell.answers["env XDG_RUNTIME_DIR="] = REFUSED
    with pytest.raises(ProvisionError, match="systemctl --user daemon-reload failed: Access denied"):
        service.install_service(board, facts(shell), ["/agent"], SilentSteps())
