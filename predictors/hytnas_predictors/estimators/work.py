"""What estimators of the feature set "work" have in common: rows of amounts, and a range they know."""

from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hytnas_predictors.errors import PredictorError
from hytnas_predictors.estimators.base import BundledEstimator, Floats

FAR: Final = 2.0
ROWS_AT_ONCE: Final = 20_000


class WorkEstimator(BundledEstimator):
    """An estimator whose rows hold work columns, which are not negative.

    Its model has ``predict`` of (n, c) work; ``seen`` (c,) bool, the columns that it knows; and
    ``usual_std``, the mean standard deviation at the training rows.
    """

    def predict_with_range(self, x: ArrayLike) -> tuple[Floats, Floats, NDArray[np.bool_]]:
        """What ``predict_with_std`` gives, and (n,) whether a row is unlike the training rows.

        It is if it holds work that the estimator has not seen, or if its standard deviation is more than
        twice what is usual. A column out of its training range alone does not count: a sum carries over to
        smaller and larger networks of the same operators.

        Raises
        ------
        PredictorError
            As `predict_with_std`.
        """
        work = self._checked(x)
        mean, std = self.predict_with_std(work)
        unseen = (work[:, ~self.model_.seen] > 0).any(axis=1)
        return mean, std, np.asarray(unseen | (std > FAR * self.model_.usual_std))

    def _predict(self, model: Any, x: Floats) -> tuple[Floats, Floats]:
        check_work(x)
        mean, std = np.empty(len(x)), np.empty(len(x))
        for start in range(0, len(x), ROWS_AT_ONCE):
            part = slice(start, start + ROWS_AT_ONCE)
            mean[part], std[part] = model.predict(x[part])
        return mean, std


def check_work(work: Floats) -> None:
    """Raise PredictorError if a row holds a negative amount of work."""
    bad = np.flatnonzero((work < 0).any(axis=1))
    if len(bad):
        raise PredictorError(
            f"{len(bad)} of {len(work)} rows of work hold a negative amount (first: row {bad[0]})",
            "Give the feature set work.",
        )
