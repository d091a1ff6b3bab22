"""The latency of one device from a few labels, given what a predictor learned of another device.

``log y = log p(work) + factor + shares . deviations + slope * log p(work) + g(log work) + noise``, where p is
the prior. It says what each kind of work costs on the other device, so which share of a network's latency it
makes up. The labels say how the devices differ: by a factor, by how much dearer each kind of work is, by a
power (a device with a large fixed cost is less steep), and by what a Gaussian process finds smooth. Each of
these has mean zero: what the labels do not say is as on the other device.

References
----------
Few labels of a new device suffice where others are known: by meta-learning, HELP [LLK21]_; by pre-training on
many devices and a sampler that picks the networks, NASFLAT [AA24]_; by finding similar devices whose kernels
are known, LitePred [F24]_. Here one other device is enough, and the model is linear and Gaussian.

.. [LLK21] Lee, Lee, Kang and Hwang, HELP: hardware-adaptive efficient latency prediction for NAS via
   meta-learning, NeurIPS 2021.
.. [AA24] Akhauri and Abdelfattah, On latency predictors for neural architecture search, MLSys 2024.
.. [F24] Feng et al., LitePred: transferable and scalable latency prediction for hardware-aware neural
   architecture search, NSDI 2024.
.. [H99] Hoeting, Madigan, Raftery and Volinsky, Bayesian model averaging: a tutorial, Statistical Science 14,
   1999.
"""

from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import cholesky, solve_triangular
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from hytnas_predictors.errors import PredictorError
from hytnas_predictors.estimators import files, tensors
from hytnas_predictors.estimators.base import BundledEstimator, Floats, check_features
from hytnas_predictors.estimators.gaussian_process import matern
from hytnas_predictors.estimators.layerwise import FAR, ROWS_AT_ONCE, LayerwiseEstimator

MAX_ROWS: Final = 300
LENGTH: Final = 3.0
SLOPE: Final = 0.5
DEVIATIONS: Final = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
SMOOTH: Final = (0.0, 0.03, 0.1, 0.3)
NOISE: Final = (0.005, 0.01, 0.02, 0.04, 0.08, 0.16)
USUAL_DEVIATION: Final = 0.3
USUAL_SMOOTH: Final = 0.05
USUAL_NOISE: Final = 0.04
PRIOR_FOLDER: Final = "prior"
SCALARS: Final = ("factor", "center", "deviation_variance", "smooth_variance", "noise_variance", "usual_std")


@dataclass(frozen=True)
class Transferred:
    """A fitted transfer from c work columns, of n labels.

    Attributes
    ----------
    prior : LayerwiseEstimator
        Of the other device.
    factor : float
        Mean log ratio of the labels to the prior.
    center : float
        Mean log prior of the labels' networks.
    deviation_variance, smooth_variance, noise_variance : float
        Mean variances of a kind of work's log ratio, of the smooth part, and of a label.
    rows : (n, c) float64
        The networks of the labels, as the smooth part sees them.
    weights : (p,) float64
        Of the p = 2 + c + n basis functions, in the mean.
    explained : (p, p) float64
        The quadratic form of the basis functions that the variance is lessened by.
    seen : (c,) float64
        1 where a network of the prior or of the labels does this work, else 0.
    usual_std : float
        Mean standard deviation at the labels' networks.
    """

    prior: LayerwiseEstimator
    factor: float
    center: float
    deviation_variance: float
    smooth_variance: float
    noise_variance: float
    rows: Floats
    weights: Floats
    explained: Floats
    seen: Floats
    usual_std: float

    def predict(self, work: Floats) -> tuple[Floats, Floats]:
        """(n,) mean and standard deviation of the logarithms of new labels."""
        level = self.prior.predict(work)
        linear = linear_part(self.prior, work, level - self.center)
        basis = np.hstack([linear, matern(smooth_points(self.prior, work), self.rows, 1.0)])
        variance = (
            1.0
            + self.deviation_variance * np.einsum("nd,nd->n", linear[:, 1:], linear[:, 1:])
            + self.smooth_variance
            - np.einsum("np,pq,nq->n", basis, self.explained, basis, optimize=True)
        )
        std = np.sqrt(np.maximum(variance, 0.0) + self.noise_variance)
        return level + self.factor + basis @ self.weights, std


