"""The measuring of a noise study: blocks of processes on a device, each of which goes into the journal."""

import contextlib
import hashlib
import os
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence

import msgspec

from hytnas_agent.records import MeasureJob, Outcome, ProcessResult
from hytnas_host.devices.client import AgentDevice
from hytnas_host.devices.ssh.client import SshClient
from noise.hog import Hog, HogPlan
from noise.journal import Block, Header, Journal, Process
from noise.methods import DEFECTS, Turn, settings_of, turns_of_block
from noise.report import CONDITIONS, rule_of

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


def hog_plan(header: Header, place: Place) -> HogPlan | None:
    """What disturbs the device in a block."""
    repeat, condition = place
    if condition == "other-core":
        return HogPlan(header.other_core)
    if condition == "same-core":
        return HogPlan(header.core, header.hog_busy_s, header.hog_idle_s, seed=1000 * header.seed + repeat)
    return None


def run_block(
    device: AgentDevice, client: SshClient | None, journal: Journal, header: Header, place: Place
) -> Iterator[Process]:
    """Measure what the journal lacks of a block, and note its end; yields every process that was measured.

    Raises
    ------
    DeviceError
        The device is lost.
    SystemExit
        What should disturb it cannot, or it cannot measure such models at all.
    """
    repeat, condition = place
    measured: dict[Turn, list[Process]] = defaultdict(list)
    for each in journal.processes:
        if (each.repeat, each.condition) == place:
            measured[each.method, each.model].append(each)
    seed = [header.seed, repeat, list(CONDITIONS).index(condition)]
    began_s, defects = time.monotonic(), 0
    plan = hog_plan(header, place)
    with contextlib.ExitStack() as stack:
        hog = None if plan is None else stack.enter_context(Hog(plan, client))
        for turn in turns_of_block(header.models, measured, rule_of(header), seed):
            done = measured[turn]
            process = _measure(device, header, place, turn, len(done))
            journal.add(process)
            device.acknowledge([process.job_id])
            done.append(process)
            yield process
            defects = defects + 1 if process.outcome in DEFECTS else 0
            if defects == DEFECTS_IN_A_ROW:
                raise SystemExit(
                    f"{defects} processes in a row ended as {process.outcome} ({process.message}): "
                    "check the device with its doctor; the same command goes on"
                )
        busy_s, life_s = (None, None) if hog is None else hog.end()
    seconds = time.monotonic() - began_s
    journal.add(Block(condition, repeat, seconds, os.getloadavg()[0], busy_s, life_s))


def _measure(device: AgentDevice, header: Header, place: Place, turn: Turn, number: int) -> Process:
    (repeat, condition), (method, model) = place, turn
    key = msgspec.json.encode((header.study_id, repeat, condition, method, model, number))
    job = MeasureJob(
        job_id=hashlib.sha256(key).hexdigest()[:32],
        model_sha256=model,
        format="onnx",
        settings=settings_of(method, header.core, header.timed_budget_s),
        gate=method == "ours",
    )
    with device.quiet():
        began_s = time.monotonic()
        result = device.measure(job)
        wall_s = time.monotonic() - began_s
    if result.outcome is Outcome.UNSUPPORTED:
        raise SystemExit(f"device {device.name!r} cannot measure this: {result.message}")
    return process_of(result, place, method, wall_s)


def process_of(result: ProcessResult, place: Place, method: str, wall_s: float) -> Process:
    """What the study keeps of a result."""
    before, after = result.health_before, result.health_after
    waited_s = 0.0 if result.gate is None else result.gate.waited_s
    stolen = None
    if before is not None and after is not None and None not in (before.steal_ticks, after.steal_ticks):
        stolen = (after.steal_ticks or 0) - (before.steal_ticks or 0)
    return Process(
        condition=place[1],
        repeat=place[0],
        model=result.model_sha256,
        method=method,
        job_id=result.job_id,
        outcome=result.outcome,
        started_unix_s=round(result.started_unix_s, 3),
        # A result that waited in the agent's journal, the study having been killed, is answered at once.
        wall_s=round(max(wall_s, result.wall_s + waited_s), 3),
        samples_ms=tuple(round(each, SAMPLE_DIGITS) for each in result.samples_ms),
        cold_ms=result.cold_ms,
        load_ms=result.load_ms,
        warmup_runs=len(result.warmup_ms),
        steady=result.steady,
        usable=not result.is_disturbed,
        disturbed=() if result.verdict is None else result.verdict.reasons,
        message=result.message,
        steal_ticks=stolen,
        involuntary_switches=result.involuntary_switches,
    )
