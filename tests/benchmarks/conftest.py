"""Benchmarks are scripts that find each other in their own folder."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from threadpoolctl import threadpool_limits

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))


@pytest.fixture(autouse=True, scope="session")
def one_blas_thread() -> Iterator[None]:
    """Products of small matrices: more threads would wait for each other on a busy machine."""
    with threadpool_limits(1):
        yield
