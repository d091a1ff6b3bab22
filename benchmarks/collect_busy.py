"""Share of a collection over SSH during which the board is busy with jobs (aim: at least 95 %).

A whole collection, as ``hytnas-profile collect latency`` runs it: sample, export with parity, push, canary,
timed and memory passes, journal and store, through a real sshd on loopback. What is simulated is the board's
slowness, because this machine runs a network about ten times as fast as a Raspberry Pi 3B: every timed
process repeats the network for ``--process-s`` seconds, the time that a Pi spends on some 25 runs of 200 ms.
Start and import of the runtime and the memory passes take the seconds of this machine, less than a Pi's, and
the exports share the processors with the board, which they do not on a desk; both make the share worse.

Busy is the time during which a worker runs, by the agent's own clock. Given are its share of the whole
collection, its share from the first job to the end of the last, and how long the board waits between jobs.
Both shares are held to the aim. The first depends on the length of the collection: the first window of models
is exported before there is anything to measure.

Run: python benchmarks/collect_busy.py [--n 12] [--process-s 6] [--json FILE]
"""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
from loopback import board_over_ssh
from one_model import load_average, spread

from hytnas_agent.records import MeasureSettings, ProcessResult
from hytnas_datasets.plan import Task
from hytnas_datasets.spaces import get_space
from hytnas_datasets.store import Purpose, Study
from hytnas_host.collect.latency import collect_latency
from hytnas_host.collect.options import MeasureOptions

AIM = 0.95
MANY_RUNS = 20_000


def collect(
    folder: Path, n: int, window: int, resolution: int, process_s: float
) -> tuple[float, list[ProcessResult]]:
    """Seconds of a collection, and every process in it in the order of its start."""
    settings = MeasureSettings(timed_budget_s=process_s, max_runs=MANY_RUNS)
    options = MeasureOptions(settings=settings, window=window)
    with Study.open(folder / "study") as study, board_over_ssh() as (_, device):
        device.hello()
        summary = collect_latency(
            study, [device], get_space("hyt"), n, Task(resolution=resolution), options=options
        )
        results = [
            result for measured in study.results.by_model(Purpose.LATENCY).values() for _, result in measured
        ]
        results += study.results.canaries()
    return summary.seconds, sorted(results, key=lambda each: each.started_unix_s)


def runs_s(result: ProcessResult) -> float:
    """Seconds of a process in which the network ran; a memory pass does not say."""
    return ((result.cold_ms or 0.0) + sum(result.warmup_ms) + sum(result.samples_ms)) / 1e3


def summarise(seconds: float, results: list[ProcessResult]) -> dict[str, object]:
    starts = np.array([each.started_unix_s for each in results])
    ends = starts + [each.wall_s for each in results]
    busy_s = float(sum(each.wall_s for each in results))
    measuring_s = float(ends[-1] - starts[0])
    return {
        "processes": len(results),
        "collection_s": seconds,
        "before_first_job_s": seconds - measuring_s,
        "busy_s": busy_s,
        "runs_s": sum(runs_s(each) for each in results),
        "busy_share": busy_s / seconds,
        "busy_share_from_first_job": busy_s / measuring_s,
        "gap_ms": spread((1e3 * (starts[1:] - ends[:-1])).tolist()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--n", type=int, default=12, help="networks")
    parser.add_argument("--window", type=int, default=6, help="models among which processes are spread")
    parser.add_argument("--resolution", type=int, default=224)
    parser.add_argument("--process-s", type=float, default=6.0, help="seconds of timed runs a process")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    load = load_average()
    with tempfile.TemporaryDirectory() as name:
        found = summarise(
            *collect(Path(name), arguments.n, arguments.window, arguments.resolution, arguments.process_s)
        )
    gap = found["gap_ms"]
    assert isinstance(gap, dict)
    print(f"{found['processes']} processes in {found['collection_s']:.1f} s, busy {found['busy_s']:.1f} s")
    print(f"of the busy time, the network ran for  {found['runs_s']:.1f} s; the rest is start and import")
    print(f"busy share of the collection         {found['busy_share']:.1%}")
    print(f"busy share from the first job on     {found['busy_share_from_first_job']:.1%}")
    print(f"before the first job, after the last {found['before_first_job_s']:.1f} s")
    print(f"between jobs                         {gap['median']:.0f} [{gap['p10']:.0f}, {gap['p90']:.0f}] ms")
    for share, of in (
        ("busy_share", "of the whole collection"),
        ("busy_share_from_first_job", "from the first job on"),
    ):
        print(f"at least {AIM:.0%} {of}: {'yes' if found[share] >= AIM else 'no'}")
    print(f"load average before: {load}")
    if arguments.json:
        arguments.json.write_text(json.dumps(found | {"load_average": load}, indent=2))


if __name__ == "__main__":
    main()
