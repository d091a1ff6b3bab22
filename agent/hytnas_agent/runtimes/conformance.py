"""What every runtime must do, bundled or of another package; see `hytnas_agent.conformance` for the use."""

from pathlib import Path
from typing import Final

import numpy as np

from hytnas_agent.conformance import SuiteCheck, refused
from hytnas_agent.records import Outcome
from hytnas_agent.runtimes.arrays import Array
from hytnas_agent.runtimes.base import LoadedModel, RuntimeFailure
from hytnas_agent.runtimes.probe import probe_runtime
from hytnas_agent.runtimes.registry import RUNTIMES, candidates, create


def check_it_is_usable_in_a_process_of_its_own(name: str, folder: Path) -> None:
    """A throw-away process imports it, runs its tiny model, and gives its name, version and formats."""
    del folder
    info = probe_runtime(name)
    assert info.usable, info.reason
    assert info.name == name, f"it calls itself {info.name!r}"
    assert info.formats == RUNTIMES.get(name).formats, f"it says that it runs {info.formats}"
    assert info.version, "it has no version"


def check_it_runs_a_model_and_again_the_same(name: str, folder: Path) -> None:
    """With one thread and with two, a second run gives equal outputs; the tiny model is ``y = relu(x)``."""
    for threads in (1, 2):
        model = create(name).load(_tiny(name, folder), threads=threads)
        inputs = _filled(model, 2)
        first, again = model.run(list(inputs)), model.run(list(inputs))
        assert len(first) == 1, f"the tiny model has {len(first)} outputs"
        np.testing.assert_array_equal(first[0], again[0])
        np.testing.assert_array_equal(first[0], inputs[0])


def check_its_outputs_follow_its_inputs(name: str, folder: Path) -> None:
    """Other inputs give other outputs."""
    model = create(name).load(_tiny(name, folder), threads=1)
    one, two = model.run(_filled(model, 1))[0], model.run(_filled(model, 2))[0]
    assert not np.array_equal(one, two), "inputs of 1 and of 2 give the same output"


def check_it_times_operators_or_says_that_it_cannot(name: str, folder: Path) -> None:
    """A profile has operators whose times do not exceed the runs; without a profiler it is UNSUPPORTED."""
    runtime, path = create(name), _tiny(name, folder)
    try:
        model = runtime.load_profiled(path, threads=1, folder=folder)
    except RuntimeFailure:
        failure = refused(
            RuntimeFailure,
            lambda: runtime.load_profiled(path, threads=1, folder=folder),
            "does not time operators",
        )
        assert failure.outcome is Outcome.UNSUPPORTED, f"the outcome is {failure.outcome}"
        return
    inputs = _filled(model, 2)
    for _ in range(3):
        np.testing.assert_array_equal(model.run(list(inputs))[0], inputs[0])
    profile = model.end_profile(skip_runs=1)
    assert profile.runs == 2, f"of 3 runs, the first skipped, it times {profile.runs}"
    assert profile.operators, "it times no operator"
    assert profile.kernel_ms <= profile.run_ms, "operators take longer than the runs"


def check_a_file_that_is_no_model_is_invalid(name: str, folder: Path) -> None:
    """Garbage is refused in one line as INVALID_MODEL, at the latest when it is run."""
    path = folder / f"garbage.{RUNTIMES.get(name).formats[0]}"
    for content in (b"", b"nothing of the kind", bytes(range(256)) * 64):
        path.write_bytes(content)
        failure = refused(RuntimeFailure, lambda: create(name).load(path, threads=1).run([]))
        assert failure.outcome is Outcome.INVALID_MODEL, f"the outcome is {failure.outcome}"
        assert "\n" not in failure.what, f"the message is of several lines: {failure.what!r}"


def check_it_is_found_by_its_format(name: str, folder: Path) -> None:
    """The agent takes it for each of its formats, and when it is asked for by name."""
    del folder
    for model_format in RUNTIMES.get(name).formats:
        assert name in candidates(model_format), f"it is no candidate for {model_format}"
        assert list(candidates(model_format, name)) == [name]


CHECKS: Final[tuple[SuiteCheck, ...]] = (
    check_it_is_usable_in_a_process_of_its_own,
    check_it_runs_a_model_and_again_the_same,
    check_its_outputs_follow_its_inputs,
    check_it_times_operators_or_says_that_it_cannot,
    check_a_file_that_is_no_model_is_invalid,
    check_it_is_found_by_its_format,
)


def _tiny(name: str, folder: Path) -> Path:
    path = folder / f"tiny.{RUNTIMES.get(name).formats[0]}"
    path.write_bytes(create(name).tiny_model)
    return path


def _filled(model: LoadedModel, value: int) -> list[Array]:
    return [np.full(spec.shape, value, spec.dtype) for spec in model.inputs]
