from importlib.metadata import EntryPoint

import pytest

from hytnas_predictors.errors import PredictorError
from hytnas_predictors.estimators import ESTIMATORS, Estimator, list_estimators, make_estimator
from hytnas_predictors.estimators.mlp import MLP2Estimator


def entry_point(name: str, value: str) -> EntryPoint:
    return EntryPoint(name=name, value=value, group=ESTIMATORS.group)


def with_entry_points(monkeypatch: pytest.MonkeyPatch, *points: EntryPoint) -> None:
    monkeypatch.setattr(
        "hytnas_agent.registry._entry_points", lambda group: [each for each in points if each.group == group]
    )
    monkeypatch.setattr(ESTIMATORS, "_loaded", {})


def test_the_papers_four_are_there() -> None:
    assert list_estimators()[:4] == ("xgboost", "lightgbm", "mlp2", "mlp3")
    assert all(isinstance(make_estimator(name), Estimator) for name in ESTIMATORS.bundled)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(PredictorError, match=r"'forest'.*xgboost, lightgbm, mlp2, mlp3, layerwise, gp"):
        make_estimator("forest")


def test_an_outsiders_estimator_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    with_entry_points(monkeypatch, entry_point("mine", f"{MLP2Estimator.__module__}:MLP2Estimator"))
    assert list_estimators()[-1] == "mine"
    assert isinstance(make_estimator("mine", members=1), MLP2Estimator)


def test_an_outsider_cannot_replace_a_bundled_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with_entry_points(monkeypatch, entry_point("xgboost", f"{MLP2Estimator.__module__}:MLP2Estimator"))
    assert list_estimators() == tuple(ESTIMATORS.bundled)
    assert not isinstance(make_estimator("xgboost"), MLP2Estimator)


def test_a_broken_outsider_is_named_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with_entry_points(monkeypatch, entry_point("mine", "no_such_module_here:Thing"))
    assert make_estimator("mlp2")
    with pytest.raises(PredictorError, match="no_such_module_here"):
        make_estimator("mine")


def test_the_searchs_parameters_are_taken() -> None:
    params = {"n_estimators": 100, "max_depth": 12, "learning_rate": 0.5, "members": 1}
    assert make_estimator("xgboost", **params).get_params().items() >= params.items()
