"""The made-up study of the report's tests."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from hytnas_host.report import build_report


def load_synthetic() -> ModuleType:
    """Import ``synthetic.py`` beside this file; tests are no package."""
    path = Path(__file__).with_name("synthetic.py")
    specification = importlib.util.spec_from_file_location("report_synthetic", path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules["report_synthetic"] = module
    specification.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def synthetic() -> ModuleType:
    return load_synthetic()


@pytest.fixture(scope="session")
def full_page(synthetic: ModuleType) -> str:
    return build_report(synthetic.full_report())
