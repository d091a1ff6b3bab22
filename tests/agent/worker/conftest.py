"""Timed runs begin with a garbage collection, which takes long where other tests have imported much."""

import gc

import pytest


@pytest.fixture(scope="module", autouse=True)
def nothing_old_is_collected() -> None:
    """What there is before a file's tests stays out of the collections of its timed runs."""
    gc.collect()
    gc.freeze()
