"""Multi-layer perceptrons by scikit-learn, with standardised inputs and targets."""

import warnings
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import ArrayLike
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from hytnas_predictors.estimators import files
from hytnas_predictors.estimators.base import EnsembleEstimator, Floats


@dataclass(frozen=True)
class Weights:
    """A fitted network: ``y = y_scale * f((x - x_mean) / x_scale) + y_mean`` with rectified hidden layers."""

    x_mean: Floats
    x_scale: Floats
    y_mean: float
    y_scale: float
    layers: tuple[tuple[Floats, Floats], ...]

    def predict(self, x: Floats) -> Floats:
        """(n,) output of the network."""
        hidden = (x - self.x_mean) / self.x_scale
        *inner, (matrix, offset) = self.layers
        for weight, bias in inner:
            hidden = np.maximum(hidden @ weight + bias, 0.0)
        return np.asarray((hidden @ matrix + offset)[:, 0] * self.y_scale + self.y_mean)


class MLPEstimator(EnsembleEstimator):
    """A rectified network fitted by L-BFGS on the squared error; members differ in their first weights.

    Parameters
    ----------
    width : int
        Units of each hidden layer.
    alpha : float
        Weight decay on the standardised scale, as of scikit-learn: it fades as rows grow in number.
    max_iter : int
        Iterations of L-BFGS; stopping early is part of the regularisation.
    members : int
        Size of the ensemble; 1 is cheapest and gives no standard deviation.
    """

    suffix = "safetensors"
    hidden_layers: ClassVar[int]

    def __init__(self, *, width: int = 32, alpha: float = 2.0, max_iter: int = 100, members: int = 5) -> None:
        self.width = width
        self.alpha = alpha
        self.max_iter = max_iter
        self.members = members

    def _fit_member(self, x: Floats, y: Floats, seed: int) -> Weights:
        x_mean, x_scale = x.mean(axis=0), x.std(axis=0)
        x_scale = np.where(x_scale > 1e-12 * np.maximum(np.abs(x_mean), 1.0), x_scale, 1.0)
        y_mean, y_scale = float(y.mean()), float(y.std())
        if y_scale <= 1e-12 * max(abs(y_mean), 1e-300):
            y_scale = 1.0
        network = MLPRegressor(
            hidden_layer_sizes=(self.width,) * self.hidden_layers,
            solver="lbfgs",
            alpha=self.alpha,
            max_iter=self.max_iter,
            max_fun=4 * self.max_iter,
            random_state=seed,
        )
        with warnings.catch_warnings(), threadpool_limits(1):
            warnings.simplefilter("ignore", ConvergenceWarning)
            network.fit((x - x_mean) / x_scale, (y - y_mean) / y_scale)
        layers = tuple(zip(network.coefs_, network.intercepts_, strict=True))
        return Weights(x_mean, x_scale, y_mean, y_scale, layers)

    def _predict_member(self, model: Weights, x: Floats) -> ArrayLike:
        return model.predict(x)

    def _dump_member(self, model: Weights) -> bytes:
        tensors = {
            "x_mean": model.x_mean,
            "x_scale": model.x_scale,
            "y_mean": np.array([model.y_mean]),
            "y_scale": np.array([model.y_scale]),
        }
        for index, (weight, bias) in enumerate(model.layers):
            tensors |= {f"weight_{index}": weight, f"bias_{index}": bias}
        contiguous = {key: np.ascontiguousarray(value) for key, value in tensors.items()}
        return bytes(safetensors.numpy.save(contiguous))

    def _load_member(self, folder: Path, data: bytes, features: int) -> Weights:
        try:
            tensors = safetensors.numpy.load(data)
        except (safetensors.SafetensorError, ValueError, KeyError, TypeError) as error:
            raise files.unusable(folder, f"a member is no safetensors file ({error})") from error
        widths = [features, *[self.width] * self.hidden_layers, 1]
        shapes: dict[str, tuple[int, ...]] = {
            "x_mean": (features,), "x_scale": (features,), "y_mean": (1,), "y_scale": (1,)
        }  # fmt: skip
        for index, (rows, columns) in enumerate(pairwise(widths)):
            shapes |= {f"weight_{index}": (rows, columns), f"bias_{index}": (columns,)}
        sound = {key: value.shape for key, value in tensors.items()} == shapes and all(
            value.dtype == np.float64 and np.isfinite(value).all() for value in tensors.values()
        )
        if not sound or np.any(tensors["x_scale"] <= 0):
            raise files.unusable(folder, "a member's weights do not fit its network")
        layers = tuple((tensors[f"weight_{i}"], tensors[f"bias_{i}"]) for i in range(len(widths) - 1))
        y_mean, y_scale = float(tensors["y_mean"][0]), float(tensors["y_scale"][0])
        return Weights(tensors["x_mean"], tensors["x_scale"], y_mean, y_scale, layers)


class MLP2Estimator(MLPEstimator):
    """Two hidden layers."""

    name = "mlp2"
    hidden_layers = 2


class MLP3Estimator(MLPEstimator):
    """Three hidden layers."""

    name = "mlp3"
    hidden_layers = 3
