"""Networks that are no part of any space, predicted by what was learned from networks of ``hyt``.

MobileNetV1, MobileNetV2, SqueezeNet 1.1 and a network like MobileViT-XXS, with random weights and calibrated
batch norms, are exported to ONNX and measured. Their latencies are predicted from the work in their graphs,
by ``layerwise`` fitted to labels of ``hyt`` alone, and again with five strangers of other widths and
resolutions among the labels.

``hyt`` and the strangers have to be measured by the same device at the same speed: --n networks of ``hyt``
are measured together with them, in one collection. The instruction counts of icount-a53 do not depend on the
hour: there --data takes the bundled labels instead. An interrupted run with --work goes on where it was.

Run: python benchmarks/strangers.py [--device local] [--n 20] [--processes 3] [--work FOLDER] [--json FILE]
     python benchmarks/strangers.py --device icount-a53 --data bundled:hyt-icount-a53 [--labels 40]
"""

import argparse
import hashlib
import json
import tempfile
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray
from stranger_networks import stranger_onnx

from hytnas_datasets.plan import Task, build_plan
from hytnas_datasets.spaces import get_space
from hytnas_datasets.store import Purpose, Study
from hytnas_datasets.work import GraphWork
from hytnas_host.collect.latency import collect_files
from hytnas_host.collect.options import MeasureOptions
from hytnas_host.devices import open_device
from hytnas_host.export import ExportPool
from hytnas_host.export.work import read_work
from hytnas_host.workflow.labels import LabelChoice, read_labels
from hytnas_predictors.estimators.layerwise import LayerwiseEstimator
from hytnas_predictors.features import make_features
from hytnas_predictors.graph_predictions import GraphPrediction, predict_graphs

TESTED = (
    ("MobileNetV1", 1.0, 224),
    ("MobileNetV2", 1.0, 224),
    ("SqueezeNet", 1.0, 224),
    ("MobileViT-like", 1.0, 256),
)
ADDED = (
    ("MobileNetV1", 0.5, 160),
    ("MobileNetV2", 0.5, 160),
    ("SqueezeNet", 0.5, 160),
    ("MobileViT-like", 0.5, 192),
    ("MobileNetV1", 0.25, 128),
)
SPACE, TARGET = "hyt", "latency_ms"


class Row(msgspec.Struct):
    """A stranger: measured, and predicted after the two fits, in milliseconds."""

    name: str
    measured_ms: float
    hyt_alone: GraphPrediction
    with_strangers: GraphPrediction


def write_files(folder: Path, n: int, resolution: int, seed: int) -> dict[str, Path]:
    """Model files by name: the strangers, and ``n`` networks of ``hyt``."""
    files = {}
    for name, width, size in (*TESTED, *ADDED):
        files[f"{name} {width}, {size}"] = path = folder / f"{name}-{width}-{size}.onnx"
        if not path.exists():
            path.write_bytes(stranger_onnx(name, width, size, seed))
    if n:
        sampled = get_space(SPACE).sample(n, np.random.default_rng(seed))
        plans = [build_plan(architecture, Task(resolution=resolution)) for architecture in sampled]
        with ExportPool() as pool:
            futures = [pool.submit(plan, folder / "hyt", seed=seed) for plan in plans]
            files |= {f"hyt {index}": future.result().path for index, future in enumerate(futures)}
    return files


def measure(
    folder: Path, files: dict[str, Path], device_name: str, processes: int | None
) -> dict[str, float]:
    """Latency in milliseconds by name; what has no label fails the run."""
    with Study.open(folder / "study") as study, open_device(device_name) as device:
        options = MeasureOptions.of(device.method, processes=processes, memory_pass=False)
        collect_files(study, [device], list(files.values()), options=options)
        labels = {label.export.sha256: label.label for label in study.labels.all(Purpose.LATENCY)}
    found = {}
    for name, path in files.items():
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        median_ms = labels[sha256].median_ms
        if median_ms is None:
            raise SystemExit(f"{name} has no label: {labels[sha256].outcome.value}")
        found[name] = median_ms
    return found


def fit(work: NDArray[np.float64], latencies_ms: NDArray[np.float64], seed: int) -> LayerwiseEstimator:
    return LayerwiseEstimator().fit(work, np.log(latencies_ms), rng=np.random.default_rng(seed))


def compare(
    works: dict[str, GraphWork],
    measured: dict[str, float],
    hyt: tuple[NDArray[np.float64], NDArray[np.float64]],
    seed: int,
) -> list[Row]:
    """The tested strangers by both fits."""
    tested = [f"{name} {width}, {size}" for name, width, size in TESTED]
    added = [f"{name} {width}, {size}" for name, width, size in ADDED]
    work, latencies_ms = hyt
    alone = fit(work, latencies_ms, seed)
    more = fit(
        np.vstack([work, *(works[name].columns for name in added)]),
        np.concatenate([latencies_ms, [measured[name] for name in added]]),
        seed,
    )
    graphs = [works[name] for name in tested]
    return [
        Row(name, measured[name], first, second)
        for name, first, second in zip(
            tested, predict_graphs(alone, graphs), predict_graphs(more, graphs), strict=True
        )
    ]


def show(rows: list[Row]) -> None:
    print(
        "| network, width, resolution | measured ms | hyt alone | error | not seen | five strangers | error |"
    )
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        cells = [f"{row.measured_ms:.2f}"]
        for prediction in (row.hyt_alone, row.with_strangers):
            cells.append(f"{prediction.mean:.2f} +- {prediction.std:.2f}")
            cells.append(f"{prediction.mean / row.measured_ms - 1:+.1%}")
        cells.insert(3, ", ".join(row.hyt_alone.unseen) or "-")
        print(f"| {row.name} | {' | '.join(cells)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", default="local")
    parser.add_argument("--data", help="labels of hyt of this device, instead of measuring --n networks")
    parser.add_argument("--labels", type=int, help="how many labels of --data to fit to; all by default")
    parser.add_argument("--n", type=int, default=20)
    parser.add_argument("--resolution", type=int, default=224)
    parser.add_argument("--processes", type=int, help="of a model; by default what suits the device")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, help="keep model files and labels here")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.work or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        n = 0 if options.data else options.n
        files = write_files(folder, n, options.resolution, options.seed)
        measured = measure(folder, files, options.device, options.processes)
        works = {name: read_work(path) for name, path in files.items()}
    if options.data:
        labels = read_labels(Path(), TARGET, SPACE, LabelChoice(data=options.data))
        table = make_features(labels.space, labels.architectures, labels.context.task, ("work",))
        chosen = np.random.default_rng(options.seed).permutation(len(labels))[: options.labels]
        hyt = (table.x[chosen], labels.y[chosen])
    else:
        names = [f"hyt {index}" for index in range(n)]
        hyt = (
            np.array([works[name].columns for name in names]),
            np.array([measured[name] for name in names]),
        )
    rows = compare(works, measured, hyt, options.seed)
    show(rows)
    if options.json:
        options.json.write_text(json.dumps(msgspec.to_builtins(rows), indent=1))


if __name__ == "__main__":
    main()
