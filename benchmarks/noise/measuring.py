"""The measuring of a noise study: blocks of processes on a device, each of which goes into the journal."""

import contextlib
import os
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator, Sequence

import msgspec
from msgspec import UNSET

from hytnas_agent.records import MeasureJob, Outcome, ProcessResult
from hytnas_host.devices.client import AgentDevice
from hytnas_host.devices.ssh.client import SshClient
from noise.code import CodeWatch
from noise.hog import RENEW_S, Hog, HogPlan
from noise.journal import Block, Header, Journal, Process
from noise.methods import (
    CONDITIONS,
    DEFECTS,
    Turn,
    may_end_early,
    next_process,
    rule_of,
    settings_of,
    turns_of_block,
)

SAMPLE_DIGITS = 4
DEFECTS_IN_A_ROW = 3

Place = tuple[int, str]
"""A repeat and a condition: one block."""


def blocks_to_do(journal: Journal, conditions: Sequence[str], repeats: int) -> list[Place]:
    """The blocks that have not ended, repeat by repeat; each condition comes first equally often.

    Every other round of repeats goes through the conditions backwards, so that each follows each.
    """
    ended = {(block.repeat, block.condition) for block in journal.blocks}
    places: list[Place] = []
    for repeat in range(repeats):
        names = list(CONDITIONS)
        rounds, shift = divmod(repeat, len(names))
        names = names[shift:] + names[:shift]
        if rounds % 2:
            names.reverse()
        places += [(repeat, name) for name in names if name in conditions and (repeat, name) not in ended]
    return places


def hog_plan(header: Header, place: Place, done: int) -> HogPlan | None:
    """What disturbs the device in a block of which so many processes are measured."""
    repeat, condition = place
    if condition == "other-core":
        return HogPlan(header.other_core)
    if condition == "same-core":
        seed = (1000 * header.seed + repeat) * 100_000 + done
        return HogPlan(header.core, header.hog_busy_s, header.hog_idle_s, seed)
    return None


def run_block(
    device: AgentDevice,
    client: SshClient | None,
    journal: Journal,
    header: Header,
    place: Place,
    *,
    code: CodeWatch,
) -> Iterator[Process]:
    """Measure what the journal lacks of a block, and note its end; yields every process that was measured.

    A process is kept only where what should disturb the device lived on, and the code was the same, until
    its end.

    Raises
    ------
    DeviceError
        The device is lost.
    SystemExit
        What should disturb it cannot, or has ended; the code has changed; or the device cannot measure such
        models at all.
    """
    repeat, condition = place
    measured: dict[Turn, list[Process]] = defaultdict(list)
    for each in journal.processes:
        if (each.repeat, each.condition) == place:
            measured[each.method, each.model].append(each)
    seed = [header.seed, repeat, list(CONDITIONS).index(condition)]
    rule, defects = rule_of(header), 0
    with contextlib.ExitStack() as stack:
        hog: Hog | None = None
        for turn in turns_of_block(header.models, measured, rule, seed):
            plan = hog_plan(header, place, sum(map(len, measured.values())))
            if plan is not None and (hog is None or hog.life_s > RENEW_S):
                stack.close()
                hog = stack.enter_context(Hog(plan, client))
            replicate = next_process(turn[0], measured[turn], rule)
            assert replicate is not None
            early = may_end_early(turn[0], measured[turn], replicate)
            result, wall_s = _measure(device, header, turn, may_end_early=early)
            process = process_of(result, place, turn[0], replicate, wall_s)
            if hog is not None:
                busy_s, passed_s = hog.held()
                process = msgspec.structs.replace(process, hog_busy_s=busy_s, hog_s=passed_s)
            code.check()
            journal.add(process)
            device.acknowledge([process.job_id])
            measured[turn].append(process)
            yield process
            defects = defects + 1 if process.outcome in DEFECTS else 0
            if defects == DEFECTS_IN_A_ROW:
                raise SystemExit(
                    f"{defects} processes in a row ended as {process.outcome} ({process.message}): "
                    "check the device with its doctor; the same command goes on"
                )
    seconds = sum(each.wall_s for processes in measured.values() for each in processes)
    journal.add(Block(condition, repeat, round(seconds, 3), os.getloadavg()[0]))


def _measure(
    device: AgentDevice, header: Header, turn: Turn, *, may_end_early: bool
) -> tuple[ProcessResult, float]:
    """A result and what it cost the host in seconds."""
    method, model = turn
    job = MeasureJob(
        job_id=uuid.uuid4().hex,
        model_sha256=model,
        format="onnx",
        settings=settings_of(method, header.core, header.timed_budget_s),
        gate=method == "ours",
        may_end_early=True if may_end_early else UNSET,
    )
    with device.quiet():
        began_s = time.monotonic()
        result = device.measure(job)
        wall_s = time.monotonic() - began_s
    if result.outcome is Outcome.UNSUPPORTED:
        raise SystemExit(f"device {device.name!r} cannot measure this: {result.message}")
    return result, wall_s


def process_of(result: ProcessResult, place: Place, method: str, replicate: int, wall_s: float) -> Process:
    """What the study keeps of a result."""
    steal_s, runs_s = _stolen(result)
    return Process(
        condition=place[1],
        repeat=place[0],
        model=result.model_sha256,
        method=method,
        replicate=replicate,
        job_id=result.job_id,
        outcome=result.outcome,
        started_unix_s=round(result.started_unix_s, 3),
        wall_s=round(wall_s, 3),
        samples_ms=tuple(round(each, SAMPLE_DIGITS) for each in result.counted_ms),
        cold_ms=result.cold_ms,
        load_ms=result.load_ms,
        warmup_runs=len(result.warmup_ms),
        steady=result.steady,
        usable=not result.is_disturbed,
        disturbed=() if result.verdict is None else result.verdict.reasons,
        message=result.message,
        steal_s=steal_s,
        runs_s=runs_s,
        involuntary_switches=result.involuntary_switches,
    )


def _stolen(result: ProcessResult) -> tuple[float | None, float | None]:
    """Seconds stolen from the measuring core during the timed runs, and seconds that those took."""
    before, after = result.health_before, result.health_after
    if result.outcome is not Outcome.OK or before is None or after is None:
        return None, None
    ends = (before.core_steal_s, after.core_steal_s, before.monotonic_s, after.monotonic_s)
    if any(each is None for each in ends):
        return None, None
    steal_before, steal_after, began_s, ended_s = (each or 0.0 for each in ends)
    return round(steal_after - steal_before, 4), round(ended_s - began_s, 4)
