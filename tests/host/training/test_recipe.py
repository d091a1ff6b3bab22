from pathlib import Path
from typing import Any

import msgspec
import pytest

from hytnas_host.training import TrainingRecipe, load_recipe
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


def test_recipes_come_by_name_and_from_files(tmp_path: Path) -> None:
    assert load_recipe("digits") == TrainingRecipe()
    assert load_recipe("paper").epochs == 50
    assert load_recipe("quick", epochs=7, batch_size=None).epochs == 7
    mine = tmp_path / "mine.toml"
    mine.write_text("epochs = 3\nlearning_rate = 1e-4\n")
    assert load_recipe(str(mine)) == TrainingRecipe(epochs=3, learning_rate=1e-4)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (
            "epoch = 3",
            "Object contains unknown field `epoch`. Its fields are resolution, epochs",
        ),
        ('epochs = "3"', "Expected `int`, got `str`"),
        ("epochs = 0", "epochs of a recipe is 0"),
        ("epochs", "is not a TOML file"),
        (None, "is not a file"),
    ],
)
def test_a_wrong_recipe_gets_one_line(tmp_path: Path, content: str | None, line: str) -> None:
    path = tmp_path / "mine.toml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(TrainingError, match=line):
        load_recipe(str(path))


def test_an_unknown_name_is_told_those_that_there_are() -> None:
    with pytest.raises(TrainingError, match="Take digits, quick, paper, or a file"):
        load_recipe("fast")
