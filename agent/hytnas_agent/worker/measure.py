"""The measurement itself, in the order of the method: load, cold, parity, warm-up, timed runs.

The other passes leave this way early, or take something else than timed runs at its end.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from msgspec import UnsetType

from hytnas_agent.device.files import read_fields
from hytnas_agent.device.health import health_snapshot
from hytnas_agent.pass_records import OperatorProfile
from hytnas_agent.passes import DEFAULT_LOAD_S
from hytnas_agent.protocol import RuntimeInfo
from hytnas_agent.records import MeasurePass, ModelFormat, Outcome, ParityResult
from hytnas_agent.runtimes.arrays import Array
from hytnas_agent.runtimes.base import LoadedModel, Runtime, RuntimeFailure, TensorSpec
from hytnas_agent.runtimes.identity import model_identity
from hytnas_agent.runtimes.integer_inputs import read_ranges
from hytnas_agent.runtimes.not_a_model import what_it_is
from hytnas_agent.runtimes.precision import read_precision
from hytnas_agent.runtimes.registry import candidates, create
from hytnas_agent.runtimes.tflite_file import read_tflite
from hytnas_agent.worker.clock import process_clock
from hytnas_agent.worker.energy import measure_energy, require_meter
from hytnas_agent.worker.messages import Report, SpeedRequest, Stage, WorkerRequest
from hytnas_agent.worker.processor import ProcessorMeter
from hytnas_agent.worker.profiling import profile_model
from hytnas_agent.worker.speed import CoreStaysSlowError, SpeedProbe, SpeedWatch, look_for_best
from hytnas_agent.worker.sustained import judge_windows, run_windows
from hytnas_agent.worker.tensors import (
    ParityFailure,
    check_parity,
    given_inputs,
    load_arrays,
    random_inputs,
    reference_cases,
)
from hytnas_agent.worker.timing import time_runs, warm_up

MEMORY_PASS_RUNS = 3
GENERATED: Final = "the inputs were made up (give real ones with --inputs FILE.npz)"

Emit = Callable[[Stage], None]


def measure(request: WorkerRequest, emit: Emit) -> Report:
    """Measure one model once; a model that fails is a report too."""
    measured: dict[str, Any] = {"health_before": health_snapshot(request.cores)}
    try:
        outcome, message = Outcome.OK, _measure_into(measured, request, emit)
    except RuntimeFailure as failure:
        outcome, message = failure.outcome, failure.what
    except ParityFailure as failure:
        outcome, message = Outcome.PARITY, str(failure)
        measured["parity"] = failure.result
    except CoreStaysSlowError as slow:
        outcome, message = Outcome.THROTTLED, str(slow)
    except MemoryError:
        outcome, message = Outcome.OOM, "the worker ran out of memory"
    if "processor_time" not in measured:
        measured["health_after"] = health_snapshot(request.cores)
    return Report(outcome, message, **measured)


def _measure_into(measured: dict[str, Any], request: WorkerRequest, emit: Emit) -> str:
    """Measure, and what is to be said of a model that goes well."""
    job = request.job
    emit(Stage("importing the runtime"))
    runtime, info = _first_usable(request)
    emit(Stage("loading the model", info))
    path = Path(request.model_path)
    _check_hash(path, job.format, job.model_sha256)
    _check_content(path, job.format)
    emit(Stage("loading the model", precision=read_precision(path, job.format)))
    remark = read_tflite(path).remark if job.format == "tflite" else ""
    if job.measure_pass == MeasurePass.PROFILE:
        emit(Stage("in the profile pass"))
        with _accounted(measured, request):
            measured["profile"] = _profile(request, runtime, path)
        return remark
    if job.measure_pass == MeasurePass.ENERGY:
        require_meter()  # before anything is loaded in vain
    clock = process_clock()
    before = clock()
    model = runtime.load(path, threads=job.settings.threads)
    measured["load_ms"] = (clock() - before) / 1e6
    chosen = _inputs(request, model)
    made_up = chosen.generated and any(map(_holds_integers, model.inputs))
    emit(Stage("in the first inference" + (" of made-up whole numbers" if made_up else "")))
    inputs = chosen.cases[0]
    with _blamed(chosen, model.inputs):
        before = clock()
        outputs = model.run(inputs)
        measured["cold_ms"] = (clock() - before) / 1e6
    if job.measure_pass == MeasurePass.MEMORY:
        emit(Stage("in the memory pass"))
        for _ in range(MEMORY_PASS_RUNS - 1):
            model.run(inputs)
        measured["peak_rss_bytes"] = peak_rss_bytes()
        return remark
    measured["parity"] = _parity(request, model, chosen.cases, outputs)
    watch = None
    if request.speed is not None:
        emit(Stage("looking for the core's best speed"))
        watch = _speed_watch(request.speed, clock)
    emit(Stage("warming up"))
    warm = _WarmModel(request, lambda: model.run(inputs), clock, watch)
    _warm_up(measured, warm)
    if watch is not None and request.speed is not None:
        emit(Stage("waiting for the core to be fast"))
        emit(Stage("waiting for the core to be fast", waited_s=_wait(measured, request.speed, watch)))
    timed = job.measure_pass == MeasurePass.TIMED
    emit(Stage("in the timed runs" if timed else f"in the {job.measure_pass} pass"))
    _WARM_PASSES[job.measure_pass](measured, warm)
    return remark


@dataclass(frozen=True)
class _WarmModel:
    """A loaded model as the passes find it that begin once it is warm: ``run`` is one inference of it."""

    request: WorkerRequest
    run: Callable[[], object]
    clock: Callable[[], int]
    watch: SpeedWatch | None


@contextlib.contextmanager
def _accounted(measured: dict[str, Any], request: WorkerRequest) -> Iterator[None]:
    """Keep the board's health before and after a pass that went well, and its processor time."""
    measured["health_before"] = health_snapshot(request.cores)
    meter = ProcessorMeter()
    yield
    measured["processor_time"] = meter.read()
    measured["health_after"] = health_snapshot(request.cores)


