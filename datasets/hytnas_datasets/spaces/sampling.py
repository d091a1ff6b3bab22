"""Uniform draws of distinct integers: the ranks of a uniform sample without replacement."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hytnas_datasets.spaces.diagram import INT64_SIZE, Ranks


def draw_ranks(size: int, n: int, rng: np.random.Generator, excluded: Ranks) -> Ranks:
    """``n`` distinct integers of [0, size) outside ``excluded``, every ordered selection equally likely.

    Draws with replacement and keeps first occurrences; where most of the range is asked for, permutes it.

    Parameters
    ----------
    size : int
    n : int
        At most ``size`` less the number of excluded ranks.
    rng : numpy.random.Generator
    excluded : (m,) int64 or object
        Distinct.

    Returns
    -------
    ranks : (n,) int64, or object where ``size`` does not fit
    """
    if 2 * (n + len(excluded)) >= size:
        order = rng.permutation(size)
        return order[~np.isin(order, excluded.astype(np.int64))][:n]
    drawn = np.empty(0, dtype=excluded.dtype)
    while len(drawn) < n:
        more = _integers(size, n - len(drawn) + 16, rng)
        drawn = _first_occurrences(np.concatenate([drawn, more]), excluded)
    return drawn[:n]


def _integers(size: int, n: int, rng: np.random.Generator) -> NDArray[Any]:
    """``n`` independent uniform integers of [0, size), of any magnitude."""
    if size <= INT64_SIZE:
        return rng.integers(size, size=n)
    bits = size.bit_length()
    surplus = -bits % 8
    accepted: list[int] = []
    while len(accepted) < n:
        value = int.from_bytes(rng.bytes((bits + surplus) // 8), "big") >> surplus
        if value < size:
            accepted.append(value)
    return np.array(accepted, dtype=object)


def _first_occurrences(values: NDArray[Any], excluded: NDArray[Any]) -> NDArray[Any]:
    """``values`` without repeats and without ``excluded``, in their order."""
    if values.dtype == object:
        unwanted = set(excluded.tolist())
        return np.array([v for v in dict.fromkeys(values.tolist()) if v not in unwanted], dtype=object)
    _, first = np.unique(values, return_index=True)
    kept = values[np.sort(first)]
    return kept[~np.isin(kept, excluded)] if len(excluded) else kept
