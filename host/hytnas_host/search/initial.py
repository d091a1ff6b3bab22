"""Initial designs: the architectures a search evaluates before it has anything to learn from.

References
----------
[McKay1979] M. D. McKay, R. J. Beckman, W. J. Conover, "A Comparison of Three Methods for Selecting Values of
    Input Variables in the Analysis of Output from a Computer Code", Technometrics 21(2), 1979.
[Lloyd1982] S. P. Lloyd, "Least squares quantization in PCM", IEEE Transactions on Information Theory 28(2),
    1982 (k-means).
"""

from collections.abc import Callable, Collection
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from hytnas_agent.registry import Registry
from hytnas_datasets.spaces import Architecture
from hytnas_host.search.errors import SearchError
from hytnas_host.search.problem import SearchProblem
from hytnas_host.search.repair import as_architectures, repair

_MAX_DOUBLINGS: Final = 6
_OFFERED: Final = 10
_BETA: Final = 0.5

Design = Callable[[SearchProblem, int, Collection[str], np.random.Generator], list[Architecture]]
"""Takes the problem, how many, the identities that must not come, and the generator."""


def uniform(
    problem: SearchProblem, n: int, seen: Collection[str], rng: np.random.Generator
) -> list[Architecture]:
    """Up to ``n`` new networks, uniform over the admissible architectures of the space."""
    return problem.draw_new(n, seen, rng)


def latin_hypercube_codes(choices: NDArray[np.int64], n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """(n, v) codes of a Latin hypercube over v variables with ``choices`` (v,) choices each. [McKay1979]_

    In each column every choice comes floor(n / choices) or a few times more.
    """
    # The sampler spawns from the generator it is given, and a spawn is not part of a generator's state.
    own = np.random.default_rng(int(rng.integers(2**63)))
    unit = qmc.LatinHypercube(d=len(choices), rng=own).random(n)
    return np.minimum((unit * choices).astype(np.int64), choices - 1)


def latin_hypercube(
    problem: SearchProblem, n: int, seen: Collection[str], rng: np.random.Generator
) -> list[Architecture]:
    """Up to ``n`` new networks of a Latin hypercube in the discrete space.

    Where constraints or repeated networks leave fewer than ``n``, a design of twice the size is drawn and
    ``n`` of its admissible networks are kept at random, and so on; what is then still missing is uniform.
    """
    return _from_codes(problem, n, seen, rng, latin_hypercube_codes)


def beta_codes(choices: NDArray[np.int64], n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """(n, v) codes by the arcsine law Beta(1/2, 1/2): the first and last choices come more often."""
    unit = rng.beta(_BETA, _BETA, size=(n, len(choices)))
    return np.minimum((unit * choices).astype(np.int64), choices - 1)


def beta(
    problem: SearchProblem, n: int, seen: Collection[str], rng: np.random.Generator
) -> list[Architecture]:
    """Up to ``n`` new networks that lie towards the ends of each variable; filled up like the hypercube."""
    return _from_codes(problem, n, seen, rng, beta_codes)


def clustering(
    problem: SearchProblem, n: int, seen: Collection[str], rng: np.random.Generator
) -> list[Architecture]:
    """Up to ``n`` new networks, those nearest to the centres of n clusters of many more. [Lloyd1982]_"""
    from sklearn.cluster import KMeans  # noqa: PLC0415 (slow to import)

    offered = problem.draw_new(_OFFERED * n, seen, rng)
    if len(offered) <= n:
        return offered
    choices = np.array([len(variable.choices) for variable in problem.space.variables])
    places = problem.space.encode(offered) / np.maximum(choices - 1, 1)
    clusters = KMeans(n, n_init=1, random_state=int(rng.integers(2**31))).fit(places)
    distances = clusters.transform(places)
    nearest = dict.fromkeys(np.argmin(distances, axis=0).tolist())
    rest = [index for index in rng.permutation(len(offered)).tolist() if index not in nearest]
    return [offered[index] for index in [*nearest, *rest][:n]]


def _from_codes(
    problem: SearchProblem,
    n: int,
    seen: Collection[str],
    rng: np.random.Generator,
    draw: Callable[[NDArray[np.int64], int, np.random.Generator], NDArray[np.int64]],
) -> list[Architecture]:
    if n <= 0:
        return []
    choices = np.array([len(variable.choices) for variable in problem.space.variables], dtype=np.int64)
    found: list[Architecture] = []
    for doubling in range(_MAX_DOUBLINGS):
        codes = draw(choices, n << doubling, rng)
        offered = as_architectures(repair(codes, problem.space, rng), problem.space)
        found = problem.select_new(problem.nearest(offered, seen), seen)
        if len(found) >= n or n << doubling > problem.space.size:
            break
    if len(found) > n:
        kept = np.sort(rng.choice(len(found), size=n, replace=False))
        return [found[index] for index in kept]
    taken = {*seen, *problem.identities(found)}
    return found + problem.draw_new(n - len(found), taken, rng)


DESIGNS: Final[Registry[Design]] = Registry(
    "hytnas.designs",
    "initial design",
    {
        "lhs": "hytnas_host.search.initial:latin_hypercube",
        "uniform": "hytnas_host.search.initial:uniform",
        "beta": "hytnas_host.search.initial:beta",
        "clustering": "hytnas_host.search.initial:clustering",
    },
    error=SearchError,
    accepts=callable,
)
"""Initial designs by name."""
