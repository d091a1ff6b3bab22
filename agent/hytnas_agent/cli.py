"""The command ``hytnas-agent``: its options.

Nothing heavy is imported before it is known which command it is: a board runs ``connect`` and ``serve`` while
it measures.
"""

import argparse
import importlib
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from hytnas_agent import __version__
from hytnas_agent.errors import HytnasError
from hytnas_agent.output import make_output_last
from hytnas_agent.paths import STATE_VARIABLE, StateFolder, state_folder

STOP_TIMEOUT_S = 60.0
DEBUG_HELP = "show the traceback of an error; add it when you report a bug"
EXAMPLES = """examples:
  hytnas-agent doctor                      is this device fit for measuring?
  hytnas-agent measure model.onnx          latency of a file, in 5 fresh processes
  hytnas-agent measure model.onnx --json   the same for a program to read
  hytnas-agent tune                        pin its clock; shows what it would do, and asks
  hytnas-agent describe --json             what this device is
  hytnas-agent serve                       answer hosts on a Unix socket
  hytnas-agent stop                        end the server, handing its jobs back
  hytnas-agent connect                     talk to the server over stdin and stdout (what a host runs by SSH)
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; its exit status: 0 done, 1 failed, 2 wrong usage."""
    make_output_last(lines_only=True)
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options, state_folder(options.state).create()))
    except HytnasError as error:
        if options.debug:
            traceback.print_exc()
        print(f"hytnas-agent: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("hytnas-agent: interrupted", file=sys.stderr)
        return 1
    except Exception as error:
        if options.debug:
            traceback.print_exc()
        print(
            f"hytnas-agent: {type(error).__name__}: {error}. Run it with --debug for details", file=sys.stderr
        )
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hytnas-agent",
        description="Measure ONNX and TFLite models on this device, for yourself or for a host.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"hytnas-agent {__version__}")
    parser.add_argument(
        "--state",
        metavar="DIR",
        help=f"folder for models and results, such as one on another disk (default: ${STATE_VARIABLE}, else "
        "~/.local/state/hytnas-agent); one that exists and no agent has made gets a folder hytnas-agent",
    )
    parser.add_argument("--debug", action="store_true", help=DEBUG_HELP)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_server_commands(commands)
    _add_stop(commands)
    _add_measure(commands)
    for name, run, text in (
        ("describe", _lazily("describe"), "show what this device is and which runtimes work on it"),
        ("doctor", _lazily("doctor"), "check whether this device is fit for measuring"),
        (
            "tune",
            _lazily("tune_device"),
            "pin the clock until the next boot; it shows what it would do, and asks",
        ),
    ):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("--json", action="store_true", help="print JSON, for a program to read")
        command.set_defaults(run=run)
    tuning = commands.choices["tune"].add_mutually_exclusive_group()
    tuning.add_argument("--undo", action="store_true", help="put back what tune has changed")
    tuning.add_argument("--yes", action="store_true", help="do not ask before changing anything; for scripts")
    for command in commands.choices.values():
        command.add_argument(
            "--state", metavar="DIR", default=argparse.SUPPRESS, help="folder for models and results"
        )
        command.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=DEBUG_HELP)
    return parser


def _add_server_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    for name, run, text in (
        (
            "serve",
            _serve,
            "run the server, which measures for hosts and listens on a Unix socket in the state folder",
        ),
        (
            "connect",
            _connect,
            "pass stdin to the server and its answers to stdout; a host runs this by SSH",
        ),
    ):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument(
            "--idle-exit-s",
            type=_positive_float,
            metavar="SECONDS",
            help="end the server after so long without a client or a job (default: never); for a device "
            "that is rarely used",
        )
        command.add_argument(
            "--spool-mib",
            type=_positive_int,
            metavar="MIB",
            help="disk space for models; beyond it the least recently used is removed (default: 2048); lower "
            "it on a small card",
        )
        command.set_defaults(run=run)
    commands.choices["serve"].add_argument(
        "--take-over",
        action="store_true",
        help="end the server that runs already, and hand its job back to its host",
    )


