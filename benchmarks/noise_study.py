"""How noisy latencies are, by the toolkit's method and by those of others, on your device and under load.

So many networks are measured again and again by each method, each time independently, under up to three
conditions: a quiet machine, a hog on another core, a hog on the measuring core part of the time. Reported for
each method, with intervals: Kendall's tau between independent passes, the spread of repeats, the noise that
a ranking sees, the ceiling that it puts on any predictor, and what a model costs; then whether the toolkit's
method has at most a third of the noise of a single run, and how noise falls with cost.

The processes of all methods are interleaved in an order drawn anew, and so are the conditions, so that the
machine's mood hits all alike. Everything is kept in the folder as it is measured: interrupt the study
anywhere, give the same command again, and it goes on. Repeats come one after the other, so a study that is
ended early is a whole one of fewer repeats, and one with more ``--repeats`` goes on from there. Journals of
the same study by other machines of a kind, or by other versions of the code, can be reported together
(``--pool``): passes are compared within one journal only.

Run: python benchmarks/noise_study.py [--architectures 60] [--repeats 20] [--device local] [--hours 2.5]
See docs/guide/noise-study.md.
"""

import argparse
import json
import sys
import time
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path

import msgspec
from noise.code import CodeWatch, agent_files, digest, study_files
from noise.hog import client_of
from noise.journal import Header, Journal
from noise.markdown import markdown_of
from noise.measuring import Place, blocks_to_do, run_block
from noise.methods import CONDITIONS, METHODS
from noise.report import analyse
from noise.setup import begin, export_models, kept_models, other_core, push_models
from noise.table import lines_of

from hytnas_agent.errors import HytnasError
from hytnas_agent.label import DEFAULT_TARGET, StoppingRule
from hytnas_host.devices.client import AgentDevice
from hytnas_host.devices.registry import open_device

REASON = "noise study"


def wanted_header(options: argparse.Namespace, device: AgentDevice) -> Header:
    """What is asked for, of this device; the models are not known yet."""
    described = device.describe(model_format="onnx")
    if described.context is None:
        raise SystemExit(f"device {device.name!r} has no runtime for ONNX files")
    cores = described.context.cores
    core = cores - 1 if options.core is None else options.core
    if not 0 <= core < cores:
        raise SystemExit(f"device {device.name!r} has no core {core}: its cores are 0 to {cores - 1}")
    return Header(
        device=device.name,
        device_id=described.identity.device_id,
        context=described.context.fingerprint(),
        agent_version=device.hello().agent_version,
        agent_code=digest(agent_files()),
        study_code=digest(study_files()),
        resolution=options.resolution,
        seed=options.seed,
        models=(),
        core=core,
        other_core=other_core(core, cores),
        timed_budget_s=options.timed_budget_s,
        target_half_width=options.target / 100,
        min_processes=options.min_processes,
        max_processes=options.max_processes,
        hog_busy_s=options.hog_busy_s,
        hog_idle_s=options.hog_idle_s,
    )


class Teller:
    """Says where the study is: one line a block, and on a terminal one that is written over."""

    def __init__(self, blocks: list[Place], journal: Journal) -> None:
        self._left = blocks
        self._seconds: dict[str, list[float]] = defaultdict(list)
        for block in journal.blocks:
            self._seconds[block.condition].append(block.seconds)

    def now(self, text: str) -> None:
        """Show what is going on, on a terminal."""
        if sys.stderr.isatty():
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)

    def block_ended(self, place: Place, seconds: float, processes: int) -> None:
        """Show a line that stays, and count the block as done."""
        self._left = [each for each in self._left if each != place]
        self._seconds[place[1]].append(seconds)
        self.now("")
        print(
            f"repeat {place[0] + 1}, {place[1]}: {processes} processes in {seconds:.0f} s; "
            f"{len(self._left)} blocks and about {self.left_s() / 60:.0f} min left",
            file=sys.stderr,
            flush=True,
        )

    def expected_s(self, condition: str) -> float:
        """Of a block under this condition; 0 before the first one has ended."""
        known = self._seconds.get(condition) or [each for some in self._seconds.values() for each in some]
        return sum(known) / len(known) if known else 0.0

    def left_s(self) -> float:
        """Of all blocks that are left."""
        return sum(self.expected_s(condition) for _, condition in self._left)


