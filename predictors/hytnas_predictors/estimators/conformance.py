"""What every estimator must do, bundled or of another package; see `hytnas_agent.conformance` for the use.

``CHECKS`` holds for every estimator. ``FILE_CHECKS`` holds besides for those that are kept in a header and
hashed members, as `BundledEstimator` keeps them, and ``MEMBER_CHECKS`` for those with the parameter
``members``. The checks of arguments in `hytnas_predictors.estimators.base` give the messages that are asked
for.
"""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone

from hytnas_agent.conformance import SuiteCheck, refused
from hytnas_predictors.errors import PredictorError
from hytnas_predictors.estimators import Estimator, estimator_class, make_estimator

Floats = NDArray[np.float64]


def easy_data(n: int = 120, seed: int = 0) -> tuple[Floats, Floats]:
    """(n, 6) features from 0 to 3 and (n,) labels without noise, one term of them a product."""
    x = np.random.default_rng(seed).integers(0, 4, size=(n, 6)).astype(np.float64)
    return x, 3.0 * x[:, 0] + x[:, 1] * x[:, 2] + 100.0


def check_shapes_and_types(name: str, folder: Path) -> None:
    """Mean and standard deviation are finite float64 of one a row, the latter not negative."""
    del folder
    mean, std = _quick(name).predict_with_std(easy_data(17, seed=2)[0])
    assert mean.shape == std.shape == (17,), f"shapes are {mean.shape} and {std.shape}"
    assert mean.dtype == std.dtype == np.float64, f"types are {mean.dtype} and {std.dtype}"
    assert np.isfinite(mean).all(), "a prediction is not finite"
    assert (std >= 0).all(), "a standard deviation is negative or not a number"


def check_the_mean_is_what_predict_gives(name: str, folder: Path) -> None:
    """``predict`` and ``predict_with_std`` agree."""
    del folder
    estimator, x = _quick(name), easy_data(9, seed=3)[0]
    np.testing.assert_array_equal(estimator.predict(x), estimator.predict_with_std(x)[0])


def check_no_rows_give_no_predictions(name: str, folder: Path) -> None:
    """An empty table is predicted."""
    del folder
    mean, std = _quick(name).predict_with_std(np.empty((0, 6)))
    assert mean.shape == std.shape == (0,), f"shapes are {mean.shape} and {std.shape}"


def check_equal_generators_give_equal_predictions(name: str, folder: Path) -> None:
    """Every random draw comes from the generator that ``fit`` is given."""
    del folder
    x = easy_data(40, seed=4)[0]
    again = make_estimator(name, **_few(name)).fit(*easy_data(), rng=np.random.default_rng(1))
    np.testing.assert_array_equal(_quick(name).predict(x), again.predict(x))


def check_tables_of_pandas_are_as_good(name: str, folder: Path) -> None:
    """A data frame and a series, whatever their index, are fitted and predicted as their numbers are."""
    del folder
    (x, y), new = easy_data(), easy_data(9, seed=3)[0]
    index, columns = np.arange(len(y))[::-1], [f"column {i}" for i in range(x.shape[1])]
    table, labels = pd.DataFrame(x, index, columns), pd.Series(y, index)
    fitted = _fit_quick(name, table, labels)
    np.testing.assert_array_equal(
        fitted.predict(pd.DataFrame(new, columns=columns)), _fit_quick(name, x, y).predict(new)
    )


def check_100_000_rows_are_predicted_as_few_are(name: str, folder: Path) -> None:
    """A long table is predicted whole, and each of its rows as in a short one."""
    del folder
    estimator, x = _quick(name), easy_data(10, seed=7)[0]
    for long, short in zip(
        estimator.predict_with_std(np.tile(x, (10_000, 1))), estimator.predict_with_std(x), strict=True
    ):
        np.testing.assert_allclose(long, np.tile(short, 10_000), rtol=1e-5, atol=1e-6)


def check_inputs_stay_as_they_are(name: str, folder: Path) -> None:
    """Neither ``fit`` nor ``predict`` writes to what it is given."""
    del folder
    x, y = easy_data()
    before = x.copy(), y.copy()
    _fit_quick(name, x, y).predict(x)
    np.testing.assert_array_equal(x, before[0])
    np.testing.assert_array_equal(y, before[1])


def check_it_beats_the_mean_by_far(name: str, folder: Path) -> None:
    """On new rows of easy data the error is below half of the labels' standard deviation."""
    del folder
    x, y = easy_data(100, seed=5)
    error = _fitted(name).predict(x) - y
    rmse, std = np.sqrt(np.mean(error**2)), y.std()
    assert rmse < 0.5 * std, f"the error is {rmse:.3g}, the labels' standard deviation {std:.3g}"


