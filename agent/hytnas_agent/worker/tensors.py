"""Input tensors of a measurement, and the comparison of its outputs with the reference."""

import math
import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from hytnas_agent.records import Outcome, ParityResult, Reference
from hytnas_agent.runtimes.arrays import Array
from hytnas_agent.runtimes.base import LoadedModel, RuntimeFailure, TensorSpec
from hytnas_agent.runtimes.integer_inputs import Range

MAX_TENSOR_BYTES = 512 * 1024 * 1024
MAX_ARRAYS = 64


class ParityFailure(Exception):
    """The model does not compute the reference outputs, or the reference does not fit the model."""

    def __init__(self, message: str, result: ParityResult | None = None) -> None:
        super().__init__(message)
        self.result = result


def random_inputs(
    specs: Sequence[TensorSpec], seed: int, ranges: Mapping[str, Range] | None = None
) -> list[Array]:
    """Seeded inputs: standard normal for floats, the whole range for 8-bit integers, 0 or 1 for others.

    Whole numbers stay in the range of their input, if ``ranges`` has one by its name.
    """
    rng = np.random.Generator(np.random.Philox(seed))
    total = sum(math.prod(spec.shape) * np.dtype(spec.dtype).itemsize for spec in specs)
    if total > MAX_TENSOR_BYTES:
        raise RuntimeFailure(
            Outcome.UNSUPPORTED, f"the inputs take {total} bytes, more than {MAX_TENSOR_BYTES}"
        )
    return [_random_tensor(spec, rng, (ranges or {}).get(spec.name, Range())) for spec in specs]


def _random_tensor(spec: TensorSpec, rng: np.random.Generator, allowed: Range) -> Array:
    dtype = np.dtype(spec.dtype)
    if dtype.kind == "f":
        return rng.standard_normal(spec.shape, dtype=np.float32).astype(dtype)
    low, high = 0, 2
    if dtype.kind in "iu" and dtype.itemsize == 1:
        info = np.iinfo(dtype)
        low, high = int(info.min), int(info.max) + 1
    if dtype.kind in "iu":
        low = low if allowed.low is None else max(low, allowed.low)
        high = max(low + 1, high if allowed.high is None else min(high, allowed.high))
    return rng.integers(low, high, spec.shape).astype(dtype)


class ArchiveError(ValueError):
    """A file is no archive of arrays, or one of more than is allowed."""