def measure(options: argparse.Namespace, journal: Journal) -> None:
    deadline_s = time.monotonic() + 3600 * options.hours
    client = client_of(options.device)
    code = CodeWatch([*agent_files(), *study_files()])
    folder = options.folder / "models"
    state = options.folder / "agent" if options.device == "local" else None
    with open_device(options.device, state=state) as device:
        tell = Teller([], journal).now
        wanted = wanted_header(options, device)
        if wanted.other_core == wanted.core and "other-core" in options.conditions:
            raise SystemExit("this device has one core: leave the condition other-core out")
        models = kept_models(journal, folder) or export_models(
            options.architectures, options.resolution, options.seed, folder, tell
        )
        if len(models) != options.architectures:
            raise SystemExit(f"this study was begun with {len(models)} architectures: take another folder")
        header = begin(journal, msgspec.structs.replace(wanted, models=tuple(path.stem for path in models)))
        device.acquire(REASON)
        push_models(device, header, folder)
        blocks = blocks_to_do(journal, options.conditions, options.repeats)
        teller = Teller(blocks, journal)
        for place in blocks:
            if time.monotonic() + teller.expected_s(place[1]) > deadline_s:
                print(f"the time is up: {len(blocks)} blocks were to do; the same command goes on")
                return
            began_s, done = time.monotonic(), 0
            expected = len(header.models) * (len(METHODS) - 1 + header.min_processes)
            for process in run_block(device, client, journal, header, place, code=code):
                done += 1
                teller.now(
                    f"repeat {place[0] + 1}, {place[1]}: {done} of {expected} or more; {process.method}"
                )
            teller.block_ended(place, time.monotonic() - began_s, done)


def parsed(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--folder", type=Path, default=Path("runs/noise-study"), help="where everything is kept")
    add("--device", default="local", help="local, or an enrolled board")
    add("--architectures", type=int, default=60)
    add("--repeats", type=int, default=20, help="independent measurements of each, by each method")
    add("--conditions", default=",".join(CONDITIONS), help="some of: %(default)s")
    add("--resolution", type=int, default=64)
    add("--seed", type=int, default=0)
    add("--core", type=int, help="that measures; the last one by default")
    add("--timed-budget-s", type=float, default=0.1, help="timed runs of one of our processes (0.1)")
    add("--target", type=float, default=100 * DEFAULT_TARGET, help="of the stopping rule, +- percent (1.5)")
    add("--min-processes", type=int, default=5)
    add("--max-processes", type=int, default=10, help="the stopping rule's budget a label (10)")
    add("--hog-busy-s", type=float, default=4.0, help="mean busy spell on the measuring core (4)")
    add("--hog-idle-s", type=float, default=8.0, help="mean pause between them (8)")
    add("--hours", type=float, default=24.0, help="begin no block that would end later than that")
    add("--show", action="store_true", help="measure nothing: report what is there")
    add(
        "--pool",
        type=Path,
        action="append",
        default=[],
        metavar="JOURNAL",
        help="report this journal (.jsonl, .jsonl.xz) of the same study, too; may be given more than once",
    )
    add("--json", type=Path, help="the figures; result.json in the folder by default")
    options = parser.parse_args(arguments)
    options.folder = options.folder.absolute()
    options.conditions = [name.strip() for name in options.conditions.split(",")]
    if unknown := set(options.conditions) - set(CONDITIONS):
        parser.error(f"unknown condition {', '.join(sorted(unknown))}: choose from {', '.join(CONDITIONS)}")
    if options.architectures < 2 or options.repeats < 2:
        parser.error("there must be at least 2 architectures and 2 repeats")
    if min(options.hog_busy_s, options.hog_idle_s, options.timed_budget_s) <= 0:
        parser.error("the spells of the hog and the time for timed runs must be above 0 seconds")
    try:
        StoppingRule(options.target / 100, options.min_processes, options.max_processes)
    except ValueError as error:
        parser.error(str(error))
    return options


def main() -> None:
    options = parsed()
    path = options.folder / "journal.jsonl"
    if options.show and not path.exists() and not options.pool:
        raise SystemExit(f"there is no noise study in {options.folder}")
    if missing := [each for each in options.pool if not each.is_file()]:
        raise SystemExit(f"there is no journal {missing[0]}")
    options.folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as opened:
        pooled = [opened.enter_context(Journal(each, writable=False)) for each in options.pool]
        journals = pooled
        if not options.show or path.exists():
            own = opened.enter_context(Journal(path, writable=not options.show))
            journals = [own, *pooled]
        try:
            if not options.show:
                measure(options, own)
        except HytnasError as error:
            raise SystemExit(f"{error} The same command goes on") from error
        except KeyboardInterrupt:
            raise SystemExit("interrupted: what was measured is kept; the same command goes on") from None
        found = analyse(journals)
    print("\n".join(lines_of(found)))
    result = options.json or options.folder / "result.json"
    result.write_text(json.dumps(found, indent=2) + "\n")
    (options.folder / "result.md").write_text("\n".join(markdown_of(found)) + "\n")


if __name__ == "__main__":
    main()
