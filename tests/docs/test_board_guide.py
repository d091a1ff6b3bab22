"""The guide to the board says what each line of the doctor means."""

import ast
from pathlib import Path

import pytest

import hytnas_agent.device.doctor
import hytnas_host.devices.doctor
from hytnas_agent.paths import StateFolder
from hytnas_agent.runtimes.registry import RUNTIMES

GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "board.md"


def check_names(module: object) -> set[str]:
    """The literal names that a module gives its checks."""
    calls = (node for node in ast.walk(ast.parse(Path(module.__file__).read_text())))
    return {
        node.args[0].value
        for node in calls
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "Check"
        and isinstance(node.args[0], ast.Constant)
    }


@pytest.mark.parametrize("module", [hytnas_agent.device.doctor, hytnas_host.devices.doctor])
def test_every_check_of_the_doctor_is_explained(module: object) -> None:
    names = check_names(module) | {f"runtime {name}" for name in RUNTIMES.bundled}
    assert len(names) > 5
    text = GUIDE.read_text()
    assert [name for name in sorted(names) if f"`{name}`" not in text] == []


def test_the_agents_log_is_called_what_it_is() -> None:
    log = StateFolder(Path("state")).server_log
    assert f"its log is `{log.name}` in its state folder" in GUIDE.read_text()
