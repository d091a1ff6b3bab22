import pytest

from hytnas_datasets.plan import Task, build_plan
from hytnas_datasets.spaces import get_space


@pytest.fixture(scope="session")
def plan():
    """The smallest network of ``hyt``, whose last map, 7x7, the patches do not divide."""
    return build_plan(get_space("hyt").parse("hyt-0000000dt"), Task(resolution=56, classes=3))
