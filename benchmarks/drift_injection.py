"""What a slow-down of the device does to the labels, and what gate, verdicts and canary save.

The same networks are measured on this machine: undisturbed, as a reference, and while a hog copies memory on
the measuring core for part of the time, in spells; once with no protection at all, and once with all. In
the collection that is protected every process is kept, also those that the canary had discarded or that were
judged INVALID, so that what each part does can be told from one measurement:

- ``none``: the first attempt of each process, none of them held back, in a collection of its own that has
  no canary;
- ``gate``: the first attempt of each process, held back while the core was busy;
- ``gate, verdict``: the first attempt that was not judged INVALID;
- ``gate, canary``: the first attempt that the canary did not discard;
- ``all``: the labels of the collection.

Against the reference: Kendall's tau, by how much the labels are off in common (the median of the ratios), the
median and the largest error beyond that, and the share of labels more than 3 % off beyond it; intervals are a
bootstrap over networks. The labels of the reference are noisy, too: the last row is an
undisturbed collection of its own, the best that can be hoped for.

Networks that run longer than the scheduler's time slice, some milliseconds, suffer in every run; shorter ones
slip between the slices, and their median over runs hardly notices (``--resolution 64`` shows it).

    python benchmarks/drift_injection.py [--n 16] [--resolution 224] [--json FILE]
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from noise.hog import Hog, HogPlan
from numpy.typing import NDArray
from one_model import load_average, local_agent
from scipy.stats import kendalltau

from hytnas_agent.records import MeasureJob, MeasureSettings, Outcome, ProcessResult
from hytnas_datasets.plan import Task
from hytnas_datasets.spaces import get_space
from hytnas_datasets.store import Purpose, Study
from hytnas_host.collect.latency import collect_latency
from hytnas_host.collect.options import MeasureOptions
from hytnas_host.devices.client import AgentDevice

RESAMPLES = 2000
OFF = 0.03
PROTECTIONS = {"gate": (False, False), "gate, verdict": (True, False), "gate, canary": (False, True)}
"""Whether the verdicts count, and whether the canary does."""


class Ungated(AgentDevice):
    """A device that starts every process at once, however busy it is."""

    def measure(self, job: MeasureJob, on_progress: Callable[[str], None] | None = None) -> ProcessResult:
        """As any device's, without the health gate."""
        return super().measure(msgspec.structs.replace(job, gate=False), on_progress)


def collect(
    folder: Path, options: argparse.Namespace, hog: HogPlan | None, kind: type[AgentDevice] = AgentDevice
) -> tuple[dict[str, dict[str, float]], dict[str, Any]]:
    """Latencies by protection and network, and what happened."""
    measure = MeasureOptions(
        seed=options.seed,
        settings=MeasureSettings(core=options.core),
        processes=options.processes,
        max_processes=options.processes,
        window=options.n,
        # Also without what it discards a canary protects: a collection pauses while it is off.
        canary_every=options.canary_every if kind is AgentDevice else 0,
        memory_pass=False,
    )
    begin = time.monotonic()
    with Study.open(folder / "study") as study, local_agent(folder / "state", "benchmark", kind) as device:
        with nullcontext() if hog is None else Hog(hog):
            space, task = get_space("hyt"), Task(resolution=options.resolution)
            summary = collect_latency(study, [device], space, options.n, task, options=measure)
        results, discarded = study.results.by_model(Purpose.LATENCY), study.results.discarded()
        labels = {name: label_by(results, set(discarded), *heeded) for name, heeded in PROTECTIONS.items()}
        labels["all"] = {
            stored.label.model_sha256: stored.label.median_ms
            for stored in study.labels.all(Purpose.LATENCY)
            if stored.label.median_ms is not None
        }
        lasting = len(study.failures.all("drift"))
    (share,) = summary.devices
    everything = [result for stored in results.values() for _, result in stored]
    return labels, {
        "seconds": time.monotonic() - begin,
        "processes": len(everything),
        "judged INVALID": sum(result.is_disturbed for result in everything),
        "drifts of the canary": share.drifts,
        "discarded for them": share.discarded,
        "drifts that lasted": lasting,
    }


