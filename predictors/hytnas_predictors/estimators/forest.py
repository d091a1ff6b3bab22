"""The estimator ``random-forest``: trees of scikit-learn on resampled rows, kept as plain arrays."""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestRegressor
from sklearn.tree._tree import NODE_DTYPE, Tree

from hytnas_predictors.estimators import trees
from hytnas_predictors.estimators.base import ArrayEstimator, Floats, mean_and_deviation
from hytnas_predictors.estimators.tensors import Tensors

DTYPES: dict[str, type[np.generic]] = {
    "first": np.int64, "left": np.int64, "right": np.int64, "feature": np.int64,
    "threshold": np.float64, "value": np.float64,
}  # fmt: skip
LEAF = -1


@dataclass(frozen=True)
class Forest:
    """Trees, one behind the other.

    Attributes
    ----------
    first : (t + 1,) int64
        Where each tree's nodes begin; the last entry is the number of nodes.
    left, right : (k,) int64
        Children of each node, counted from the tree's own first node; -1 at a leaf.
    feature : (k,) int64
        Column that an inner node looks at.
    threshold : (k,) float64
        A row goes to the left where its value, in single precision, is at most this.
    value : (k,) float64
        What a leaf predicts.
    """

    first: NDArray[np.int64]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    feature: NDArray[np.int64]
    threshold: Floats
    value: Floats

    def predict(self, x: Floats) -> tuple[Floats, Floats]:
        """(n,) mean, and standard deviation over the trees."""
        single = x.astype(np.float32)  # scikit-learn's trees are grown on, and compare, single precision
        return mean_and_deviation(np.stack([tree.predict(single)[:, 0] for tree in self._trees]))

    def tensors(self) -> Tensors:
        """All of it as named arrays, for `from_tensors`."""
        return {name: getattr(self, name) for name in DTYPES}

    @classmethod
    def from_tensors(cls, tensors: Tensors, *, features: int) -> Self:
        """What `tensors` gave; raises ValueError for arrays that are no trees over ``features`` columns."""
        if {name: array.dtype for name, array in tensors.items()} != DTYPES:
            raise ValueError(f"it does not hold {', '.join(DTYPES)} in their types")
        first, *per_node = (tensors[name] for name in DTYPES)
        nodes = len(per_node[0]) if per_node[0].ndim == 1 else -1
        if any(array.shape != (nodes,) for array in per_node) or first.ndim != 1 or len(first) < 2:
            raise ValueError("the lengths of its arrays disagree")
        if first[0] != 0 or first[-1] != nodes or np.any(np.diff(first) < 1):
            raise ValueError("its trees do not follow each other")
        if not (np.isfinite(tensors["threshold"]).all() and np.isfinite(tensors["value"]).all()):
            raise ValueError("a threshold or a value is NaN or infinite")
        forest = cls(**tensors)
        for start, end in pairwise(first):
            links = (forest.left[start:end], forest.right[start:end], forest.feature[start:end])
            if not trees.links_are_sound(*links, features):
                raise ValueError("the links of a tree are inconsistent")
        return forest

    @cached_property
    def _trees(self) -> list[Tree]:
        """The trees as scikit-learn has them, whose links `from_tensors` has checked."""
        columns = int(self.feature.max(initial=0)) + 1
        return [self._tree(start, end, columns) for start, end in pairwise(self.first)]

    def _tree(self, start: int, end: int, columns: int) -> Tree:
        nodes = np.zeros(end - start, dtype=NODE_DTYPE)
        for name, child in (("left_child", self.left), ("right_child", self.right)):
            nodes[name] = np.maximum(child[start:end], LEAF)  # native code knows a leaf by this number alone
        nodes["feature"], nodes["threshold"] = self.feature[start:end], self.threshold[start:end]
        tree = Tree(columns, np.ones(1, dtype=np.intp), 1)
        values = np.ascontiguousarray(self.value[start:end, None, None])
        tree.__setstate__(
            {"max_depth": len(nodes), "node_count": len(nodes), "nodes": nodes, "values": values}
        )
        return tree


class RandomForestEstimator(ArrayEstimator):
    """A random forest of scikit-learn; its files hold the trees as arrays, whose links are checked.

    The standard deviation says how far the trees disagree.

    Parameters
    ----------
    n_estimators : int
        Number of trees.
    max_features : float
        Share of the columns among which each split chooses.
    min_samples_leaf : int
        Rows that a leaf has at least.
    """

    name = "random-forest"

    def __init__(
        self, *, n_estimators: int = 100, max_features: float = 0.4, min_samples_leaf: int = 2
    ) -> None:
        self.n_estimators = n_estimators
        self.max_features = max_features
        self.min_samples_leaf = min_samples_leaf

    def _fit(self, x: Floats, y: Floats, rng: np.random.Generator) -> Forest:
        model = RandomForestRegressor(
            self.n_estimators,
            max_features=self.max_features,
            min_samples_leaf=self.min_samples_leaf,
            random_state=int(rng.integers(2**31 - 1)),
        ).fit(x, y)
        grown = [tree.tree_ for tree in model.estimators_]

        def joined(name: str) -> NDArray[Any]:
            return np.concatenate([getattr(tree, name) for tree in grown])

        return Forest(
            first=np.cumsum([0, *(tree.node_count for tree in grown)], dtype=np.int64),
            left=joined("children_left").astype(np.int64),
            right=joined("children_right").astype(np.int64),
            feature=joined("feature").astype(np.int64),
            threshold=joined("threshold").astype(np.float64),
            value=joined("value")[:, 0, 0].astype(np.float64),
        )

    def _from_tensors(self, arrays: Tensors, features: int) -> Forest:
        return Forest.from_tensors(arrays, features=features)
