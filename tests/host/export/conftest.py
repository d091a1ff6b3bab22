import numpy as np
import pytest

from hytnas_datasets.plan import Task, build_plan
from hytnas_datasets.spaces import get_space


@pytest.fixture(scope="session")
def plan():
    """A small network whose last map, 7x7, the patches do not divide."""
    architecture = get_space("hyt").sample(1, np.random.default_rng(1))[0]
    return build_plan(architecture, Task(resolution=56, classes=3))
