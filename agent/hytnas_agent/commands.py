"""What the commands of ``hytnas-agent`` do that speak to a person, apart from ``serve`` and ``connect``."""

import argparse
import contextlib
import signal
import sys
from collections.abc import Collection, Iterator

import msgspec

from hytnas_agent.device.describe import describe_device
from hytnas_agent.device.doctor import examine
from hytnas_agent.direct import measure_file
from hytnas_agent.errors import AgentError
from hytnas_agent.label import few_words
from hytnas_agent.passes import describe_pass, pass_settings
from hytnas_agent.paths import StateFolder
from hytnas_agent.protocol import DescribeParams, RuntimeInfo, TuneResult
from hytnas_agent.records import (
    EXECUTION_WORDS,
    EXTRA_PASSES,
    Execution,
    LatencyLabel,
    MeasurePass,
    MeasureSettings,
    Outcome,
)
from hytnas_agent.removal import delete_state
from hytnas_agent.runtimes.probe import probe_runtimes
from hytnas_agent.stop import check_fetched, stop_server
from hytnas_agent.tuning import tune


def stop(options: argparse.Namespace, state: StateFolder) -> int:
    """End the server; with ``--delete-state`` the state folder goes, too."""
    keeps_results = options.delete_state and not options.discard_results
    if keeps_results:
        check_fetched(state)
    stopped = stop_server(state, timeout_s=options.timeout_s)
    if options.delete_state:
        delete_state(state, keeps_results=keeps_results)
    if options.json:
        print(msgspec.json.encode(stopped).decode())
        return 0
    print("no agent was running" if stopped.pid is None else f"stopped the agent (pid {stopped.pid})")
    if stopped.unfetched_results:
        print(f"{stopped.unfetched_results} results wait for the hosts that asked for them")
    return 0


def measure(options: argparse.Namespace, state: StateFolder) -> int:
    """Measure a file without a server."""
    limit = options.memory_limit_mib
    chosen = {"threads": options.threads, "core": options.core, "deadline_s": options.deadline_s}
    settings = MeasureSettings(
        **{name: value for name, value in chosen.items() if value is not None},
        memory_limit_bytes=limit << 20 if limit else None,
    )

    def show(done: int, total: int) -> None:
        if sys.stderr.isatty():
            print(f"\rprocess {done} of {total}", end="\n" if done == total else "", file=sys.stderr)

    with _interrupted_by_signals():
        measurement = measure_file(
            options.file,
            state,
            settings,
            processes=options.processes,
            runtime=options.runtime,
            inputs=options.inputs,
            extra=_extra_passes(options, settings),
            on_result=show,
        )
    if options.json:
        print(msgspec.json.format(msgspec.json.encode(measurement)).decode())
    else:
        found = {result.context.execution for result in measurement.results if result.context is not None}
        print(summarise(options.file.name, measurement.label, found))
        for result in measurement.results:
            if result.measure_pass in EXTRA_PASSES:
                print("\n".join(f"  {line}" for line in describe_pass(result)))
    return 0 if measurement.label.outcome is Outcome.OK else 1


@contextlib.contextmanager
def _interrupted_by_signals() -> Iterator[None]:
    """Let a request to end, or a lost terminal, be an interrupt: what was set on the device is put back."""
    former = {
        number: signal.signal(number, signal.default_int_handler)
        for number in (signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) != signal.SIG_IGN  # as nohup sets it
    }
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _extra_passes(
    options: argparse.Namespace, settings: MeasureSettings
) -> dict[MeasurePass, MeasureSettings]:
    """The passes that the options ask for, with their settings."""
    asked: dict[MeasurePass, bool] = {
        MeasurePass.PROFILE: options.profile,
        MeasurePass.ENERGY: options.energy,
        MeasurePass.SUSTAINED: options.sustained_s is not None,
    }
    load_s = {MeasurePass.SUSTAINED: options.sustained_s}
    return {name: pass_settings(settings, name, load_s.get(name)) for name, wanted in asked.items() if wanted}


def summarise(name: str, label: LatencyLabel, executions: Collection[Execution]) -> str:
    """The label in a few lines for a person, who must see how its latencies came about."""
    if label.outcome is not Outcome.OK or label.median_ms is None:
        return f"{name}: {label.outcome}: {few_words(label.message)}"
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
        f"  {' and '.join(words for execution, words in EXECUTION_WORDS.items() if execution in executions)}",
    ]
    if label.peak_rss_bytes is not None:
        lines.append(
            f"  peak memory {label.peak_rss_bytes / 2**20:.1f} MiB, interpreter and runtime included"
        )
    if label.message:
        lines.append(f"  {label.message}")
    return "\n".join(lines)


def describe(options: argparse.Namespace, state: StateFolder) -> int:
    """Say what this device is."""
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


def doctor(options: argparse.Namespace, state: StateFolder) -> int:
    """Check the device; status 1 where a check fails."""
    result = examine(state, _runtimes(state))
    if options.json:
        print(msgspec.json.format(msgspec.json.encode(result)).decode())
    else:
        for check in result.checks:
            print(f"{check.status:8}{check.name}: {check.found}")
            if check.advice:
                print(f"{'':8}{check.advice}")
    return 1 if any(check.status == "fail" for check in result.checks) else 0


def tune_device(options: argparse.Namespace, state: StateFolder) -> int:
    """Show what would be set, ask, and set it; status 1 where something was refused."""
    result = tune(state, "undo" if options.undo else "plan")
    if result.steps and not options.undo and (options.yes or not options.json):
        if not options.yes and not _agreed(result):
            print("nothing was changed")
            return 0
        result = tune(state, "apply")
    if options.json:
        print(msgspec.json.format(msgspec.json.encode(result)).decode())
    else:
        print("\n".join(tuning_lines(result)))
    return 1 if any(step.state == "refused" for step in result.steps) else 0


def tuning_lines(result: TuneResult) -> list[str]:
    """The steps and remarks for a person."""
    lines = [] if result.steps else ["nothing to set"]
    for step in result.steps:
        lines.append(f"{step.state:8}{step.what}: {step.now} -> {step.then}")
        lines += [f"{'':8}{step.advice}"] if step.advice else []
    return [*lines, *(f"{'':8}{remark}" for remark in result.remarks)]


def _agreed(plan: TuneResult) -> bool:
    """Show the plan and ask; no where nobody is there to answer."""
    print("\n".join(tuning_lines(plan)))
    if not sys.stdin.isatty():
        raise AgentError("nobody is there to agree to it", "Say so with --yes")
    print(
        "Set this until the next boot? `hytnas-agent tune --undo` takes it back. [y/N] ", end="", flush=True
    )
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _runtimes(state: StateFolder) -> tuple[RuntimeInfo, ...]:
    return probe_runtimes(state.runtimes)
