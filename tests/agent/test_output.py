"""Printing never fails after the work: readers that leave, closed streams, small character sets."""

import os
import subprocess
import sys

import pytest

from hytnas_agent import output

LONG = 1 << 20
START = "from hytnas_agent.output import make_output_last; make_output_last(); import os, sys\n"


def ran(code: str, shell: str = "", **environment: str) -> subprocess.CompletedProcess[bytes]:
    """The program in a shell that gives it other streams."""
    command = ["sh", "-c", f'"$0" -c "$1" {shell}', sys.executable, START + code]
    return subprocess.run(command, capture_output=True, check=False, env={**os.environ, **environment})


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_reader_that_leaves_does_not_end_the_work(stream: str, tmp_path) -> None:
    read, write = os.pipe()
    os.close(read)
    work = f"print('x' * {LONG}, file=sys.{stream}, flush=True); print('y', file=sys.{stream})\n"
    work += f"open({str(tmp_path / 'done')!r}, 'w').close()"
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, stream: write}
    done = subprocess.run([sys.executable, "-c", START + work], **streams, check=False)  # type: ignore[call-overload]
    os.close(write)
    assert (done.returncode, done.stdout or b"", done.stderr or b"") == (0, b"", b"")
    assert (tmp_path / "done").exists()


@pytest.mark.parametrize(("shell", "printed"), [(">&- 2>&- <&-", b""), ("2>&-", b"a\n"), ("<&-", b"a\n")])
def test_closed_streams_keep_their_numbers(shell: str, printed: bytes) -> None:
    code = "print('a'); print('b', file=sys.stderr); sys.stdin.read()\n"
    code += "sys.exit(0 if os.open(os.devnull, os.O_RDONLY) > 2 else 9)"
    done = ran(code, shell)
    assert (done.returncode, done.stdout) == (0, printed)


def test_what_a_terminal_cannot_show_is_replaced() -> None:
    code = "print('caf\\u00e9 \\u2192 \\udcff')"
    assert ran(code, PYTHONIOENCODING="latin-1").stdout == b"caf\xe9 ? ?\n"
    assert ran(code, PYTHONIOENCODING="utf-8").stdout == "café → ?\n".encode()


def test_nothing_printed_moves_a_cursor_but_the_return_of_a_line() -> None:
    code = "print('\\r1 of 2', end=''); print('a\\x1b[2J\\r\\x9bb\\tc\\u2028d', file=sys.stdout)\n"
    code += "raise ValueError('e\\x1b[31mf')"
    lines = START.replace("make_output_last()", "make_output_last(lines_only=True)")
    done = subprocess.run([sys.executable, "-c", lines + code], capture_output=True, check=False)
    assert done.stdout == b"\r1 of 2a [2J  b c d\n"
    assert b"\x1b" not in done.stderr


def test_a_full_disk_is_an_error() -> None:
    done = ran("print('a', flush=True)", ">/dev/full")
    assert done.returncode != 0
    assert b"No space left" in done.stderr


def test_streams_of_somebody_else_stay(capsys: pytest.CaptureFixture[str]) -> None:
    before = sys.stdout, sys.stderr
    output.make_output_last()
    assert (sys.stdout, sys.stderr) == before


@pytest.mark.parametrize("program", ["hytnas_agent", "hytnas_host.cli"])
def test_help_of_both_programs_ends_well_with_nobody_to_read_it(program: str) -> None:
    read, write = os.pipe()
    os.close(read)
    code = f"import sys; from {program}{'.cli' if program == 'hytnas_agent' else ''} import main; "
    code += "sys.argv[1:] = ['--help']; sys.exit(main())"
    done = subprocess.run([sys.executable, "-c", code], stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")
