"""Memory of the agent while it waits and while it measures (aim: less than 25 MB idle).

Counted is the whole process tree: the server, the bridge while a host is connected, and the worker while a
job runs. PSS (``smaps_rollup``) shares out pages that several processes map; RSS counts them whole for
each process, so it is the upper bound on a board where no other Python runs. Peers in the same run: a Python
interpreter that waits for a line, and the plain script of ``one_model.py`` that measures the same model.
The maps of the waiting agent are searched for numpy and the runtimes, which only a worker may load.

Run: python benchmarks/agent_memory.py [--model FILE.onnx] [--rounds 5] [--json FILE]
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from one_model import by_agent, export_canary, load_average, local_agent, push_onnx, script_command

AIM_IDLE_MB = 25.0
SAMPLE_EVERY_S = 0.01
FOREIGN = ("numpy", "onnxruntime", "tflite_runtime", "ai_edge_litert")
IDLE = "agent, idle"
CONNECTED = "agent, host connected"
Memory = dict[str, float]


def descendants(pid: int) -> list[int]:
    """A process and all below it, as far as they are there."""
    found = [pid]
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += [each for child in children.read_text().split() for each in descendants(int(child))]
    return found


def agent_processes(state: Path, server: int) -> list[int]:
    """The server's tree, and whatever else runs on this state folder: the bridge."""
    bridges = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.fsencode(state) in (entry / "cmdline").read_bytes().split(b"\0"):
                bridges += descendants(int(entry.name))
    return sorted({*descendants(server), *bridges})


def memory_of(pids: list[int]) -> Memory:
    """PSS and RSS of some processes together, in MB."""
    total = {"Pss": 0, "Rss": 0}
    for pid in pids:
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                name, _, value = line.partition(":")
                if name in total:
                    total[name] += int(value.split()[0]) * 1024
    return {"pss_mb": total["Pss"] / 1e6, "rss_mb": total["Rss"] / 1e6}


def foreign_libraries(pids: list[int]) -> list[str]:
    """What of numpy and the runtimes these processes have mapped."""
    maps = "".join(Path(f"/proc/{pid}/maps").read_text() for pid in pids)
    return [name for name in FOREIGN if name in maps]


@contextlib.contextmanager
def peak_of(pids: Callable[[], list[int]]) -> Iterator[Memory]:
    """The largest memory seen while the block runs; the processes are listed anew for each sample."""
    peak = {"pss_mb": 0.0, "rss_mb": 0.0}
    done = threading.Event()

    def watch() -> None:
        while not done.wait(SAMPLE_EVERY_S):
            for name, value in memory_of(pids()).items():
                peak[name] = max(peak[name], value)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()


def waiting_python() -> Memory:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        time.sleep(1.0)
        found = memory_of([process.pid])
        process.communicate(b"\n")
    return found


def measuring_script(model: Path, core: int) -> Memory:
    process = subprocess.Popen(script_command(model, core), stdout=subprocess.DEVNULL)
    with process, peak_of(lambda: [process.pid]) as peak:
        process.wait()
    return peak


def measure_agent(
    model: Path, rounds: int, core: int, folder: Path
) -> tuple[dict[str, list[Memory]], list[str]]:
    """Memory in each state of the agent, and the foreign libraries that it maps while it waits."""
    state = folder / "agent"
    found: dict[str, list[Memory]] = {IDLE: [], CONNECTED: [], "agent, peak": []}
    with local_agent(state, "benchmark of the agent's memory") as device:
        server = device.hello().agent_pid
        sha256 = push_onnx(device, model)
        for _ in range(rounds):
            with peak_of(lambda: agent_processes(state, server)) as peak:
                by_agent(device, sha256, core)
            found["agent, peak"].append(peak)
            found[IDLE].append(memory_of(descendants(server)))
            found[CONNECTED].append(memory_of(agent_processes(state, server)))
        return found, foreign_libraries(agent_processes(state, server))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)))
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = arguments.model or export_canary(folder)
        agent, foreign = measure_agent(model, arguments.rounds, arguments.core, folder)
        scripts = [measuring_script(model, arguments.core) for _ in range(arguments.rounds)]
    rows = {
        **agent,
        "python, idle": [waiting_python()],
        "script, peak": scripts,
    }
    table = {
        name: {key: float(np.median([each[key] for each in found])) for key in ("pss_mb", "rss_mb")}
        for name, found in rows.items()
    }
    print(f"{'':24}{'PSS, MB':>10}{'RSS, MB':>10}")
    for name, row in table.items():
        print(f"{name:24}{row['pss_mb']:10.1f}{row['rss_mb']:10.1f}")
    peak_ratio = table["agent, peak"]["pss_mb"] / table["script, peak"]["pss_mb"]
    print(f"peak of the agent / peak of the script: {peak_ratio:.2f} (PSS)")
    within = "yes" if table[IDLE]["pss_mb"] < AIM_IDLE_MB else "no"
    print(
        f"idle PSS below {AIM_IDLE_MB:g} MB: {within}; loaded while idle: {', '.join(foreign) or 'none'} of"
    )
    print(f"{', '.join(FOREIGN)}; load average: {load_average()}")
    if arguments.json:
        found = {"rows": table, "peak_pss_ratio": peak_ratio, "loaded_while_idle": foreign}
        arguments.json.write_text(json.dumps(found | {"load_average": load_average()}, indent=2))


if __name__ == "__main__":
    main()
