"""What a leaderboard leaves behind: JSON-able values that the terminal and the report read."""

import msgspec

from hytnas_datasets.label_context import LabelContext
from hytnas_datasets.quality_flags import FlagCount


class Interval(msgspec.Struct, frozen=True):
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float


class Score(msgspec.Struct, frozen=True):
    """One row of the leaderboard: out-of-fold scores of one predictor, pooled over the repeats.

    ``within_10_percent`` is a share in [0, 1], ``mape`` a fraction, ``rmse`` in the unit of the target.
    """

    predictor: str
    features: str
    kendall_tau: Interval
    spearman: float
    rmse: float
    mape: float
    within_10_percent: float
    fit_s: float
    predict_us_per_row: float
    leak_suspected: bool
    better_than_chance: bool


class NoiseCeiling(msgspec.Struct, frozen=True):
    """The best Kendall tau the labels allow, from the spread of their independent repeats.

    ``label_to_truth`` is tau between a noisy label and the truth, ``label_to_label`` between two noisy labels
    of the same models.
    """

    label_to_truth: Interval
    label_to_label: Interval
    repeated_labels: int
    label_noise: float
    noise_unit: str


class OutOfFold(msgspec.Struct, frozen=True):
    """Out-of-fold prediction of one predictor for every label, averaged over the repeats."""

    predictor: str
    predicted: tuple[float, ...]


class Leaderboard(msgspec.Struct, frozen=True):
    """Predictors compared by cross-validated Kendall tau-b, best first.

    ``context`` is what the labels depend on; ``quality_flags`` counts those that are doubtful, ``None`` where
    that is not known.
    """

    target: str
    unit: str
    space: str
    labels: int
    networks: int
    folds: int
    repeats: int
    seed: int
    context: LabelContext
    provenance: str
    scores: tuple[Score, ...]
    baselines: tuple[Score, ...]
    ceiling: NoiseCeiling | None
    architectures: tuple[str, ...]
    measured: tuple[float, ...]
    out_of_fold: tuple[OutOfFold, ...]
    verdict: str
    notes: tuple[str, ...] = ()
    quality_flags: FlagCount | None = None
