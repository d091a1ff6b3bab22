"""Named arrays as a safetensors file, and the checks that each reader of one needs."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

Tensors = dict[str, NDArray[Any]]


def dump(tensors: Mapping[str, NDArray[Any]]) -> bytes:
    """The content of a safetensors file that holds these arrays."""
    return bytes(safetensors.numpy.save({key: np.ascontiguousarray(value) for key, value in tensors.items()}))


def parse(data: bytes) -> Tensors:
    """The arrays in the content of a safetensors file; raises ValueError for anything else."""
    try:
        # Copies: the reader's arrays lie in ``data`` as they come, and matrix products on arrays of another
        # alignment may end in other last digits.
        return {key: np.array(value) for key, value in safetensors.numpy.load(data).items()}
    except (safetensors.SafetensorError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"it is no safetensors file ({error})") from error


def check_floats(tensors: Mapping[str, NDArray[Any]], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raise ValueError unless these are the arrays there are, of these shapes, float64 and finite.

    Examples
    --------
    >>> check_floats({"bias": np.zeros(3)}, {"bias": (3,)})
    >>> check_floats({"bias": np.zeros(3)}, {"bias": (4,)})
    Traceback (most recent call last):
    ...
    ValueError: bias has shape (3,), not (4,)
    """
    if tensors.keys() != shapes.keys():
        raise ValueError(
            f"it holds {', '.join(sorted(tensors)) or 'nothing'}, not {', '.join(sorted(shapes))}"
        )
    for name, shape in shapes.items():
        array = tensors[name]
        if array.shape != shape:
            raise ValueError(f"{name} has shape {array.shape}, not {shape}")
        if array.dtype != np.float64:
            raise ValueError(f"{name} is of {array.dtype}, not float64")
        if not np.isfinite(array).all():
            raise ValueError(f"{name} holds NaN or infinity")
