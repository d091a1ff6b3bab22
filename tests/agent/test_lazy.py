"""The public names of the four packages: there, typed, and imported by nobody who does not use them."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from hytnas_agent.lazy import export

PACKAGES = ("hytnas_agent", "hytnas_datasets", "hytnas_predictors", "hytnas_host")
LAZY = (*PACKAGES, "hytnas_host.export", "hytnas_host.devices.ssh")


def typed_names(package: str) -> dict[str, set[str]]:
    """What a package imports for type checkers, by module."""
    source = Path(importlib.import_module(package).__file__).read_text()
    found: dict[str, set[str]] = {}
    for block in ast.parse(source).body:
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING":
            for statement in block.body:
                found.setdefault(statement.module, set()).update(alias.name for alias in statement.names)
    return found


@pytest.mark.parametrize("package", LAZY)
def test_every_public_name_is_there(package: str) -> None:
    module = importlib.import_module(package)
    assert module.__all__
    assert len(set(module.__all__)) == len(module.__all__)
    assert [name for name in module.__all__ if getattr(module, name) is None] == []
    assert set(module.__all__) <= set(dir(module))


@pytest.mark.parametrize("package", LAZY)
def test_type_checkers_see_the_same_names(package: str) -> None:
    exports = importlib.import_module(package)._EXPORTS
    assert typed_names(package) == {module: set(names) for module, names in exports.items()}


@pytest.mark.parametrize("package", LAZY)
def test_every_public_name_says_what_it_is_for(package: str) -> None:
    module = importlib.import_module(package)
    assert [name for name in module.__all__ if not getattr(module, name).__doc__] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_importing_a_package_imports_nothing_else(package: str) -> None:
    code = "import sys; before = set(sys.modules)\n"
    code += f"import {package}; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [package]


def test_the_agents_commands_do_without_cryptography_until_they_need_it() -> None:
    code = "import sys, hytnas_agent.cli; print(*sorted({'hashlib', 'random', 'secrets'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize("module", ["hytnas_host.collect.latency", "hytnas_host.workflow.searches"])
def test_who_exports_in_workers_and_measures_here_does_without_torch_and_paramiko(module: str) -> None:
    heavy = "{'torch', 'onnxscript', 'paramiko'}"
    code = f"import sys, {module}; print(*sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'hytnas_agent' has no attribute 'nothing'"):
        export("hytnas_agent", {}, "nothing")
    with pytest.raises(ImportError):
        exec("from hytnas_host import nothing")
