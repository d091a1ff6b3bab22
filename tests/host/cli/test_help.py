"""Every command explains itself, with an example, and quickly."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main
from typer.testing import CliRunner

from hytnas_host.cli.app import app
from hytnas_host.search import parse_constraint
from hytnas_host.search.strategies import STRATEGIES

CONSTRAINT = re.compile(r"""['"`]([a-z_]+ [<>]= [^'"`]+)['"`]""")


def command_lines() -> list[tuple[str, ...]]:
    root = typer.main.get_command(app)
    found: list[tuple[str, ...]] = []
    for name, command in root.commands.items():
        children = getattr(command, "commands", None)
        found += [(name, child) for child in children] if children else [(name,)]
    return found


@pytest.mark.parametrize("words", command_lines(), ids=" ".join)
def test_every_command_has_help_with_an_example(words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, [*words, "--help"])
    assert result.exit_code == 0
    assert "Example" in result.output
    assert f"hytnas-profile {' '.join(words)}" in " ".join(result.output.split())


def test_all_commands_of_the_design_are_there() -> None:
    names = {words[0] for words in command_lines()}
    wanted = {"space", "device", "collect", "dataset", "train", "leaderboard", "predict", "search", "verify"}
    assert wanted | {"report", "export", "run", "transfer"} == names


def test_help_imports_neither_torch_nor_the_predictors_libraries() -> None:
    code = (
        "import sys; from hytnas_host.cli.app import app; "
        "print(sorted({'torch', 'sklearn', 'xgboost', 'lightgbm', 'matplotlib', 'pymoo'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_help_names_every_strategy() -> None:
    text = " ".join(CliRunner().invoke(app, ["search", "--help"]).output.replace("│", " ").split())
    for name in STRATEGIES.bundled:
        assert re.search(rf"\b{name} \(", text), f"{name} is not explained"


@pytest.mark.parametrize("words", command_lines(), ids=" ".join)
def test_every_option_says_what_it_does(words: tuple[str, ...]) -> None:
    command = typer.main.get_command(app)
    for word in words:
        command = command.commands[word]
    assert [parameter.name for parameter in command.params if not getattr(parameter, "help", None)] == []


def test_constraints_in_help_texts_and_documents_can_be_read() -> None:
    """A unit that is missing in an example would be refused when somebody types it."""
    root = Path(__file__).parents[3]
    texts = [path.read_text() for path in (root / "docs" / "guide").glob("*.md")]
    helps = (CliRunner().invoke(app, [*words, "--help"]).output for words in command_lines())
    texts += [" ".join(text.replace("│", " ").split()) for text in helps]
    shown = {each for text in texts for each in CONSTRAINT.findall(text)}
    assert {"params <= 300k", "latency <= 50 ms"} <= shown
    for text in sorted(shown):
        parse_constraint(text)