def label_by(
    results: dict[str, list[tuple[int, ProcessResult]]], discarded: set[str], verdicts: bool, canary: bool
) -> dict[str, float]:
    """Median of the medians of each replicate's first attempt that is kept, or of its last one."""

    def kept(result: ProcessResult) -> bool:
        disturbed = verdicts and result.is_disturbed
        return not disturbed and not (canary and result.job_id in discarded)

    labels = {}
    for sha256, stored in results.items():
        attempts: dict[int, list[ProcessResult]] = {}
        for replicate, result in stored:
            if result.outcome is Outcome.OK and result.median_ms is not None:
                attempts.setdefault(replicate, []).append(result)
        chosen = [next((each for each in of if kept(each)), of[-1]) for of in attempts.values()]
        labels[sha256] = float(np.median([each.median_ms for each in chosen if each.median_ms is not None]))
    return labels


def figures(reference: NDArray[np.float64], found: NDArray[np.float64]) -> dict[str, float]:
    """Of (n,) latencies against those of the reference; errors beyond the shift that all have in common."""
    ratios = np.log(found / reference)
    shift = float(np.median(ratios))
    errors = np.abs(ratios - shift)
    return {
        "shift": shift,
        "tau": float(kendalltau(reference, found).statistic),
        "median error": float(np.median(errors)),
        "largest error": float(errors.max()),
        "off": float((errors > OFF).mean()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--n", type=int, default=16, help="networks")
    parser.add_argument("--resolution", type=int, default=224)
    parser.add_argument("--processes", type=int, default=5)
    parser.add_argument("--canary-every", type=int, default=8)
    parser.add_argument("--core", type=int, default=1)
    parser.add_argument("--busy-s", type=float, default=15.0, help="mean spell of the hog")
    parser.add_argument("--idle-s", type=float, default=15.0, help="mean pause between them")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    load = load_average()
    happened, latencies = {}, {}
    plan = HogPlan(options.core, options.busy_s, options.idle_s, seed=options.seed)
    collections: tuple[tuple[str, HogPlan | None, type[AgentDevice]], ...] = (
        ("reference", None, AgentDevice),
        ("unprotected", plan, Ungated),
        ("protected", plan, AgentDevice),
        ("undisturbed", None, AgentDevice),
    )
    for name, hog, kind in collections:
        with tempfile.TemporaryDirectory() as folder:
            latencies[name], happened[name] = collect(Path(folder), options, hog, kind)
        print(
            f"{name}: " + ", ".join(f"{key} {value:.4g}" for key, value in happened[name].items()), flush=True
        )
    compared = report(latencies, np.random.default_rng(options.seed))
    print(f"load average before {load}, after {load_average()}")
    if options.json:
        settings = {key: value for key, value in vars(options).items() if key != "json"}
        record = settings | {"load_average": load, "happened": happened, "figures": compared}
        options.json.write_text(json.dumps(record | {"latencies_ms": latencies}, indent=1))


def report(latencies: dict[str, dict[str, dict[str, float]]], rng: np.random.Generator) -> dict[str, Any]:
    """Print the table; its figures with intervals."""
    models = sorted(set.intersection(*(set(found["all"]) for found in latencies.values())))
    reference = np.array([latencies["reference"]["all"][each] for each in models])
    # Without the gate, the first attempts.
    rows = {"none": latencies["unprotected"]["gate"]}
    rows |= {name: latencies["protected"][name] for name in (*PROTECTIONS, "all")}
    rows["undisturbed"] = latencies["undisturbed"]["all"]
    values = {name: np.array([row[each] for each in models]) for name, row in rows.items()}
    draws = [rng.integers(0, len(models), len(models)) for _ in range(RESAMPLES)]
    taus = {
        name: np.array([kendalltau(reference[draw], found[draw]).statistic for draw in draws])
        for name, found in values.items()
    }
    compared: dict[str, Any] = {}
    print(f"{len(models)} networks")
    print("protection     tau                      shift  median error  largest   off by 3 %")
    for name, found in values.items():
        low, high = np.nanquantile(taus[name], [0.025, 0.975])
        compared[name] = figures(reference, found) | {"tau interval": [float(low), float(high)]}
        one = compared[name]
        print(
            f"{name:13} {one['tau']:6.3f}  [{low:.3f}, {high:.3f}]  {one['shift']:6.1%}"
            f"  {one['median error']:11.2%}  {one['largest error']:9.1%}  {one['off']:8.0%}"
        )
    gain = taus["all"] - taus["none"]
    low, high = np.nanquantile(gain, [0.025, 0.975])
    compared["gain of tau"] = [compared["all"]["tau"] - compared["none"]["tau"], float(low), float(high)]
    print("gain of tau by all: {:+.3f} [{:+.3f}, {:+.3f}]".format(*compared["gain of tau"]))
    return compared


if __name__ == "__main__":
    main()