def check_a_clone_has_the_parameters_and_no_fit(name: str, folder: Path) -> None:
    """``sklearn.base.clone`` works."""
    del folder
    estimator = _quick(name)
    copy = clone(estimator)
    assert copy.get_params() == estimator.get_params(), "the clone has other parameters"
    refused(PredictorError, lambda: copy.predict(easy_data()[0]), "not fitted")


def check_unknown_parameters_are_refused_with_the_known_ones(name: str, folder: Path) -> None:
    """A wrong parameter is answered with the right ones."""
    del folder
    for known in make_estimator(name).get_params():
        refused(PredictorError, lambda: make_estimator(name, depht=3), known)


def check_saved_and_loaded_predicts_bit_equally(name: str, folder: Path) -> None:
    """What ``load`` reads predicts as what ``save`` wrote, and has its parameters."""
    estimator, x = _quick(name), easy_data(50, seed=6)[0]
    estimator.save(folder)
    loaded = estimator_class(name).load(folder)
    for ours, theirs in zip(loaded.predict_with_std(x), estimator.predict_with_std(x), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert loaded.get_params() == estimator.get_params(), "the parameters are lost"


def check_labels_that_are_no_numbers_are_refused(name: str, folder: Path) -> None:
    """NaN and infinite labels are counted, and the first is named."""
    del folder
    for bad in (np.nan, np.inf):
        x, y = easy_data()
        y[[3, 7]] = bad
        refused(PredictorError, lambda: _fit(name, x, y), r"2 of 120 labels.*row 3.*[Rr]emove")  # noqa: B023


def check_features_that_are_no_numbers_are_refused(name: str, folder: Path) -> None:
    """Features that are not finite are counted, and the first row is named."""
    del folder
    x, y = easy_data()
    estimator = _quick(name)
    x[5, 1] = np.nan
    refused(PredictorError, lambda: _fit(name, x, y), r"1 of 120 feature rows.*row 5")
    refused(PredictorError, lambda: estimator.predict(x), "row 5")


def check_a_wrong_number_of_columns_is_refused(name: str, folder: Path) -> None:
    """Rows must have the columns of the fit."""
    del folder
    estimator = _quick(name)
    refused(
        PredictorError,
        lambda: estimator.predict(np.zeros((3, 5))),
        "5 columns, the estimator was fitted to 6",
    )
    refused(PredictorError, lambda: estimator.predict(np.zeros(6)), r"shape \(6,\).*rows and columns")


def check_features_of_words_are_refused(name: str, folder: Path) -> None:
    """A table with a column of words is no table of numbers."""
    del folder
    estimator, table = _quick(name), pd.DataFrame(easy_data(9)[0]).astype({5: object})
    table.loc[4, 5] = "wide"
    refused(PredictorError, lambda: estimator.predict(table), "features.*not numbers.*wide")


def check_rows_and_labels_must_pair(name: str, folder: Path) -> None:
    """As many labels as rows."""
    del folder
    x, y = easy_data()
    refused(PredictorError, lambda: _fit(name, x, y[:-1]), "120 feature rows and 119 labels")


def check_a_constant_target_is_predicted(name: str, folder: Path) -> None:
    """Equal labels are no reason to fail."""
    del folder
    x, _ = easy_data(30)
    mean, std = _fit_quick(name, x, np.full(30, 7.5)).predict_with_std(x)
    np.testing.assert_allclose(mean, 7.5, rtol=1e-5)
    assert (std <= 0.01).all(), f"a standard deviation is {std.max():.3g}, though all labels are equal"


def check_a_constant_column_does_no_harm(name: str, folder: Path) -> None:
    """A column without information, and large, does not drown the others."""
    del folder
    x, y = easy_data()
    x[:, 5] = 1e9
    correlation = np.corrcoef(_fit_quick(name, x, y).predict(x), y)[0, 1]
    assert correlation > 0.9, f"the correlation is {correlation:.3f}"


def check_few_rows_are_enough_or_refused(name: str, folder: Path) -> None:
    """5 and 4 rows are fitted, 3 are refused."""
    del folder
    for rows in (5, 4):
        x, y = easy_data(rows)
        for values in _fit_quick(name, x, y).predict_with_std(x):
            assert np.isfinite(values).all(), f"a prediction or deviation is not finite after {rows} rows"
    refused(PredictorError, lambda: _fit(name, x[:3], y[:3]), "3 rows are too few")


def check_a_missing_folder_is_refused(name: str, folder: Path) -> None:
    """``load`` of nothing says so."""
    refused(PredictorError, lambda: estimator_class(name).load(folder / "none"), "cannot be used")


def check_truncated_files_are_refused(name: str, folder: Path) -> None:
    """``load`` of a folder in which any file is cut short is refused, and never runs it as code."""
    _quick(name).save(folder)
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files, "nothing was saved"
    for path in files:
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])
        refused(PredictorError, lambda: estimator_class(name).load(folder))
        path.write_bytes(content)


