"""The examples in docstrings do what they say, and every public function that needs no device has one."""

import doctest
import importlib
import inspect
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = {name: ROOT / name.removeprefix("hytnas_") for name in (
    "hytnas_agent", "hytnas_datasets", "hytnas_predictors", "hytnas_host",
)}  # fmt: skip
NEEDS_A_DEVICE = {"collect_files", "collect_latency", "measure_file", "open_device", "verify", "verify_study"}
NEEDS_A_COLLECTED_STUDY = {"collect_accuracy", "make_leaderboard", "search_study", "write_report"}
NEEDS_FILES_OF_OTHERS = {"read_released"}
WITH_ANOTHER = {
    "load_predictor": "save_predictor",
    "read_info": "save_predictor",
    "load_trained": "train_predictor",
}
"""Functions that the example of another one calls, itself or through what it shows."""


def modules_with_examples() -> list[str]:
    found = []
    for folder in PACKAGES.values():
        for path in sorted(folder.rglob("*.py")):
            if ">>> " in path.read_text():
                parts = path.relative_to(folder).with_suffix("").parts
                found.append(".".join(parts).removesuffix(".__init__"))
    return found


@pytest.mark.parametrize("module", modules_with_examples())
def test_examples_do_what_they_say(module: str, capsys: pytest.CaptureFixture[str]) -> None:
    result = doctest.testmod(importlib.import_module(module))
    assert result.attempted > 0
    assert result.failed == 0, capsys.readouterr().out


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_function_has_an_example(package: str) -> None:
    module = importlib.import_module(package)
    without = NEEDS_A_DEVICE | NEEDS_A_COLLECTED_STUDY | NEEDS_FILES_OF_OTHERS | set(WITH_ANOTHER)
    functions = {name for name in module.__all__ if inspect.isfunction(inspect.unwrap(getattr(module, name)))}
    assert [name for name in sorted(functions - without) if ">>> " not in getattr(module, name).__doc__] == []
