"""What is printed is read by a person, and never obeyed by the terminal."""

import io
import json

import pytest
from rich.table import Table
from typer.testing import CliRunner

from hytnas_agent.output import plain
from hytnas_agent.protocol import Check
from hytnas_host.cli import console
from hytnas_host.cli.app import app
from hytnas_host.cli.console import BarProgress, PlainConsole, print_json, print_table
from hytnas_host.devices.errors import DeviceError

HOSTILE = "Pi\x1b]0;owned\x07\x1b[2J\x9b31m\r\x08\u202e\udcff\x7f end"
HARMLESS = {*map(chr, range(32, 127)), "\n"}


@pytest.fixture
def terminal(monkeypatch) -> io.StringIO:
    """What a terminal without colours would get from either stream."""
    written = io.StringIO()
    for name in ("out", "err"):
        monkeypatch.setattr(console, name, PlainConsole(file=written, width=200, highlight=False))
    return written


def test_line_keeps_its_printable_characters_in_their_places():
    assert plain("Küche 3\x1b[2J\n.") == "Küche 3 [2J ."


def test_text_is_printed_without_what_a_terminal_obeys(terminal):
    console.out.print(HOSTILE, markup=False)
    console.err.print(f"[bold]{HOSTILE}[/]")
    print_table(HOSTILE, [HOSTILE], [[HOSTILE]], caption=HOSTILE)
    grid = Table.grid()
    grid.add_row(HOSTILE)
    console.out.print(grid)
    with BarProgress(HOSTILE, 2) as bar:
        bar.event(HOSTILE)
        bar.advance()
    text = terminal.getvalue()
    assert text.count("end") >= 6
    assert {c for c in text if ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 or c in "\u202e\udcff"} <= {"\n"}


def test_a_log_gets_a_line_each_tenth_and_each_minute_with_what_goes_on(terminal):
    now = [0.0]
    with BarProgress("Measuring on local", 240, clock=lambda: now[0]) as bar:
        bar.note("12 of 40 models exported")
        for now[0] in (20.0, 59.0, 60.0, 61.0, 119.0, 125.0):
            bar.note("the core is shared: 16 % of the time usable; about 12 min left")
            bar.advance()
        bar.advance(24)
    shared = "; the core is shared: 16 % of the time usable; about 12 min left"
    assert terminal.getvalue().splitlines() == [
        "Measuring on local: 0/240",
        f"Measuring on local: 2/240 after 1:00{shared}",
        f"Measuring on local: 5/240 after 2:05{shared}",
        f"Measuring on local: 30/240 after 2:05{shared}",
    ]


def test_colours_are_those_of_the_program(monkeypatch):
    written = io.StringIO()
    coloured = PlainConsole(file=written, force_terminal=True, color_system="standard", width=80)
    coloured.print(f"[red]a[/]{chr(27)}[32mb")
    assert "\x1b[31ma\x1b[0m" in written.getvalue()
    assert "\x1b[32m" not in written.getvalue()
    with coloured.status("works"):
        pass
    assert "\x1b[?25l" in written.getvalue()  # the cursor is hidden meanwhile


def test_json_escapes_them(terminal):
    print_json({"board": HOSTILE.replace("\udcff", "")})
    assert set(terminal.getvalue()) <= HARMLESS | {"\u202e"}
    assert json.loads(terminal.getvalue())["board"] == HOSTILE.replace("\udcff", "")


def test_json_is_whole_where_the_encoding_is_small(monkeypatch):
    written = io.BytesIO()
    latin = io.TextIOWrapper(written, encoding="latin-1")
    monkeypatch.setattr(console, "out", PlainConsole(file=latin))
    print_json({"name": "caf\u00e9 \u2192 \U0001f600"})
    latin.flush()
    assert json.loads(written.getvalue().decode("ascii")) == {"name": "caf\u00e9 \u2192 \U0001f600"}


def device(*words: str):
    return CliRunner().invoke(app, ["device", *words], env={"COLUMNS": "400"})


def test_error_of_a_board_is_one_plain_line(monkeypatch):
    def refuse(name: str):
        raise DeviceError(f"said {HOSTILE}\nerror: all is well")

    monkeypatch.setattr("hytnas_host.devices.open_device", refuse)
    done = device("describe", "shelf")
    assert done.exit_code == 1
    (line,) = done.stderr.splitlines()
    assert line.isprintable()
    assert line.endswith("error: all is well")


def test_finding_of_a_board_is_one_plain_line(monkeypatch):
    found = [Check(HOSTILE, "warn", f"{HOSTILE}\nok       disk", HOSTILE)]
    monkeypatch.setattr("hytnas_host.devices.doctor.examine_device", lambda name: found)
    lines = device("doctor", "shelf").stdout.splitlines()
    assert len(lines) == 2
    assert all(line.isprintable() for line in lines)
