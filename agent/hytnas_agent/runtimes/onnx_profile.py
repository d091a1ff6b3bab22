"""Reading what ONNX Runtime's profiler wrote: events in the trace format of Chrome [trace]_.

References
----------
.. [trace] https://onnxruntime.ai/docs/performance/tune-performance/profiling-tools.html
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from hytnas_agent.pass_records import OperatorProfile, OperatorTime
from hytnas_agent.records import Outcome
from hytnas_agent.runtimes.base import RuntimeFailure

MAX_PROFILE_BYTES = 48 * 1024 * 1024
MAX_OPERATORS = 5000
MAX_NAME_CHARACTERS = 160

_KERNEL = "_kernel_time"
_RUN = "model_run"
# Their events span those of the operators inside them, which are counted themselves.
_CONTAINERS = frozenset({"Loop", "If", "Scan"})


def read_profile(path: Path, skip_runs: int) -> OperatorProfile:
    """The profile in a file, without its first runs.

    Raises
    ------
    RuntimeFailure
        UNSUPPORTED, if the file is too large, or not what this version of the reader knows.
    """
    try:
        size = path.stat().st_size
        if size > MAX_PROFILE_BYTES:
            raise RuntimeFailure(
                Outcome.UNSUPPORTED, f"the profile has {size} bytes, more than {MAX_PROFILE_BYTES}"
            )
        events = msgspec.json.decode(path.read_bytes(), type=list[dict[str, Any]])
    except (OSError, msgspec.MsgspecError) as error:
        raise RuntimeFailure(Outcome.UNSUPPORTED, f"the profile cannot be read: {error}") from error
    return profile_of(events, skip_runs)


def profile_of(events: Iterable[Mapping[str, Any]], skip_runs: int) -> OperatorProfile:
    """The profile that these events tell; an operator's event comes before that of the run it belongs to.

    Raises
    ------
    RuntimeFailure
        UNSUPPORTED, if no run is left, the runs differ, or there are too many operators.
    """
    runs: list[dict[tuple[str, str], float]] = []
    durations_us: list[float] = []
    current: dict[tuple[str, str], float] = {}
    for event in events:
        name, duration = str(event.get("name", "")), event.get("dur")
        if not isinstance(duration, int | float):
            continue
        if name == _RUN:
            runs.append(current)
            durations_us.append(float(duration))
            current = {}
        elif event.get("cat") == "Node" and name.endswith(_KERNEL):
            kind = str((event.get("args") or {}).get("op_name", ""))
            if kind not in _CONTAINERS:
                key = (name.removesuffix(_KERNEL)[:MAX_NAME_CHARACTERS], kind[:MAX_NAME_CHARACTERS])
                current[key] = current.get(key, 0.0) + duration
    kept = runs[skip_runs:]
    if not kept or not kept[0]:
        raise RuntimeFailure(Outcome.UNSUPPORTED, "the profile tells of no operator")
    if len(kept[0]) > MAX_OPERATORS:
        raise RuntimeFailure(
            Outcome.UNSUPPORTED, f"the model has {len(kept[0])} operators, more than {MAX_OPERATORS}"
        )
    operators = tuple(
        OperatorTime(name, kind, interquartile_mean([run.get((name, kind), 0.0) for run in kept]))
        for name, kind in kept[0]
    )
    return OperatorProfile(len(kept), interquartile_mean(durations_us[skip_runs:]) / 1000, operators)


def interquartile_mean(values: Sequence[float], /) -> float:
    """Mean of the middle half of ``(n,)`` values, n >= 1.

    Robust as a median is, but finer than the whole microseconds that the profiler counts in.
    """
    ordered = sorted(values)
    cut = len(ordered) // 4
    middle = ordered[cut : len(ordered) - cut]
    return math.fsum(middle) / len(middle)
