"""Recipes by name or from a TOML file."""

import tomllib
from importlib import resources
from pathlib import Path
from typing import Any, Final

import msgspec

from hytnas_host.training.recipe import TrainingError, TrainingRecipe

RECIPES: Final = ("digits", "quick", "paper")
"""Those that come with the toolkit."""
RECIPE_BYTES: Final = 64 * 1024


def load_recipe(name: str, **changes: Any) -> TrainingRecipe:
    """The recipe called ``name``, or that of a TOML file, with some fields changed.

    Parameters
    ----------
    name : str
        One of `RECIPES`, or a path that ends with ``.toml``. The file's keys are the fields of
        `TrainingRecipe`; a field that it does not name has its default.
    changes
        Fields and their values; ``None`` leaves a field as it is.

    Raises
    ------
    TrainingError
        There is no such recipe, or a field or value is wrong.

    Examples
    --------
    >>> load_recipe("quick", epochs=8).epochs
    8
    """
    text = _read(name)
    try:
        fields = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise TrainingError(f"{name} is not a TOML file: {error}", "Mend the line") from error
    fields |= {field: value for field, value in changes.items() if value is not None}
    try:
        return msgspec.convert(fields, TrainingRecipe)
    except msgspec.ValidationError as error:
        known = ", ".join(TrainingRecipe.__struct_fields__)
        raise TrainingError(f"{name} is not a recipe: {error}", f"Its fields are {known}") from error


def _read(name: str) -> str:
    if name in RECIPES:
        return resources.files(__package__).joinpath("bundled_recipes", f"{name}.toml").read_text("utf-8")
    path = Path(name)
    if path.suffix != ".toml":
        raise TrainingError(
            f"there is no recipe called {name!r}",
            f"Take {', '.join(RECIPES)}, or a file that ends with .toml",
        )
    try:
        if not path.is_file() or path.stat().st_size > RECIPE_BYTES:
            raise TrainingError(
                f"{path} is not a file, or larger than {RECIPE_BYTES} bytes", "Name a recipe's TOML file"
            )
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TrainingError(f"{path} cannot be read: {error}", "Name a recipe's TOML file") from error
