"""Initial designs: the architectures a search evaluates before it has anything to learn from.

References
----------
[McKay1979] M. D. McKay, R. J. Beckman, W. J. Conover, "A Comparison of Three Methods for Selecting Values of
    Input Variables in the Analysis of Output from a Computer Code", Technometrics 21(2), 1979.
"""

from collections.abc import Collection
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from hytnas_datasets.spaces import Architecture
from hytnas_host.search.problem import SearchProblem
from hytnas_host.search.repair import as_architectures, repair

_MAX_DOUBLINGS: Final = 6


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
    if n <= 0:
        return []
    choices = np.array([len(variable.choices) for variable in problem.space.variables], dtype=np.int64)
    found: list[Architecture] = []
    for doubling in range(_MAX_DOUBLINGS):
        codes = latin_hypercube_codes(choices, n << doubling, rng)
        found = problem.select_new(as_architectures(repair(codes, problem.space, rng), problem.space), seen)
        if len(found) >= n or n << doubling > problem.space.size:
            break
    if len(found) > n:
        kept = np.sort(rng.choice(len(found), size=n, replace=False))
        return [found[index] for index in kept]
    taken = {*seen, *problem.identities(found)}
    return found + problem.draw_new(n - len(found), taken, rng)
