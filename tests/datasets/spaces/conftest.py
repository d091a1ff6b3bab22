"""Fixtures of the tests of search spaces."""

import os
from pathlib import Path

import pytest

from hytnas_datasets.spaces import Bounded, Forbidden, Ordering, Space, Variable, When


@pytest.fixture(scope="session")
def conditional() -> Space:
    """A small space with conditional variables, nested, and one constraint of every kind."""
    return Space(
        "conditional",
        (
            Variable("kind", ("convolution", "attention")),
            Variable("blocks", (1, 2, 3), When("kind", ("convolution",))),
            Variable("heads", (1, 2, 4), When("kind", ("attention",))),
            Variable("dropout", (0.0, 0.1), When("heads", (2, 4))),
            Variable("width", (8, 16, 24)),
            Variable("depth", (1, 2, 3)),
        ),
        family="none",
        constraints=(
            Forbidden((("kind", ("attention",)), ("width", (8,)))),
            Bounded("sum", ("blocks", "depth"), at_most=5),
            Bounded("product", ("heads", "depth"), at_most=8),
            Ordering(("depth", "width"), "<"),
        ),
    )


@pytest.fixture(scope="session")
def released_folder() -> Path:
    """The published HyT-NAS files, where they are at hand."""
    named = os.environ.get("HYTNAS_REFERENCE_DATA")
    root = Path(named) if named else Path(__file__).parents[3].parent / "shared" / "reference"
    folder = root / "hytnas_released"
    if not folder.is_dir():
        pytest.skip(
            f"no published data in {folder}: set HYTNAS_REFERENCE_DATA to the folder of hytnas_released"
        )
    return folder