def _add_stop(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    text = "end the server of the state folder, whoever started it"
    command = commands.add_parser(
        "stop",
        help=text,
        description=f"{text}. A running job goes back to its host, which will ask for it again.",
    )
    command.add_argument(
        "--timeout-s",
        type=_positive_float,
        default=STOP_TIMEOUT_S,
        metavar="SECONDS",
        help=f"how long to wait for the server to end (default: {STOP_TIMEOUT_S:g}); raise it if it is busy",
    )
    command.add_argument(
        "--delete-state",
        action="store_true",
        help="then delete the state folder with models and results; refused while "
        "results wait there that no host has fetched",
    )
    command.add_argument(
        "--discard-results",
        action="store_true",
        help="with --delete-state: delete results that no host has fetched, too",
    )
    command.add_argument("--json", action="store_true", help="print JSON, for a program to read")
    command.set_defaults(run=_lazily("stop"))


def _add_measure(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    text = "measure the latency and memory of a model file"
    command = commands.add_parser(
        "measure",
        help=text,
        description=f"{text}, without a server",
        epilog="examples:\n  hytnas-agent measure model.onnx --threads 4 --processes 10\n"
        "  hytnas-agent measure model.onnx --profile --energy --sustained-s 300",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("file", type=Path, metavar="FILE", help="an .onnx or .tflite file")
    command.add_argument(
        "--processes",
        type=_positive_int,
        default=5,
        help="how many fresh processes make the label (default: 5); more narrow its interval",
    )
    command.add_argument(
        "--threads",
        type=_positive_int,
        help="threads (default: 1), each on a core of its own; more show how the model scales",
    )
    command.add_argument("--core", type=int, help="first core to run on (default: the last one allowed)")
    command.add_argument(
        "--runtime", help="runtime to use, as `describe` names it (default: the first that runs the format)"
    )
    command.add_argument(
        "--inputs",
        type=Path,
        metavar="FILE.npz",
        help="arrays called like the model's inputs (numpy.savez) to run it with (default: made-up ones); "
        "give them where made-up ones end the run or change the work, such as token ids",
    )
    command.add_argument(
        "--deadline-s",
        type=_positive_float,
        metavar="SECONDS",
        help="time limit of one process (default: 120); raise it for large models",
    )
    command.add_argument(
        "--memory-limit-mib",
        type=_positive_int,
        help="memory at which a process is ended as OOM (default: 80 %% of what is available)",
    )
    command.add_argument(
        "--profile", action="store_true", help="also time every operator, to see where the time goes"
    )
    command.add_argument("--energy", action="store_true", help="also read an energy meter, if there is one")
    command.add_argument(
        "--sustained-s",
        type=_positive_float,
        metavar="SECONDS",
        help="also run the model for so long without a pause, to see whether the device throttles",
    )
    command.add_argument(
        "--json",
        action="store_true",
        help="print the label and all raw results as JSON, for a program to read",
    )
    command.set_defaults(run=_lazily("measure"))


def _positive_int(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return value


def _positive_float(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not positive")
    return value


def _serve(options: argparse.Namespace, state: StateFolder) -> int:
    from hytnas_agent.server.serve import serve  # noqa: PLC0415 (connect stays small)
    from hytnas_agent.spool import DEFAULT_CAPACITY_BYTES  # noqa: PLC0415

    capacity_bytes = options.spool_mib << 20 if options.spool_mib else DEFAULT_CAPACITY_BYTES
    serve(
        state,
        idle_exit_s=options.idle_exit_s,
        spool_bytes=capacity_bytes,
        take_over=options.take_over,
    )
    return 0


def _connect(options: argparse.Namespace, state: StateFolder) -> int:
    from hytnas_agent.connect import bridge, connect_or_start  # noqa: PLC0415

    server_options = []
    if options.idle_exit_s is not None:
        server_options += ["--idle-exit-s", f"{options.idle_exit_s:g}"]
    if options.spool_mib is not None:
        server_options += ["--spool-mib", str(options.spool_mib)]
    with connect_or_start(state, server_options) as sock:
        bridge(sock)
    return 0


def _lazily(name: str) -> Callable[[argparse.Namespace, StateFolder], int]:
    """A command of `hytnas_agent.commands`, which is imported when it runs."""

    def run(options: argparse.Namespace, state: StateFolder) -> int:
        command: Callable[[argparse.Namespace, StateFolder], int] = getattr(
            importlib.import_module("hytnas_agent.commands"), name
        )
        return command(options, state)

    return run