def read_archive(path: Path) -> dict[str, Array]:
    """The arrays of an ``.npz`` file by name, without pickle and within limits; raises ArchiveError."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            size = sum(member.file_size for member in members)
        if len(members) > MAX_ARRAYS or size > MAX_TENSOR_BYTES:
            raise ArchiveError(f"it holds {len(members)} arrays of {size} bytes: more than allowed")
        with np.load(path, allow_pickle=False) as arrays:
            return {str(name): arrays[name] for name in arrays.files}
    except ArchiveError:
        raise
    except Exception as error:  # a damaged file makes numpy and zipfile stumble in a dozen ways
        raise ArchiveError(f"it cannot be read: {error}") from error


def load_arrays(path: Path, prefix: str) -> list[Array]:
    """The arrays ``<prefix>_0``, ``<prefix>_1``, ... of an ``.npz`` file, without pickle and within limits.

    Raises
    ------
    ParityFailure
        If it is no such file.
    """
    try:
        arrays = read_archive(path)
        return [arrays[f"{prefix}_{index}"] for index in range(len(arrays))]
    except ArchiveError as error:
        raise ParityFailure(f"the file with the reference {prefix}s: {error}") from error
    except KeyError as error:
        raise ParityFailure(f"the reference {prefix}s cannot be read: there is no {error}") from error


def given_inputs(specs: Sequence[TensorSpec], path: Path) -> list[Array]:
    """The arrays of an ``.npz`` file that are named like the model's inputs, in the types of these.

    Raises
    ------
    RuntimeFailure
        UNSUPPORTED: it is no such file, or does not fit the model.
    """
    try:
        arrays = read_archive(path)
    except ArchiveError as error:
        raise RuntimeFailure(Outcome.UNSUPPORTED, f"the file with inputs: {error}") from error
    missing = [spec.name for spec in specs if spec.name not in arrays]
    if missing:
        raise RuntimeFailure(
            Outcome.UNSUPPORTED,
            f"the file with inputs has no array for {', '.join(map(repr, missing))}, "
            f"but for: {', '.join(map(repr, arrays)) or 'none'}",
        )
    return [_as_input(spec, arrays[spec.name]) for spec in specs]


def _as_input(spec: TensorSpec, array: Array) -> Array:
    """The array in shape and type of the input; whole numbers that the type cannot hold do not fit."""
    fits = array.shape == spec.shape and np.can_cast(array.dtype, spec.dtype, "same_kind")
    if fits:
        cast = np.ascontiguousarray(array.astype(spec.dtype)).reshape(spec.shape)
        if array.dtype.kind not in "iu" or np.array_equal(cast, array):
            return cast
    raise RuntimeFailure(
        Outcome.UNSUPPORTED,
        f"input {spec.name!r} is {spec.dtype} of shape {spec.shape}, and the given array {array.dtype} of "
        f"shape {array.shape}{' with numbers that do not fit' if fits else ''}",
    )


def reference_cases(specs: Sequence[TensorSpec], arrays: Sequence[Array]) -> list[list[Array]]:
    """The inputs of each reference case, shaped for the model; the arrays' first axis counts the cases.

    Raises
    ------
    ParityFailure
        If number, shapes or types do not fit the model's inputs.
    """
    if len(arrays) != len(specs):
        raise ParityFailure(f"the model has {len(specs)} inputs, the reference {len(arrays)}")
    cases = {array.shape[0] if array.ndim else 0 for array in arrays}
    if len(cases) != 1 or (count := cases.pop()) < 1:
        raise ParityFailure("the reference inputs differ in their number of cases, or have none")
    for spec, array in zip(specs, arrays, strict=True):
        if _without_ones(array.shape[1:]) != _without_ones(spec.shape) or array.dtype != spec.dtype:
            raise ParityFailure(
                f"input {spec.name!r} is {spec.dtype} of shape {spec.shape}, "
                f"the reference {array.dtype} of shape {array.shape[1:]}"
            )
    return [
        [
            np.ascontiguousarray(array[i]).reshape(spec.shape)
            for spec, array in zip(specs, arrays, strict=True)
        ]
        for i in range(count)
    ]


def _without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(dim for dim in shape if dim != 1)


def check_parity(
    model: LoadedModel,
    cases: Sequence[list[Array]],
    expected: Sequence[Array],
    reference: Reference,
    *,
    first: list[Array] | None = None,
) -> ParityResult:
    """Run every reference case and compare all outputs.

    Parameters
    ----------
    first : list of arrays, optional
        Outputs of the first case, where it has been run already.

    Raises
    ------
    ParityFailure
        If the largest absolute error exceeds ``tolerance * spread``, or is not a number.
    """
    worst = 0.0
    for index, case in enumerate(cases):
        outputs = first if index == 0 and first is not None else model.run(case)
        if len(outputs) != len(expected):
            raise ParityFailure(f"the model has {len(outputs)} outputs, the reference {len(expected)}")
        for output, reference_output in zip(outputs, expected, strict=True):
            worst = max(worst, _largest_error(output, reference_output, index))
    result = ParityResult(worst, reference.tolerance * reference.spread)
    if worst > result.limit:
        raise ParityFailure(
            f"outputs differ from the reference by {worst:.3g}, allowed is {result.limit:.3g}", result
        )
    return result


def _largest_error(output: Array, expected: Array, index: int) -> float:
    if not isinstance(output, np.ndarray):
        raise ParityFailure("an output is of a type that cannot be compared with the reference")
    if expected.ndim == 0 or index >= expected.shape[0]:
        raise ParityFailure("the reference outputs have fewer cases than its inputs")
    if output.size != expected[index].size:
        raise ParityFailure(f"an output has shape {output.shape}, the reference {expected.shape[1:]}")
    difference = output.astype(np.float64).ravel() - expected[index].astype(np.float64).ravel()
    error = float(np.max(np.abs(difference), initial=0.0))
    # Not a number compares false with every limit and is no JSON: it counts as the largest error there is.
    return error if np.isfinite(error) else sys.float_info.max