def check_the_members_disagree(name: str, folder: Path) -> None:
    """An ensemble has a standard deviation, and depends on its seed."""
    del folder
    x = easy_data(17, seed=2)[0]
    one, other = (_fitted(name, seed, members=2) for seed in (1, 2))
    assert one.predict_with_std(x)[1].max() > 0, "all members are equal"
    assert not np.array_equal(one.predict(x), other.predict(x)), "seeds do nothing"


def check_a_single_member_has_no_deviation(name: str, folder: Path) -> None:
    """``members`` can be set."""
    del folder
    estimator = make_estimator(name)
    estimator.set_params(members=1)  # type: ignore[attr-defined]
    estimator.fit(*easy_data(), rng=np.random.default_rng(0))
    assert estimator.predict_with_std(easy_data(5)[0])[1].tolist() == [0.0] * 5


def check_a_changed_member_is_refused(name: str, folder: Path) -> None:
    """Files are held against their hashes before they are read."""
    _quick(name).save(folder)
    member = next(folder.glob("member-0.*"))
    data = bytearray(member.read_bytes())
    data[len(data) // 2] ^= 1
    member.write_bytes(bytes(data))
    refused(PredictorError, lambda: estimator_class(name).load(folder), "damaged")


def check_a_truncated_header_is_refused(name: str, folder: Path) -> None:
    """The header must be whole."""
    _quick(name).save(folder)
    header = folder / "estimator.json"
    header.write_bytes(header.read_bytes()[:40])
    refused(PredictorError, lambda: estimator_class(name).load(folder), "not what it should be")


def check_another_estimators_files_are_refused(name: str, folder: Path) -> None:
    """The header says whose files they are."""
    _quick(name).save(folder)
    header = folder / "estimator.json"
    header.write_text(json.dumps(json.loads(header.read_text()) | {"estimator": "another"}))
    refused(PredictorError, lambda: estimator_class(name).load(folder), "it is a another")


CHECKS: Final[tuple[SuiteCheck, ...]] = (
    check_shapes_and_types,
    check_the_mean_is_what_predict_gives,
    check_no_rows_give_no_predictions,
    check_equal_generators_give_equal_predictions,
    check_tables_of_pandas_are_as_good,
    check_100_000_rows_are_predicted_as_few_are,
    check_inputs_stay_as_they_are,
    check_it_beats_the_mean_by_far,
    check_a_clone_has_the_parameters_and_no_fit,
    check_unknown_parameters_are_refused_with_the_known_ones,
    check_saved_and_loaded_predicts_bit_equally,
    check_labels_that_are_no_numbers_are_refused,
    check_features_that_are_no_numbers_are_refused,
    check_a_wrong_number_of_columns_is_refused,
    check_features_of_words_are_refused,
    check_rows_and_labels_must_pair,
    check_a_constant_target_is_predicted,
    check_a_constant_column_does_no_harm,
    check_few_rows_are_enough_or_refused,
    check_a_missing_folder_is_refused,
    check_truncated_files_are_refused,
)

MEMBER_CHECKS: Final[tuple[SuiteCheck, ...]] = (
    check_the_members_disagree,
    check_a_single_member_has_no_deviation,
)

FILE_CHECKS: Final[tuple[SuiteCheck, ...]] = (
    check_a_changed_member_is_refused,
    check_a_truncated_header_is_refused,
    check_another_estimators_files_are_refused,
)


def _fit(name: str, x: Floats, y: Floats) -> Estimator:
    return make_estimator(name).fit(x, y, rng=np.random.default_rng(0))


def _fitted(name: str, seed: int = 1, **params: Any) -> Estimator:
    """Fitted to the easy data; checks that only predict share it."""
    return _fit_easy(estimator_class(name), seed, **params)


@lru_cache(maxsize=8)
def _fit_easy(kind: type[Estimator], seed: int, **params: Any) -> Estimator:
    return kind(**params).fit(*easy_data(), rng=np.random.default_rng(seed))


def _fit_quick(name: str, x: ArrayLike, y: ArrayLike) -> Estimator:
    """A fitted estimator, of two members where it has members."""
    return make_estimator(name, **_few(name)).fit(x, y, rng=np.random.default_rng(0))


def _quick(name: str) -> Estimator:
    """Fitted to the easy data, of two members where it has members."""
    return _fitted(name, **_few(name))


def _few(name: str) -> dict[str, int]:
    return {"members": 2} if "members" in make_estimator(name).get_params() else {}