class TransferEstimator(BundledEstimator):
    """A layer-wise predictor of another device, corrected by the labels of this one.

    ``x`` holds work columns and ``y`` logarithms of labels, as for ``layerwise``. How much the devices differ
    in each way, and how noisy the labels are, cannot be told from ten labels: predictions are means over a
    grid of answers, weighted by how well each explains the labels [H99]_. The standard deviation is that of a
    new label, noise included.

    Parameters
    ----------
    prior : LayerwiseEstimator, optional
        Fitted to the other device. Without one, that which is fitted to the labels themselves.

    Notes
    -----
    Of more than 300 labels it takes a random 300: so many need no prior.
    """

    name = "transfer"
    suffix = "safetensors"

    def __init__(self, *, prior: LayerwiseEstimator | None = None) -> None:
        self.prior = prior

    def __sklearn_clone__(self) -> Self:
        """An unfitted copy with the same prior, which stays fitted."""
        return type(self)(prior=self.prior)

    def save(self, folder: Path) -> None:
        """Write the correction, and the prior into a folder of its own."""
        self._check_fitted()
        contents = self._dump(self.model_)
        files.write(
            folder, files.make_header(self.name, {}, self.n_features_in_, contents), self.suffix, contents
        )
        self.model_.prior.save(folder / PRIOR_FOLDER)

    def extrapolates(self, x: ArrayLike) -> NDArray[np.bool_]:
        """(n,) whether a row holds work that neither device has seen, or is far less certain than usual.

        Raises
        ------
        PredictorError
            As `predict_with_std`.
        """
        std = self.predict_with_std(x)[1]
        work = check_features(x, self.n_features_in_)
        unseen = (work[:, self.model_.seen == 0] > 0).any(axis=1)
        return np.asarray(unseen | (std > FAR * self.model_.usual_std))

    def _fit(self, x: Floats, y: Floats, rng: np.random.Generator) -> Transferred:
        prior = self.prior or LayerwiseEstimator().fit(x, y, rng=rng)
        if not hasattr(prior, "process_") or prior.n_features_in_ != x.shape[1]:
            raise PredictorError(
                f"the prior of {self.name} is not a layerwise estimator fitted to {x.shape[1]} columns",
                "Fit one to labels of the other device, with the feature set work.",
            )
        kept = np.sort(rng.permutation(len(y))[:MAX_ROWS])
        return fit_transfer(prior, x[kept], y[kept])

    def _predict(self, model: Transferred, x: Floats) -> tuple[Floats, Floats]:
        mean, std = np.empty(len(x)), np.empty(len(x))
        for start in range(0, len(x), ROWS_AT_ONCE):
            part = slice(start, start + ROWS_AT_ONCE)
            mean[part], std[part] = model.predict(x[part])
        return mean, std

    def _dump(self, model: Transferred) -> list[bytes]:
        arrays = {name: getattr(model, name) for name in ("rows", "weights", "explained", "seen")}
        return [tensors.dump(arrays | {name: np.array([getattr(model, name)]) for name in SCALARS})]

    def _load(self, folder: Path, contents: list[bytes], features: int) -> Transferred:
        prior = LayerwiseEstimator.load(folder / PRIOR_FOLDER)
        try:
            if prior.n_features_in_ != features:
                raise ValueError("its prior was fitted to other columns")
            (data,) = contents
            arrays = tensors.parse(data)
            rows = len(arrays["rows"]) if arrays.get("rows", np.empty(0)).ndim == 2 else 0
            if not 0 < rows <= MAX_ROWS:
                raise ValueError(f"it holds no rows, or more than {MAX_ROWS}")
            size = 2 + features + rows
            shapes: dict[str, tuple[int, ...]] = dict.fromkeys(SCALARS, (1,))
            shapes |= {"rows": (rows, features), "weights": (size,), "explained": (size, size)}
            tensors.check_floats(arrays, shapes | {"seen": (features,)})
            scalars: dict[str, float] = {name: float(arrays.pop(name)[0]) for name in SCALARS}
            if min(scalars["noise_variance"], scalars["usual_std"]) <= 0:
                raise ValueError("a variance is not positive")
        except ValueError as error:
            raise files.unusable(folder, f"its arrays are not those of a transfer: {error}") from error
        fields: dict[str, Any] = scalars | arrays
        return Transferred(prior=prior, **fields)


