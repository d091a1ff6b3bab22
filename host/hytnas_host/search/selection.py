"""Which of the candidates to evaluate next: batches chosen greedily by hypervolume improvement.

References
----------
[Guerreiro2016] A. P. Guerreiro, C. M. Fonseca, L. Paquete, "Greedy Hypervolume Subset Selection in Low
    Dimensions", Evolutionary Computation 24(3), 2016: greedy choice is within 1 - 1/e of the best subset.
"""

import numpy as np
from numpy.typing import NDArray

from hytnas_host.search.pareto import hypervolume_improvement


def greedy_hypervolume(
    front: NDArray[np.float64],
    candidates: NDArray[np.float64],
    reference_point: NDArray[np.float64],
    n: int,
    /,
    *,
    preference: NDArray[np.float64] | None = None,
) -> list[int]:
    """Indices of ``n`` candidates, each the one that adds most to those before it. [Guerreiro2016]_

    All values are minimised. Hypervolume is submodular, so a gain computed earlier bounds the present one
    from above, and a candidate is looked at again only where its bound could still win.

    Parameters
    ----------
    front : (f, m) float64
        What is there already (evaluated or pending).
    candidates : (k, m) float64
    reference_point : (m,) float64
    n : int
        At most ``k`` indices are returned.
    preference : (k,) float64, optional
        Larger goes first among candidates that add equally much, as when none adds anything; earlier first
        without it.
    """
    count = len(candidates)
    order = np.zeros(count) if preference is None else preference
    present = front.reshape(len(front), candidates.shape[1])
    bounds = hypervolume_improvement(present, candidates, reference_point)
    left = set(range(count))
    chosen: list[int] = []
    while left and len(chosen) < n:
        best, best_gain = -1, -np.inf
        for index in sorted(left, key=lambda i: (-bounds[i], -order[i], i)):
            if best >= 0 and bounds[index] < best_gain:
                break
            gain = float(hypervolume_improvement(present, candidates[[index]], reference_point)[0])
            bounds[index] = gain
            if best < 0 or (gain, order[index]) > (best_gain, order[best]):
                best, best_gain = index, gain
        chosen.append(best)
        left.discard(best)
        present = np.vstack([present, candidates[[best]]])
    return chosen
