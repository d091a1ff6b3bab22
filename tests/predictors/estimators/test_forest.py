from dataclasses import replace

import numpy as np
from sklearn.ensemble import RandomForestRegressor

from hytnas_predictors.estimators import make_estimator


def test_it_predicts_what_scikit_learns_forest_predicts() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(80, 4)), rng.normal(size=80)
    new = rng.normal(size=(200, 4))
    ours = make_estimator("random-forest", n_estimators=20).fit(x, y, rng=np.random.default_rng(1))
    seed = int(np.random.default_rng(1).integers(2**31 - 1))
    theirs = RandomForestRegressor(20, max_features=0.4, min_samples_leaf=2, random_state=seed).fit(x, y)
    mean, std = ours.predict_with_std(new)
    np.testing.assert_allclose(mean, theirs.predict(new))
    each = np.array([tree.predict(new) for tree in theirs.estimators_])
    np.testing.assert_allclose(std, each.std(axis=0, ddof=1))

    # Any negative number marks a leaf in a file; native code must not take it for a child.
    grown = ours.model_
    marked = replace(grown, left=np.where(grown.left < 0, -7, grown.left))
    np.testing.assert_array_equal(marked.predict(new), (mean, std))
