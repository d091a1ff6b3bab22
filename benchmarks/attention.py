"""Which way of writing the attention block runs fastest on ONNX Runtime, among numerically equal ones.

Every variant computes the same function of the same weights: unfold into patches, two pre-norm encoder
layers, a layer norm, fold. Each is exported, checked against the literal one, and timed on one thread,
interleaved with the others in a randomised order, so that what disturbs the machine disturbs all. A round
takes the fastest of five runs of each; reported is its ratio to the literal variant in the same round:
median, and 10th to 90th percentile over rounds.

Run: python benchmarks/attention.py [--rounds 60] [--json attention.json]
"""

import argparse
import io
import json
import logging
import math
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import torch
from attention_variants import VARIANTS, Encoder
from torch import Tensor, nn

LAYERS = 2
RUNS = 5
TOLERANCE = 2e-4

# (width, map, heads, patch): stage 3, 4 and 5 of narrow, middling and wide networks at 224x224.
CASES = [
    (12, 28, 1, 2),
    (36, 28, 2, 2),
    (64, 28, 1, 2),
    (64, 28, 2, 2),
    (64, 28, 4, 2),
    (56, 14, 2, 2),
    (128, 14, 4, 2),
    (84, 8, 4, 2),
    (256, 8, 4, 2),
    (64, 32, 2, 4),
    (96, 32, 4, 8),
]


def export(module: nn.Module, example: Tensor) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module, (example,), buffer, opset_version=17, dynamo=False, input_names=["x"])
    return buffer.getvalue()


def open_session(model: bytes) -> tuple[ort.InferenceSession, dict[str, int]]:
    """A one-thread session, and how many nodes and transposes its optimised graph has."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "optimised.onnx"
        options.optimized_model_filepath = str(path)
        session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        kinds = [node.op_type for node in onnx.load(path).graph.node]
    return session, {
        "nodes": len(kinds),
        "transposes": kinds.count("Transpose"),
    }


def measure(case: tuple[int, int, int, int], rounds: int, names: list[str]) -> list[dict[str, object]]:
    """Rows of one case: every variant, relative to the first."""
    width, size, heads, patch = case
    torch.manual_seed(0)
    encoders = nn.ModuleList(Encoder(width, heads) for _ in range(LAYERS))
    norm = nn.LayerNorm(width)
    x = torch.randn(1, width, size, size)
    sessions, graphs = [], []
    reference = None
    for name in names:
        module = VARIANTS[name](encoders, norm, patch, size).eval()
        with torch.no_grad():
            session, graph = open_session(export(module, x))
        (output,) = session.run(None, {"x": x.numpy()})
        reference = output if reference is None else reference
        error = float(np.abs(output - reference).max())
        if error > TOLERANCE:
            raise SystemExit(f"{name} is not equal to {names[0]}: {error}")
        sessions.append(session)
        graphs.append({**graph, "max_error": error})
    feed = {"x": x.numpy()}
    rng = np.random.default_rng(0)
    for session in sessions:
        for _ in range(5):
            session.run(None, feed)
    seconds = np.empty((rounds, len(names)))
    for r in range(rounds):
        for i in rng.permutation(len(names)):
            runs = []
            for _ in range(RUNS):
                start = time.perf_counter()
                sessions[i].run(None, feed)
                runs.append(time.perf_counter() - start)
            seconds[r, i] = min(runs)
    ratios = seconds / seconds[:, :1]
    rows = []
    for i, name in enumerate(names):
        low, mid, high = np.quantile(ratios[:, i], [0.1, 0.5, 0.9])
        rows.append(
            {
                "case": case,
                "variant": name,
                "ms": float(np.median(seconds[:, i]) * 1e3),
                "ratio": float(mid),
                "ratio_p10": float(low),
                "ratio_p90": float(high),
                **graphs[i],
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--variants", nargs="*", default=list(VARIANTS))
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.backends.mha.set_fastpath_enabled(False)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    rows = []
    for case in CASES:
        found = measure(case, arguments.rounds, arguments.variants)
        rows += found
        print(f"\nwidth {case[0]}, map {case[1]}x{case[1]}, heads {case[2]}, patch {case[3]}")
        for row in found:
            spread = f"{row['ratio_p10']:.2f}-{row['ratio_p90']:.2f}"
            print(
                f"  {row['variant']:<30} {row['ms']:7.3f} ms  x{row['ratio']:.2f} ({spread})"
                f"  {row['nodes']:3d} nodes, {row['transposes']:2d} transposes"
            )
    print("\nGeometric mean of the ratios over the cases")
    for name in arguments.variants:
        logs = [math.log(row["ratio"]) for row in rows if row["variant"] == name]
        print(f"  {name:<30} x{math.exp(sum(logs) / len(logs)):.3f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
