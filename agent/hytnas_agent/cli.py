"""The command ``hytnas-agent``."""

import argparse
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

import msgspec

from hytnas_agent import __version__
from hytnas_agent.errors import HytnasError
from hytnas_agent.paths import STATE_VARIABLE, StateFolder, state_folder
from hytnas_agent.protocol import DescribeParams, RuntimeInfo
from hytnas_agent.records import LatencyLabel, MeasureSettings, Outcome

STOP_TIMEOUT_S = 60.0
DEBUG_HELP = "show the traceback of an error"
EXAMPLES = """examples:
  hytnas-agent doctor                      is this device fit for measuring?
  hytnas-agent measure model.onnx          latency of a file, in 5 fresh processes
  hytnas-agent measure model.onnx --json   the same for a program to read
  hytnas-agent describe --json             what this device is
  hytnas-agent serve                       answer hosts on a Unix socket
  hytnas-agent stop                        end the server, handing its jobs back
  hytnas-agent connect                     talk to the server over stdin and stdout (what a host runs by SSH)
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; its exit status: 0 done, 1 failed, 2 wrong usage."""
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
        help=f"state folder (default: ${STATE_VARIABLE}, else ~/.local/state/hytnas-agent)",
    )
    parser.add_argument("--debug", action="store_true", help=DEBUG_HELP)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_server_commands(commands)
    _add_stop(commands)
    _add_measure(commands)
    for name, run, text in (
        ("describe", _describe, "say what this device is and which runtimes work on it"),
        ("doctor", _doctor, "check whether this device is fit for measuring"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("--json", action="store_true", help="print JSON")
        command.set_defaults(run=run)
    for command in commands.choices.values():
        command.add_argument("--state", metavar="DIR", default=argparse.SUPPRESS, help="state folder")
        command.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=DEBUG_HELP)
    return parser


def _add_server_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    for name, run, text in (
        ("serve", _serve, "answer hosts on a Unix socket in the state folder"),
        ("connect", _connect, "bridge stdin and stdout to the server, starting it if none runs"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument(
            "--idle-exit-s",
            type=_positive_float,
            metavar="SECONDS",
            help="end the server after so long without a client and a job (default: never)",
        )
        command.add_argument(
            "--spool-mib",
            type=_positive_int,
            metavar="MIB",
            help="how much the models on the device may take before the least recently used is removed "
            "(default: 2048)",
        )
        command.set_defaults(run=run)


def _add_stop(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    text = "end the server of the state folder, whoever started it"
    command = commands.add_parser(
        "stop",
        help=text,
        description=f"{text}. A job that is running is handed back to its host, which measures it again.",
    )
    command.add_argument(
        "--timeout-s",
        type=_positive_float,
        default=STOP_TIMEOUT_S,
        metavar="SECONDS",
        help=f"how long to wait for its end (default: {STOP_TIMEOUT_S:g})",
    )
    command.add_argument(
        "--delete-state", action="store_true", help="then delete the state folder, unless results wait there"
    )
    command.add_argument(
        "--discard-results", action="store_true", help="with --delete-state: delete waiting results too"
    )
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(run=_stop)


def _add_measure(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    defaults = MeasureSettings()
    text = "measure the latency and memory of a model file"
    command = commands.add_parser(
        "measure",
        help=text,
        description=f"{text}, without a server",
        epilog="example:\n  hytnas-agent measure model.onnx --threads 4 --processes 10",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("file", type=Path, metavar="FILE", help="an .onnx or .tflite file")
    command.add_argument("--processes", type=_positive_int, default=5, help="timed processes (default: 5)")
    command.add_argument(
        "--threads", type=_positive_int, default=defaults.threads, help="threads (default: 1)"
    )
    command.add_argument("--core", type=int, help="first core to run on (default: the last one allowed)")
    command.add_argument("--runtime", help="runtime to use (default: the first that runs the format)")
    command.add_argument(
        "--deadline-s",
        type=_positive_float,
        default=defaults.deadline_s,
        help=f"time limit of one process (default: {defaults.deadline_s:g})",
    )
    command.add_argument(
        "--memory-limit-mib", type=_positive_int, help="memory limit (default: 80 %% of what is available)"
    )
    command.add_argument("--json", action="store_true", help="print the label and all raw results as JSON")
    command.set_defaults(run=_measure)


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
    serve(state, idle_exit_s=options.idle_exit_s, spool_bytes=capacity_bytes)
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


def _stop(options: argparse.Namespace, state: StateFolder) -> int:
    from hytnas_agent.stop import check_fetched, stop_server  # noqa: PLC0415

    keeps_results = options.delete_state and not options.discard_results
    if keeps_results:
        check_fetched(state)
    stopped = stop_server(state, timeout_s=options.timeout_s)
    if keeps_results:
        check_fetched(state)  # the job that was running may have ended meanwhile
    if options.delete_state:
        state.delete()
    if options.json:
        print(msgspec.json.encode(stopped).decode())
        return 0
    print("no agent was running" if stopped.pid is None else f"stopped the agent (pid {stopped.pid})")
    if stopped.unfetched_results:
        print(f"{stopped.unfetched_results} results wait for the hosts that asked for them")
    return 0


def _measure(options: argparse.Namespace, state: StateFolder) -> int:
    from hytnas_agent.direct import measure_file  # noqa: PLC0415

    limit = options.memory_limit_mib
    settings = MeasureSettings(
        threads=options.threads,
        core=options.core,
        deadline_s=options.deadline_s,
        memory_limit_bytes=limit << 20 if limit else None,
    )

    def show(done: int, total: int) -> None:
        if sys.stderr.isatty():
            print(f"\rprocess {done} of {total}", end="\n" if done == total else "", file=sys.stderr)

    measurement = measure_file(
        options.file, state, settings, processes=options.processes, runtime=options.runtime, on_result=show
    )
    if options.json:
        print(msgspec.json.format(msgspec.json.encode(measurement)).decode())
    else:
        print(summarise(options.file.name, measurement.label))
    return 0 if measurement.label.outcome is Outcome.OK else 1


def summarise(name: str, label: LatencyLabel) -> str:
    """The label in a few lines for a person."""
    if label.outcome is not Outcome.OK or label.median_ms is None:
        return f"{name}: {label.outcome}: {label.message}"
    interval = (
        f", 95 % interval {label.ci_low_ms:.4g} to {label.ci_high_ms:.4g}"
        if label.ci_low_ms is not None and label.ci_high_ms is not None
        else ""
    )
    lines = [
        f"{name}: {label.median_ms:.4g} ms (median of {label.processes} processes{interval})",
        f"  p90 {label.p90_ms:.4g} ms, p99 {label.p99_ms:.4g} ms, "
        f"median absolute deviation {label.mad_ms:.2g} ms, {label.samples} samples",
        f"  {label.throughput_per_s:.4g} inferences a second; "
        f"load {label.load_ms:.4g} ms, first inference {label.cold_ms:.4g} ms",
    ]
    if label.peak_rss_bytes is not None:
        lines.append(
            f"  peak memory {label.peak_rss_bytes / 2**20:.1f} MiB, interpreter and runtime included"
        )
    if label.steady_processes < label.processes:
        unsteady = label.processes - label.steady_processes
        lines.append(f"  no steady state was reached in {unsteady} of {label.processes} processes")
    if label.message:
        lines.append(f"  {label.message}")
    return "\n".join(lines)


def _describe(options: argparse.Namespace, state: StateFolder) -> int:
    from hytnas_agent.device.describe import describe_device  # noqa: PLC0415

    described = describe_device(state, _runtimes(state), DescribeParams())
    if options.json:
        print(msgspec.json.format(msgspec.json.encode(described)).decode())
        return 0
    context = described.context
    virtual = f", {described.virtualisation}" if described.virtualisation else ""
    print(f"{context.board} ({context.soc}, {context.architecture}, {context.cores} cores{virtual})")
    print(f"  id {described.identity.device_id}, host name {described.identity.hostname}")
    print(f"  {context.memory_bytes >> 20} MiB memory, {context.os}, kernel {context.kernel}")
    print(f"  execution {context.execution}, governor {context.governor}")
    for info in described.runtimes:
        found = f"{info.version} ({', '.join(info.formats)})" if info.usable else f"not usable: {info.reason}"
        print(f"  {info.name} {found}")
    return 0


def _doctor(options: argparse.Namespace, state: StateFolder) -> int:
    from hytnas_agent.device.doctor import examine  # noqa: PLC0415

    result = examine(state, _runtimes(state))
    if options.json:
        print(msgspec.json.format(msgspec.json.encode(result)).decode())
    else:
        for check in result.checks:
            print(f"{check.status:8}{check.name}: {check.found}")
            if check.advice:
                print(f"{'':8}{check.advice}")
    return 1 if any(check.status == "fail" for check in result.checks) else 0


def _runtimes(state: StateFolder) -> tuple[RuntimeInfo, ...]:
    from hytnas_agent.runtimes.probe import probe_runtimes  # noqa: PLC0415

    return probe_runtimes(state.runtimes)
