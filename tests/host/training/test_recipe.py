from typing import Any

import msgspec
import pytest

from hytnas_host.training import TrainingRecipe
from hytnas_host.training.recipe import TrainingError


@pytest.mark.parametrize(
    "changes",
    [
        {"epochs": 0},
        {"batch_size": -1},
        {"learning_rate": float("nan")},
        {"weight_decay": float("inf")},
        {"warmup": 1.0},
        {"label_smoothing": -0.1},
    ],
)
def test_impossible_values_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(TrainingError, match=f"^{next(iter(changes))} of a recipe is"):
        TrainingRecipe(**changes)


def test_the_learning_rate_rises_to_its_peak_and_falls_to_nothing() -> None:
    recipe = TrainingRecipe(learning_rate=0.1, warmup=0.25)
    rates = [recipe.learning_rate_at(step, 100) for step in range(100)]
    assert max(rates) == pytest.approx(0.1)
    peak = rates.index(max(rates))
    assert rates[:peak] == sorted(rates[:peak])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert 24 <= peak <= 25
    assert 0.0 < rates[-1] < 1e-3


def test_a_recipe_without_warmup_begins_at_its_peak() -> None:
    assert TrainingRecipe(learning_rate=0.1, warmup=0.0).learning_rate_at(0, 10) == 0.1


def test_a_recipe_survives_its_dictionary() -> None:
    recipe = TrainingRecipe(epochs=7, optimizer="sgd")
    assert msgspec.convert(recipe.as_dict(), TrainingRecipe) == recipe
