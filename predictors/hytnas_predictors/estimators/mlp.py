"""The estimators ``mlp2`` and ``mlp3``: multi-layer perceptrons, all members trained at once."""

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Self

import numpy as np

from hytnas_predictors.errors import PredictorError
from hytnas_predictors.estimators.base import ArrayEstimator, Floats, check_members, mean_and_deviation
from hytnas_predictors.estimators.networks import Networks, train
from hytnas_predictors.estimators.standardised import Standardisation, mean_and_scale
from hytnas_predictors.estimators.tensors import Tensors, check_floats
from hytnas_predictors.estimators.threads import one_thread

CHUNK_ROWS = 4096
LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class FittedNetworks:
    """``y = y_mean + y_scale * networks(standardised x)``, averaged over the networks.

    The networks are of single precision; ``tensors`` gives their numbers in double, without loss.
    """

    columns: Standardisation
    y_mean: float
    y_scale: float
    networks: Networks

    def predict(self, x: Floats) -> tuple[Floats, Floats]:
        """(n,) mean and standard deviation over the networks."""
        parts = [
            self.networks(self.columns(x[start : start + CHUNK_ROWS]))
            for start in range(0, len(x), CHUNK_ROWS)
        ]
        mean, std = mean_and_deviation(np.concatenate(parts, axis=1).astype(np.float64))
        return mean * self.y_scale + self.y_mean, std * self.y_scale

    def tensors(self) -> Tensors:
        """All of it as named arrays, for `from_tensors`."""
        networks = self.networks.astype(np.float64)
        arrays = {
            "x_mean": self.columns.mean,
            "x_scale": self.columns.scale,
            "y_mean": np.array([self.y_mean]),
            "y_scale": np.array([self.y_scale]),
            "shortcut": networks.shortcut,
        }
        for index, (weight, bias) in enumerate(zip(networks.weights, networks.biases, strict=True)):
            arrays |= {f"weight_{index}": weight, f"bias_{index}": bias}
        return arrays

    @classmethod
    def from_tensors(cls, tensors: Tensors, *, features: int, members: int, hidden: tuple[int, ...]) -> Self:
        """What `tensors` gave; raises ValueError for arrays that are no such networks."""
        shapes: dict[str, tuple[int, ...]] = {
            "x_mean": (features,), "x_scale": (features,), "y_mean": (1,), "y_scale": (1,),
            "shortcut": (members, features, 1),
        }  # fmt: skip
        for index, (wide, high) in enumerate(pairwise((features, *hidden, 1))):
            shapes |= {f"weight_{index}": (members, wide, high), f"bias_{index}": (members, 1, high)}
        check_floats(tensors, shapes)
        if np.any(tensors["x_scale"] <= 0) or tensors["y_scale"][0] <= 0:
            raise ValueError("a scale is not positive")
        if any(np.abs(each).max() > LARGEST for name, each in tensors.items() if name[0] not in "xy"):
            raise ValueError("a weight is too large for single precision")
        layers = range(len(hidden) + 1)
        networks = Networks(
            tuple(tensors[f"weight_{index}"] for index in layers),
            tuple(tensors[f"bias_{index}"] for index in layers),
            tensors["shortcut"],
        )
        columns = Standardisation(tensors["x_mean"], tensors["x_scale"])
        y_mean, y_scale = float(tensors["y_mean"][0]), float(tensors["y_scale"][0])
        return cls(columns, y_mean, y_scale, networks.astype(np.float32))


class MLPEstimator(ArrayEstimator):
    """Networks of SiLU units beside a straight line, trained by AdamW and stopped early.

    Members differ in their first weights and in the rows by which they stop; the mean predicts. The standard
    deviation says how far they disagree, and is 0 for a single member.

    Parameters
    ----------
    width : int
        Units of each hidden layer.
    weight_decay : float
        Pulls the weights to 0; a smaller one follows the labels more closely.
    learning_rate : float
        At the start; it falls to 0.
    max_steps : int
        Most steps of training.
    members : int
        Size of the ensemble.
    """

    hidden_layers: ClassVar[int]

    def __init__(
        self,
        *,
        width: int = 32,
        weight_decay: float = 2.0,
        learning_rate: float = 0.01,
        max_steps: int = 400,
        members: int = 8,
    ) -> None:
        self.width = width
        self.weight_decay = weight_decay
        self.learning_rate = learning_rate
        self.max_steps = max_steps
        self.members = members

    def _fit(self, x: Floats, y: Floats, rng: np.random.Generator) -> FittedNetworks:
        check_members(self.members)
        if min(self.width, self.max_steps) < 1:
            raise PredictorError(
                f"width is {self.width} and max_steps {self.max_steps}", "Give at least 1 of each."
            )
        columns, (y_mean, y_scale) = Standardisation.of(x), mean_and_scale(y)
        with one_thread():
            networks = train(
                columns(x),
                (y - y_mean) / y_scale,
                members=self.members,
                hidden=self._hidden(),
                weight_decay=self.weight_decay,
                learning_rate=self.learning_rate,
                max_steps=self.max_steps,
                rng=rng,
            )
        return FittedNetworks(columns, y_mean, y_scale, networks)

    def _from_tensors(self, arrays: Tensors, features: int) -> FittedNetworks:
        return FittedNetworks.from_tensors(
            arrays, features=features, members=self.members, hidden=self._hidden()
        )

    def _hidden(self) -> tuple[int, ...]:
        return (self.width,) * self.hidden_layers


class MLP1Estimator(MLPEstimator):
    """One hidden layer; for few labels that are fitted again and again, as a search does."""

    name = "mlp1"
    hidden_layers = 1


class MLP2Estimator(MLPEstimator):
    """Two hidden layers."""

    name = "mlp2"
    hidden_layers = 2


class MLP3Estimator(MLPEstimator):
    """Three hidden layers."""

    name = "mlp3"
    hidden_layers = 3
