"""The profile pass: the time of each operator, counted by the runtime itself."""

from collections.abc import Callable
from pathlib import Path

from hytnas_agent.pass_records import OperatorProfile
from hytnas_agent.runtimes.arrays import Array
from hytnas_agent.runtimes.base import LoadedModel, Runtime
from hytnas_agent.worker.timing import time_runs

PROFILE_WARMUP_RUNS = 5
PROFILE_MIN_RUNS = 5
PROFILE_MAX_RUNS = 30
PROFILE_BUDGET_S = 5.0


def profile_model(
    runtime: Runtime,
    path: Path,
    *,
    threads: int,
    folder: Path,
    make_inputs: Callable[[LoadedModel], list[Array]],
    clock: Callable[[], int],
) -> OperatorProfile:
    """Profile a model file over some runs, its first ones left out.

    Parameters
    ----------
    runtime : Runtime
    path : Path
    threads : int
    folder : Path
        Where the profiler may write.
    make_inputs : callable
        Gives the inputs of the loaded model.
    clock : callable
        Nanoseconds.

    Raises
    ------
    RuntimeFailure
        As ``Runtime.load_profiled`` and ``ProfiledModel.end_profile``.
    """
    model = runtime.load_profiled(path, threads=threads, folder=folder)
    inputs = make_inputs(model)
    for _ in range(PROFILE_WARMUP_RUNS):
        model.run(inputs)
    time_runs(
        lambda: model.run(inputs),
        clock=clock,
        min_runs=PROFILE_MIN_RUNS,
        max_runs=PROFILE_MAX_RUNS,
        budget_s=PROFILE_BUDGET_S,
    )
    return model.end_profile(PROFILE_WARMUP_RUNS)
