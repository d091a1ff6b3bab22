"""What is chosen where nobody chooses, by target and space."""

import pytest

from hytnas_datasets.plan import Task
from hytnas_datasets.spaces import Space, Variable, get_space
from hytnas_datasets.targets import get_target
from hytnas_predictors.estimators import ESTIMATORS
from hytnas_predictors.features import make_features
from hytnas_predictors.recipes import default_estimator, default_recipe, suits

LATENCY, ACCURACY = get_target("latency_ms"), get_target("accuracy")
HYT = get_space("hyt")
TABLE = Space("table", (Variable("unroll", (1, 2, 4)), Variable("layout", ("nchw", "nhwc"))), family="none")


@pytest.mark.parametrize(
    ("target", "space", "name"),
    [(LATENCY, HYT, "layerwise"), (ACCURACY, HYT, "gp"), (LATENCY, TABLE, "gp"), (ACCURACY, TABLE, "gp")],
)
def test_the_default_suits_what_it_is_the_default_for(target, space, name: str) -> None:
    assert default_estimator(target, space) == name
    assert suits(name, target, space)


@pytest.mark.parametrize("space", [HYT, TABLE], ids=lambda space: space.name)
@pytest.mark.parametrize("name", ESTIMATORS.bundled)
def test_each_estimator_gets_features_that_the_space_has(name: str, space: Space) -> None:
    if suits(name, LATENCY, space):
        recipe = default_recipe(name, LATENCY, space)
        assert recipe.scale == "log"
        assert make_features(space, (), Task(), recipe.features).names


def test_each_member_of_the_ensemble_sees_the_columns_that_suit_it() -> None:
    recipe = default_recipe("ensemble", LATENCY, HYT)
    names = make_features(HYT, (), Task(), recipe.features).names
    ends = recipe.params["columns"]
    seen = [names[first:end] for first, end in zip(ends[::2], ends[1::2], strict=True)]
    physical = make_features(HYT, (), Task(), ("physical",)).names
    ordinal, widths = HYT.feature_names(), make_features(HYT, (), Task(), ("widths",)).names
    assert recipe.params["estimators"] == ("gp", "ridge", "lightgbm", "lightgbm")
    assert seen == [physical, physical, (*ordinal, *physical), (*widths, *ordinal)]
    assert recipe.make().get_params()["columns"] == recipe.params["columns"]


def test_what_is_smooth_gets_indicators_where_there_is_nothing_physical() -> None:
    assert default_recipe("ridge", ACCURACY, HYT).features == ("physical",)
    assert default_recipe("ridge", ACCURACY, TABLE).features == ("one-hot", "numeric")
    words = Space("words", (Variable("layout", ("nchw", "nhwc")),), family="none")
    assert default_recipe("ridge", ACCURACY, words).features == ("one-hot",)
    assert default_recipe("random-forest", ACCURACY, TABLE).features == ("ordinal",)
