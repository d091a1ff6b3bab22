"""Bringing model files to a board: the transport's SFTP push against ``scp``, over the same sshd.

``push`` is what a collection does for a model: ask whether it is there, copy it over the open SSH connection,
and have the agent check size and hash and take it into its spool. Peers: ``scp`` with all files in one call,
and ``scp`` called for each file, which logs in anew each time. The files are random, so that no layer can
compress them or know them already. The three take turns in an order drawn anew each round; reported is
throughput, and its ratio to ``scp`` with a 95 % bootstrap interval over rounds of the median of the ratios.
Both ends are this machine and share its processors, so the ciphers decide, not a network: on a Raspberry Pi
the cable and the SD card are slower than either.

Run: python benchmarks/push_throughput.py [--rounds 9] [--json FILE]
"""

import argparse
import hashlib
import json
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
from loopback import SshServer, board_over_ssh
from one_model import load_average

from hytnas_host.devices.client import AgentDevice

SIZES = {"100 KB": (100_000, 30), "20 MB": (20_000_000, 3)}
WAYS = ("push", "scp", "scp, one by one")
RESAMPLES = 2000


def write_random(folder: Path, size_bytes: int, count: int, rng: np.random.Generator) -> list[Path]:
    files = []
    for number in range(count):
        files.append(folder / f"{number}.onnx")
        files[-1].write_bytes(rng.bytes(size_bytes))
    return files


def push(device: AgentDevice, files: list[Path]) -> float:
    hashes = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]  # a collection knows them
    started_s = time.perf_counter()
    for file, sha256 in zip(files, hashes, strict=True):
        device.push(file, sha256, ".onnx")
    return time.perf_counter() - started_s


def scp(server: SshServer, calls: list[list[Path]], target: Path) -> float:
    known = target / "known_hosts"
    known.write_text(server.host_key_line + "\n")
    options = ["-q", "-B", "-F", "none", "-P", str(server.port), "-i", str(server.key_file)]
    options += ["-o", "IdentitiesOnly=yes", "-o", f"UserKnownHostsFile={known}"]
    started_s = time.perf_counter()
    for files in calls:
        subprocess.run(["scp", *options, *files, f"{server.user}@{server.host}:{target}"], check=True)
    return time.perf_counter() - started_s


def take_turns(size_bytes: int, count: int, rounds: int) -> dict[str, list[float]]:
    """Seconds of each round by way; the first round, with its login, is not counted."""
    rng = np.random.default_rng(0)
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    with board_over_ssh() as (server, device):
        device.acquire("benchmark of pushing")
        for turn in range(rounds + 1):
            with tempfile.TemporaryDirectory() as source, tempfile.TemporaryDirectory() as target:
                files = write_random(Path(source), size_bytes, count, rng)
                for way in rng.permutation(list(WAYS)):
                    if way == "push":
                        taken = push(device, files)
                    else:
                        calls = [files] if way == "scp" else [[file] for file in files]
                        taken = scp(server, calls, Path(target))
                    if turn:
                        seconds[str(way)].append(taken)
    return seconds


def ratio_to_scp(seconds: dict[str, list[float]], way: str) -> dict[str, float]:
    """Throughput relative to ``scp``: median over rounds, with its interval."""
    ratios = np.array(seconds["scp"]) / np.array(seconds[way])
    drawn = np.random.default_rng(1).choice(ratios, (RESAMPLES, len(ratios)))
    low, high = np.quantile(np.median(drawn, axis=1), [0.025, 0.975])
    return {"value": float(np.median(ratios)), "low": float(low), "high": float(high)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    load = load_average()
    rows = []
    for name, (size_bytes, count) in SIZES.items():
        seconds = take_turns(size_bytes, count, arguments.rounds)
        for way in WAYS:
            median_s = float(np.median(seconds[way]))
            rows.append(
                {
                    "files": f"{count} x {name}",
                    "way": way,
                    "megabytes_per_s": size_bytes * count / median_s / 1e6,
                    "ms_per_file": 1e3 * median_s / count,
                    "ratio_to_scp": ratio_to_scp(seconds, way),
                }
            )
    print(f"{'files':14}{'way':18}{'MB/s':>8}{'ms a file':>11}{'throughput / scp [95 %]':>27}")
    for row in rows:
        ratio = row["ratio_to_scp"]
        shown = f"{ratio['value']:.2f} [{ratio['low']:.2f}, {ratio['high']:.2f}]"
        print(
            f"{row['files']:14}{row['way']:18}{row['megabytes_per_s']:8.1f}{row['ms_per_file']:11.1f}{shown:>27}"
        )
    print(f"{arguments.rounds} rounds; load average before: {load}")
    if arguments.json:
        found = {"rounds": arguments.rounds, "load_average": load, "rows": rows}
        arguments.json.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