def _profile(request: WorkerRequest, runtime: Runtime, path: Path) -> OperatorProfile:
    assert request.scratch_path is not None
    settings = request.job.settings
    return profile_model(
        runtime,
        path,
        threads=settings.threads,
        folder=Path(request.scratch_path),
        make_inputs=lambda model: _inputs(request, model).cases[0],
        clock=process_clock(),
    )


def _take_energy(measured: dict[str, Any], warm: _WarmModel) -> None:
    with _accounted(measured, warm.request):
        measured["energy"] = measure_energy(require_meter(), warm.run, load_s=_load_s(warm.request))


def _sustain(measured: dict[str, Any], warm: _WarmModel) -> None:
    cores = warm.request.cores
    with _accounted(measured, warm.request):
        windows = run_windows(
            warm.run, load_s=_load_s(warm.request), clock=warm.clock, health=lambda: health_snapshot(cores)
        )
        measured["sustained"] = judge_windows(windows)


def _load_s(request: WorkerRequest) -> float:
    chosen_s = request.job.settings.load_s
    return DEFAULT_LOAD_S[request.job.measure_pass] if isinstance(chosen_s, UnsetType) else chosen_s


def _warm_up(measured: dict[str, Any], warm: _WarmModel) -> None:
    settings = warm.request.job.settings
    warmup_ns, steady = warm_up(
        warm.run,
        clock=warm.clock,
        window=settings.warmup_window,
        max_runs=settings.warmup_max_runs,
        max_s=settings.warmup_max_s,
    )
    measured["steady"] = steady if warmup_ns else None
    measured["warmup_ms"] = tuple(duration / 1e6 for duration in warmup_ns)


def _time(measured: dict[str, Any], warm: _WarmModel) -> None:
    settings = warm.request.job.settings
    measured["health_before"] = health_snapshot(warm.request.cores)
    meter = ProcessorMeter()
    samples_ns = time_runs(
        warm.run,
        clock=warm.clock,
        min_runs=settings.min_runs,
        max_runs=settings.max_runs,
        budget_s=settings.timed_budget_s,
        watch=warm.watch,
    )
    # At once: what comes after, the end of the runtime for one, is no part of the runs.
    measured["processor_time"] = meter.read(len(samples_ns))
    measured["involuntary_switches"] = measured["processor_time"].preemptions
    measured["health_after"] = health_snapshot(warm.request.cores)
    measured["samples_ms"] = tuple(duration / 1e6 for duration in samples_ns)
    measured["core_speed"] = None if warm.watch is None else warm.watch.read()


