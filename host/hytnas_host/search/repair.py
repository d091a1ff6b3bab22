"""Turning any whole numbers into codes of architectures, under the conditions and constraints of a space."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hytnas_datasets.spaces import Architecture, Space
from hytnas_datasets.spaces.variables import INACTIVE


def settle(codes: NDArray[np.int64], space: Space, rng: np.random.Generator) -> NDArray[np.int64]:
    """Make ``codes`` (n, v) agree with the conditions of the space; a new array of the same shape.

    A code beyond its variable's choices is clipped, a variable that does not exist gets ``INACTIVE``, and one
    that exists but has a negative code gets a random choice. Constraints are not looked at.
    """
    settled = np.array(codes, dtype=np.int64)
    columns = {variable.name: column for column, variable in enumerate(space.variables)}
    for column, variable in enumerate(space.variables):
        missing = settled[:, column] < 0
        settled[missing, column] = rng.integers(len(variable.choices), size=int(missing.sum()))
        np.minimum(settled[:, column], len(variable.choices) - 1, out=settled[:, column])
        if variable.when is not None:
            parent = columns[variable.when.variable]
            wanted = [space.variables[parent].index(value) for value in variable.when.values]
            settled[~np.isin(settled[:, parent], wanted), column] = INACTIVE
    return settled


def repair(codes: NDArray[np.int64], space: Space, rng: np.random.Generator) -> NDArray[np.int64]:
    """Nearby codes of architectures for ``codes`` (n, v) of any whole numbers; same shape.

    A row that breaks a constraint of the space after `settle` is approached from a random architecture: its
    codes are taken over one by one, in random order, as long as the result stays in the space.
    """
    settled = settle(codes, space, rng)
    for row in np.flatnonzero(~space.is_valid(settled)):
        settled[row] = _approach(settled[row], space, rng)
    return settled


def _approach(target: NDArray[np.int64], space: Space, rng: np.random.Generator) -> NDArray[np.int64]:
    current = space.encode(space.sample(1, rng))
    for column in rng.permutation(len(target)):
        if target[column] >= 0:
            candidate = current.copy()
            candidate[0, column] = target[column]
            candidate = settle(candidate, space, rng)
            if space.is_valid(candidate)[0]:
                current = candidate
    return np.asarray(current[0], dtype=np.int64)


def as_codes(architectures: Sequence[Architecture], space: Space) -> NDArray[np.int64]:
    """(n, v) ordinal codes of architectures that are known to be of the space; (0, v) for none."""
    codes = np.array([architecture.indices for architecture in architectures], dtype=np.int64)
    return codes.reshape(len(architectures), len(space.variables))


def as_architectures(codes: NDArray[np.int64], space: Space) -> list[Architecture]:
    """Architectures of (n, v) codes that are known to be of the space."""
    return [Architecture(space.name, tuple(row)) for row in codes.tolist()]
