"""The latency of one device from a few labels, given what a predictor learned of another device.

``log y = s + factor + shares . deviations + slope * s + g(work) + noise``, s being ``log(work . costs)``.
The costs are the other device's, and say which share of a network's latency each kind of work makes up. The
labels say how the devices differ: by a factor, by how much dearer each kind of work is, by a power (a device
with a large fixed cost is less steep), and by what a Gaussian process finds smooth. Each of these has mean
zero: what the labels do not say is as on the other device.

A prior can mislead. So the predictor ``layerwise`` is fitted to the labels alone as well, and the two are
weighted by their errors on labels that they were not fitted to.

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
from numpy.typing import NDArray
from scipy.linalg import cholesky, solve_triangular

from hytnas_predictors.errors import PredictorError
from hytnas_predictors.estimators import files, tensors
from hytnas_predictors.estimators.base import Floats
from hytnas_predictors.estimators.gaussian_process import matern
from hytnas_predictors.estimators.layer_costs import log_sum
from hytnas_predictors.estimators.layerwise import LayerwiseEstimator
from hytnas_predictors.estimators.stacked import mix
from hytnas_predictors.estimators.standardised import Standardisation
from hytnas_predictors.estimators.threads import one_thread
from hytnas_predictors.estimators.work import WorkEstimator, check_work

MAX_ROWS: Final = 100
LENGTH: Final = 3.0
SLOPE: Final = 0.5
DEVIATIONS: Final = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
SMOOTH: Final = (0.0, 0.03, 0.1, 0.3)
NOISE: Final = (0.005, 0.01, 0.02, 0.04, 0.08, 0.16)
USUAL_DEVIATION: Final = 0.3
USUAL_SMOOTH: Final = 0.05
USUAL_NOISE: Final = 0.04
FOLDS: Final = 5
MINIMUM_TO_WEIGH: Final = 8
SMALLEST_WEIGHT: Final = 0.01
RESAMPLES_OF_FOLD: Final = 5
ALONE: Final = "alone"
ARRAYS: Final = ("costs", "seen", "rows", "weights", "explained")
SCALARS: Final = ("smallest", "factor", "center", "deviation_variance", "smooth_variance", "noise_variance")
OF_BOTH: Final = ("weight", "usual_std")


@dataclass(frozen=True)
class Correction:
    """The costs of another device over c work columns, corrected by n labels.

    Attributes
    ----------
    costs : (c,) float64
        Of the other device.
    smallest : float
        No sum of costs is below this.
    columns : Standardisation
        Of the logarithms of work, among the networks of the other device.
    seen : (c,) float64
        1 where a network of one of the two devices does this work, else 0.
    factor : float
        Mean log ratio of the labels to the summed costs.
    center : float
        Mean log sum of the labels' networks.
    deviation_variance, smooth_variance, noise_variance : float
        Mean variances of a kind of work's log ratio, of the smooth part, and of a label.
    rows : (n, c) float64
        The networks of the labels, as the smooth part sees them.
    weights : (p,) float64
        Of the p = 2 + c + n basis functions, in the mean.
    explained : (p, p) float64
        The quadratic form of the basis functions that the variance is lessened by.
    """

    costs: Floats
    smallest: float
    columns: Standardisation
    seen: Floats
    factor: float
    center: float
    deviation_variance: float
    smooth_variance: float
    noise_variance: float
    rows: Floats
    weights: Floats
    explained: Floats

    def predict(self, work: Floats) -> tuple[Floats, Floats]:
        """(n,) mean and standard deviation of the logarithms of new labels."""
        level = log_sum(self.costs, self.smallest, work)
        linear = linear_part(self.costs, work, level - self.center)
        basis = np.hstack([linear, matern(smooth_points(self.columns, self.seen, work), self.rows, 1.0)])
        variance = (
            1.0
            + self.deviation_variance * np.einsum("nd,nd->n", linear[:, 1:], linear[:, 1:])
            + self.smooth_variance
            - np.einsum("np,pq,nq->n", basis, self.explained, basis, optimize=True)
        )
        std = np.sqrt(np.maximum(variance, 0.0) + self.noise_variance)
        return level + self.factor + basis @ self.weights, std


@dataclass(frozen=True)
class Transferred:
    """A correction of weight ``weight``, and what was fitted to the labels alone, of the rest.

    ``usual_std`` is the mean standard deviation at the labels' networks.
    """

    correction: Correction
    alone: LayerwiseEstimator | None
    weight: float
    usual_std: float

    @property
    def seen(self) -> NDArray[np.bool_]:
        """(c,) whether a network of one of the two devices does this work."""
        return self.correction.seen > 0

    def predict(self, work: Floats) -> tuple[Floats, Floats]:
        """(n,) mean and standard deviation of the logarithms of new labels, of the mixture of both."""
        mean, std = self.correction.predict(work)
        if self.alone is None:
            return mean, std
        both = [(mean, std), self.alone.predict_with_std(work)]
        means, stds = np.array([m for m, _ in both]), np.array([d for _, d in both])
        return mix(means, stds, np.array([self.weight, 1.0 - self.weight]))


class TransferEstimator(WorkEstimator):
    """What a layer-wise predictor of another device says work costs, corrected by the labels of this one.

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
    Of more than 100 labels a random 100 correct the prior: so many need none. Below 8 labels the prior
    is trusted, because there are too few to weigh it.
    """

    name = "transfer"
    suffix = "safetensors"

    def __init__(self, *, prior: LayerwiseEstimator | None = None) -> None:
        self.prior = prior

    def __sklearn_clone__(self) -> Self:
        """An unfitted copy with the same prior, which stays fitted."""
        return type(self)(prior=self.prior)

    def save(self, folder: Path) -> None:
        """Write the correction, and into a folder what was fitted to the labels alone, if that counts."""
        self._check_fitted()
        contents = self._dump(self.model_)
        header = files.make_header(self.name, {}, self.n_features_in_, contents)
        files.write(folder, header, self.suffix, contents)
        if self.model_.alone is not None:
            self.model_.alone.save(folder / ALONE)

    def _fit(self, x: Floats, y: Floats, rng: np.random.Generator) -> Transferred:
        check_work(x)
        prior = LayerwiseEstimator().fit(x, y, rng=rng) if self.prior is None else self.prior
        if not hasattr(prior, "model_") or prior.n_features_in_ != x.shape[1]:
            raise PredictorError(
                f"the prior of {self.name} is not a layerwise estimator fitted to {x.shape[1]} columns",
                "Fit one to labels of the other device, with the feature set work.",
            )
        kept = np.sort(rng.permutation(len(y))[:MAX_ROWS])
        work, logs = x[kept], y[kept]
        correction, alone = fit_correction(prior, work, logs), None
        weight = weigh_prior(prior, work, logs, rng) if self.prior is not None else 1.0
        if weight < 1.0:
            alone = LayerwiseEstimator().fit(x, y, rng=rng)
        found = Transferred(correction, alone, weight, 1.0)
        return replace(found, usual_std=float(found.predict(work)[1].mean()))

    def _dump(self, model: Transferred) -> list[bytes]:
        correction = model.correction
        arrays = {name: getattr(correction, name) for name in ARRAYS}
        arrays |= {"x_mean": correction.columns.mean, "x_scale": correction.columns.scale}
        arrays |= {name: np.array([getattr(correction, name)]) for name in SCALARS}
        return [tensors.dump(arrays | {name: np.array([getattr(model, name)]) for name in OF_BOTH})]

    def _load(self, folder: Path, contents: list[bytes], features: int) -> Transferred:
        try:
            (data,) = contents
            arrays = tensors.parse(data)
            rows = len(arrays["rows"]) if arrays.get("rows", np.empty(0)).ndim == 2 else 0
            if not 0 < rows <= MAX_ROWS:
                raise ValueError(f"it holds no rows, or more than {MAX_ROWS}")
            size = 2 + features + rows
            shapes: dict[str, tuple[int, ...]] = dict.fromkeys((*SCALARS, *OF_BOTH), (1,))
            shapes |= dict.fromkeys(("costs", "seen", "x_mean", "x_scale"), (features,))
            shapes |= {"rows": (rows, features), "weights": (size,), "explained": (size, size)}
            tensors.check_floats(arrays, shapes)
            scalars = {name: float(arrays.pop(name)[0]) for name in (*SCALARS, *OF_BOTH)}
            positive = [scalars[name] for name in ("smallest", "noise_variance", "usual_std")]
            if min(*positive, float(arrays["x_scale"].min())) <= 0 or (arrays["costs"] < 0).any():
                raise ValueError("a cost is negative, or a scale or variance is not positive")
            weight, usual_std = scalars.pop("weight"), scalars.pop("usual_std")
            if not 0 <= weight <= 1:
                raise ValueError("its weight is not between 0 and 1")
        except ValueError as error:
            raise files.unusable(folder, f"its arrays are not those of a transfer: {error}") from error
        alone = LayerwiseEstimator.load(folder / ALONE) if weight < 1 else None
        if alone is not None and alone.n_features_in_ != features:
            raise files.unusable(folder, "its parts were fitted to different columns")
        fields: dict[str, Any] = scalars | arrays
        columns = Standardisation(fields.pop("x_mean"), fields.pop("x_scale"))
        return Transferred(Correction(columns=columns, **fields), alone, weight, usual_std)


def weigh_prior(prior: LayerwiseEstimator, work: Floats, logs: Floats, rng: np.random.Generator) -> float:
    """The weight of the corrected prior, from 0 to 1; ``layerwise``, fitted to the labels, has the rest.

    Weights go as the likelihoods of the errors on left-out folds. One above 99 % counts as 1.
    """
    if len(logs) < MINIMUM_TO_WEIGH:
        return 1.0
    errors = np.empty((2, len(logs)))
    fold = rng.permutation(len(logs)) % FOLDS
    for held_out in range(FOLDS):
        new = fold == held_out
        alone = LayerwiseEstimator(resamples=RESAMPLES_OF_FOLD).fit(work[~new], logs[~new], rng=rng)
        corrected = fit_correction(prior, work[~new], logs[~new])
        errors[0, new] = logs[new] - corrected.predict(work[new])[0]
        errors[1, new] = logs[new] - alone.predict(work[new])
    mean_squares = np.maximum(np.mean(errors**2, axis=1), np.finfo(np.float64).tiny)
    ratio = float(np.log(mean_squares[1] / mean_squares[0]))
    weight = 1.0 / (1.0 + np.exp(-0.5 * len(logs) * ratio))
    return 1.0 if weight > 1.0 - SMALLEST_WEIGHT else float(weight)


def fit_correction(prior: LayerwiseEstimator, work: Floats, logs: Floats) -> Correction:
    """The correction of a prior by n labels, averaged over the grid.

    Parameters
    ----------
    prior : LayerwiseEstimator
        Fitted to c columns.
    work : (n, c)
    logs : (n,)
        Logarithms of the labels.
    """
    known = prior.model_
    costs, smallest, columns = known.costs.costs, known.costs.smallest, known.process.columns
    seen = np.asarray(known.seen | work.any(axis=0), dtype=np.float64)
    level = log_sum(costs, smallest, work)
    factor, center = float((logs - level).mean()), float(level.mean())
    left = logs - level - factor
    linear = linear_part(costs, work, level - center)
    rows = smooth_points(columns, seen, work)
    smooth = matern(rows, rows, 1.0)
    gram = linear[:, 1:] @ linear[:, 1:].T
    answers = [_Answer(*each) for each in product(DEVIATIONS, SMOOTH, NOISE)]
    size, width = len(left), linear.shape[1]
    evidence, weights, halves = np.empty(len(answers)), [], []
    with one_thread():
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
    return Correction(
        costs=costs,
        smallest=smallest,
        columns=columns,
        seen=seen,
        factor=factor,
        center=center,
        deviation_variance=float(deviation),
        smooth_variance=float(rough),
        noise_variance=float(noise),
        rows=rows,
        weights=mean,
        explained=np.asarray(lessened),
    )


def linear_part(costs: Floats, work: Floats, level: Floats) -> Floats:
    """(n, 2 + c) basis functions: 1, the share of each kind of work in the costs, and the slope."""
    spent = work * costs
    total = spent.sum(axis=1, keepdims=True)
    shares = np.divide(spent, total, out=np.zeros_like(spent), where=total > 0)
    return np.column_stack([np.ones(len(work)), shares, SLOPE * level])


def smooth_points(columns: Standardisation, seen: Floats, work: Floats) -> Floats:
    """(n, c) places of networks for the smooth part: standardised, in units of its length."""
    return np.asarray(columns(np.log1p(work)) / (LENGTH * np.sqrt(max(seen.sum(), 1.0))))


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