_WARM_PASSES: Final[dict[MeasurePass, Callable[[dict[str, Any], _WarmModel], None]]] = {
    MeasurePass.TIMED: _time,
    MeasurePass.ENERGY: _take_energy,
    MeasurePass.SUSTAINED: _sustain,
}
"""What each pass measures of a warm model; the memory and the profile pass need none."""


def _speed_watch(speed: SpeedRequest, clock: Callable[[], int]) -> SpeedWatch:
    probe = SpeedProbe(clock)
    best_us = look_for_best(probe, clock=clock) if speed.best_us is None else speed.best_us
    return SpeedWatch(probe, clock=clock, best_us=best_us, may_end_early=speed.may_end_early)


def _wait(measured: dict[str, Any], speed: SpeedRequest, watch: SpeedWatch) -> float:
    """Seconds that the core was waited for, in vain where the process may not end for that."""
    fast = watch.wait_before(speed.wait_s)
    waited_s = watch.read().waited_before_s
    if not fast and watch.may_end_early:
        watch.ended_early = True
        measured["core_speed"] = watch.read()
        raise CoreStaysSlowError(f"the core stayed slow for {waited_s:.1f} s: no run was timed")
    return waited_s


def _first_usable(request: WorkerRequest) -> tuple[Runtime, RuntimeInfo]:
    failure: RuntimeFailure | None = None
    for name in candidates(request.job.format, request.job.runtime):
        try:
            runtime = create(name)
        except RuntimeFailure as error:
            failure = failure or error
        else:
            return runtime, runtime.info()
    assert failure is not None
    raise failure


def _check_hash(path: Path, model_format: ModelFormat, expected: str) -> None:
    try:
        found = model_identity(path, model_format)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise RuntimeFailure(Outcome.INVALID_MODEL, f"the model cannot be read: {reason}") from error
    if found != expected:
        raise RuntimeFailure(Outcome.INVALID_MODEL, "the model file does not have the hash it is named by")


def _check_content(path: Path, model_format: ModelFormat) -> None:
    found = what_it_is(path, model_format)
    if found:
        raise RuntimeFailure(Outcome.INVALID_MODEL, f"the file is no {model_format} model: {found}")


@dataclass(frozen=True)
class _Inputs:
    """What a model is run with: the cases of its reference, inputs that somebody gave, or made-up ones."""

    cases: list[list[Array]]
    generated: bool = False


def _inputs(request: WorkerRequest, model: LoadedModel) -> _Inputs:
    job = request.job
    if request.inputs_path is not None and job.reference is None:
        return _Inputs([given_inputs(model.inputs, Path(request.inputs_path))])
    if request.inputs_path is not None and job.measure_pass not in (MeasurePass.MEMORY, MeasurePass.PROFILE):
        return _Inputs(reference_cases(model.inputs, load_arrays(Path(request.inputs_path), "input")))
    whole = any(_holds_integers(spec) for spec in model.inputs)
    ranges = read_ranges(Path(request.model_path), job.format) if whole else {}
    return _Inputs([random_inputs(model.inputs, job.settings.input_seed, ranges)], generated=True)


def _holds_integers(spec: TensorSpec) -> bool:
    return not spec.dtype.startswith("float")


@contextlib.contextmanager
def _blamed(inputs: _Inputs, specs: Sequence[TensorSpec]) -> Iterator[None]:
    """Say of a run that fails that its inputs were made up, for which nobody can blame the model."""
    try:
        yield
    except RuntimeFailure as failure:
        if not inputs.generated or failure.outcome is Outcome.OOM:
            raise
        outcome = Outcome.UNSUPPORTED if any(map(_holds_integers, specs)) else failure.outcome
        raise RuntimeFailure(outcome, f"{GENERATED}: {failure.what}") from failure


def _parity(
    request: WorkerRequest, model: LoadedModel, cases: list[list[Array]], first: list[Array]
) -> ParityResult | None:
    """Compare with the reference; ``first`` are the outputs of the first case, which has been run."""
    if request.job.reference is None or request.outputs_path is None:
        return None
    expected = load_arrays(Path(request.outputs_path), "output")
    return check_parity(model, cases, expected, request.job.reference, first=first)


def peak_rss_bytes() -> int | None:
    """The largest resident set of this process so far: VmHWM of proc_pid_status(5)."""
    value = read_fields(Path("/proc/self/status")).get("VmHWM", "").removesuffix(" kB")
    return int(value) * 1024 if value.isdigit() else None
