"""Every command that a document shows exists, with the options it is shown with."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main

from hytnas_agent import cli as agent_cli
from hytnas_host.cli.app import app

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
COMMAND = re.compile(r"(?:\S*/)?(hytnas-profile|hytnas-agent)\s+(.+)")
FENCED = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`\n]+)`")


def commands(document: Path) -> Iterator[tuple[str, list[str]]]:
    """Program and words of each command in the shell blocks, and of each inline one with words after it."""
    text = document.read_text()
    lines = [line for block in FENCED.findall(text) for line in block.splitlines()]
    lines += [each for each in INLINE.findall(FENCED.sub("", text)) if not re.search(r"[|…]|\.\.\.", each)]
    for line in lines:
        if found := COMMAND.match(line):
            yield found[1], shlex.split(found[2], comments=True)


def every_command() -> list[object]:
    return [
        pytest.param(program, words, id=f"{document.name}: {program} {' '.join(words)}")
        for document in DOCUMENTS
        for program, words in commands(document)
    ]


def check_profile(words: list[str]) -> None:
    command, rest = typer.main.get_command(app), list(words)
    while children := getattr(command, "commands", None):
        assert set(rest[:1]) & set(children), f"no command {' '.join(rest[:1])!r} in {command.name}"
        command = children[rest.pop(0)]
    known = {name for parameter in command.params for name in parameter.opts} | {"--help"}
    unknown = {word for word in rest if word.startswith("--")} - known
    assert not unknown, f"{command.name} has no {', '.join(sorted(unknown))}"


@pytest.mark.parametrize(("program", "words"), every_command())
def test_a_command_in_the_documents_exists(program: str, words: list[str]) -> None:
    if program == "hytnas-profile":
        check_profile(words)
    else:
        agent_cli._parser().parse_args(words)


def test_commands_are_found() -> None:
    """A change of the documents' form must not empty the test above."""
    assert len(every_command()) > 10
