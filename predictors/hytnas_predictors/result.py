"""What a leaderboard leaves behind: JSON-able values that the terminal and the report read."""

import msgspec

from hytnas_datasets.label_context import LabelContext
from hytnas_datasets.quality_flags import FlagCount


class Interval(msgspec.Struct, frozen=True):
    """A figure with its interval, which is the 95 % interval where nothing else is said."""

    value: float
    low: float
    high: float


class EdgeScore(msgspec.Struct, frozen=True):
    """Kendall's tau-b and the mean relative error on the tenth of the labels at one edge.

    The predictor was fitted to the other labels, so it had seen nothing so small, or so large.
    """

    kendall_tau: float
    mape: float


class Score(msgspec.Struct, frozen=True):
    """One row of the leaderboard: out-of-fold scores of one predictor, pooled over the repeats.

    ``within_10_percent`` and ``within_5_percent`` are shares in [0, 1], ``mape`` a fraction, ``rmse`` in the
    unit of the target. ``inside_90_percent`` is the share of labels inside the nominal 90 % interval that the
    predictor gives, ``None`` where it gives none. ``lowest`` and ``highest`` are the scores on the tenth at
    each edge, ``None`` where they were not asked for. ``p_against_best`` is that of the corrected paired
    test against the best predictor; ``None`` for the best one and for baselines.
    """

    predictor: str
    features: str
    kendall_tau: Interval
    spearman: float
    rmse: float
    mape: float
    within_5_percent: float
    within_10_percent: float
    fit_s: float
    predict_us_per_row: float
    leak_suspected: bool
    better_than_chance: bool
    inside_90_percent: float | None = None
    lowest: EdgeScore | None = None
    highest: EdgeScore | None = None
    p_against_best: float | None = None


class FeatureScore(msgspec.Struct, frozen=True):
    """Out-of-fold Kendall's tau-b and mean relative error of a predictor on one feature set alone."""

    features: str
    predictor: str
    kendall_tau: float
    mape: float


class CurvePoint(msgspec.Struct, frozen=True):
    """Scores of a predictor fitted to so many labels, on networks that are left out.

    The bands of ``kendall_tau`` and ``mape`` hold the middle 80 % of the random samples of labels.
    """

    labels: int
    kendall_tau: Interval
    mape: Interval


class LearningCurve(msgspec.Struct, frozen=True):
    """What more labels would bring: the scores of one predictor by the number of labels."""

    predictor: str
    points: tuple[CurvePoint, ...]


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
    curves: tuple[LearningCurve, ...] = ()

    def __post_init__(self) -> None:
        """Raise ValueError where a value is missing, as in a file that was changed."""
        series = [len(each.predicted) for each in self.out_of_fold]
        if any(length != len(self.measured) for length in (len(self.architectures), *series)):
            raise ValueError("it does not have a measured and a predicted value for each network")
        if not self.scores:
            raise ValueError("it has no score")

    feature_scores: tuple[FeatureScore, ...] = ()