def fit_transfer(prior: LayerwiseEstimator, work: Floats, logs: Floats) -> Transferred:
    """The correction of a prior by n labels, averaged over the grid.

    Parameters
    ----------
    prior : LayerwiseEstimator
        Fitted to c columns.
    work : (n, c)
    logs : (n,)
        Logarithms of the labels.
    """
    level = prior.predict(work)
    factor, center = float((logs - level).mean()), float(level.mean())
    left = logs - level - factor
    linear = linear_part(prior, work, level - center)
    rows = smooth_points(prior, work)
    smooth = matern(rows, rows, 1.0)
    gram = linear[:, 1:] @ linear[:, 1:].T
    answers = [_Answer(*each) for each in product(DEVIATIONS, SMOOTH, NOISE)]
    size, width = len(left), linear.shape[1]
    evidence, weights, halves = np.empty(len(answers)), [], []
    with threadpool_limits(1):
        for number, answer in enumerate(answers):
            covariance = 1.0 + answer.deviation**2 * gram + answer.smooth**2 * smooth
            covariance[np.diag_indices(size)] += answer.noise**2
            factored = cholesky(covariance, lower=True)
            explained = solve_triangular(factored, left, lower=True)
            scale = np.concatenate([[1.0], np.full(width - 1, answer.deviation**2)])
            onto = np.hstack([linear * scale, answer.smooth**2 * np.eye(size)])
            half = solve_triangular(factored, onto, lower=True)
            evidence[number] = (
                answer.log_prior - 0.5 * explained @ explained - np.log(np.diag(factored)).sum()
            )
            weights.append(half.T @ explained)
            halves.append(half)
        share = np.exp(evidence - evidence.max())
        share /= share.sum()
        means = np.stack(weights)
        mean = share @ means
        spread = means - mean
        lessened = sum(part * half.T @ half for part, half in zip(share, halves, strict=True)) - spread.T @ (
            share[:, None] * spread
        )
    deviation, rough, noise = share @ np.array([[a.deviation, a.smooth, a.noise] for a in answers]) ** 2
    found = Transferred(
        prior=prior,
        factor=factor,
        center=center,
        deviation_variance=float(deviation),
        smooth_variance=float(rough),
        noise_variance=float(noise),
        rows=rows,
        weights=mean,
        explained=np.asarray(lessened),
        seen=np.asarray(prior.seen_ | work.any(axis=0), dtype=np.float64),
        usual_std=1.0,
    )
    return replace(found, usual_std=float(found.predict(work)[1].mean()))


def linear_part(prior: LayerwiseEstimator, work: Floats, level: Floats) -> Floats:
    """(n, 2 + c) basis functions: 1, the share of each kind of work by the prior's costs, and the slope."""
    spent = work * prior.costs_.costs
    total = spent.sum(axis=1, keepdims=True)
    shares = np.divide(spent, total, out=np.zeros_like(spent), where=total > 0)
    return np.column_stack([np.ones(len(work)), shares, SLOPE * level])


def smooth_points(prior: LayerwiseEstimator, work: Floats) -> Floats:
    """(n, c) places of networks for the smooth part: standardised as the prior's, in units of the length."""
    columns = max(int(prior.seen_.sum()), 1)
    return np.asarray(prior.process_.columns(np.log1p(work)) / (LENGTH * np.sqrt(columns)))


@dataclass(frozen=True)
class _Answer:
    """One answer to how much the devices differ: standard deviations of log ratios."""

    deviation: float
    smooth: float
    noise: float

    @property
    def log_prior(self) -> float:
        """How likely it is before any label, up to a constant: a factor of e off the usual is one sigma."""
        pairs = [(self.deviation, USUAL_DEVIATION), (self.noise, USUAL_NOISE)]
        pairs += [(self.smooth, USUAL_SMOOTH)] if self.smooth else []
        far = sum(np.log(value / usual) ** 2 for value, usual in pairs)
        return float(-0.5 * far - (0.25 if not self.smooth else 0.0))
