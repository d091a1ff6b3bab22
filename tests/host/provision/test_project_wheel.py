"""The project's own wheel: built from a checkout, or packed again from what is installed."""

import importlib.metadata
import subprocess
import sys
import zipfile
from importlib.metadata import Distribution
from pathlib import Path

import pytest

from hytnas_agent import __version__
from hytnas_host.provision import project_wheel as module
from hytnas_host.provision.errors import ProvisionError
from hytnas_host.provision.project_wheel import build, pack, project_wheel
from hytnas_host.provision.wheels import read_wheel

from .conftest import make_agent_wheel

ROOT = Path(module.__file__).parents[3]


@pytest.fixture
def installed(tmp_path: Path, pip_wheel: Path) -> Distribution:
    """The tiny agent, installed as pip does it."""
    target, wheel = tmp_path / "site", make_agent_wheel(tmp_path / "dist")
    words = [sys.executable, f"{pip_wheel}/pip", "install", "--quiet", "--no-deps", "--target", target, wheel]
    subprocess.run(words, check=True, timeout=120)
    (found,) = importlib.metadata.distributions(name="hytnas", path=[str(target)])
    return found


def contents(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist() if not name.endswith("/RECORD")}


def test_an_installed_wheel_is_packed_again_as_it_was(installed: Distribution, tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    again = pack(installed, tmp_path / "again")
    original = tmp_path / "dist" / again.name
    assert contents(again) == contents(original)
    (tmp_path / "third").mkdir()
    assert pack(installed, tmp_path / "third").read_bytes() == again.read_bytes()
    assert read_wheel(again).extras == ("onnx", "tflite")


def test_an_installed_file_that_was_changed_is_refused(installed: Distribution, tmp_path: Path) -> None:
    (tmp_path / "site/tiny_agent.py").write_text("changed")
    with pytest.raises(ProvisionError, match=r"tiny_agent\.py was changed after its installation.*--wheel"):
        pack(installed, tmp_path)


def test_a_checkout_is_built_with_all_its_extras_and_files(tmp_path: Path) -> None:
    assert importlib.metadata.distribution("hytnas").read_text("direct_url.json")
    wheel = read_wheel(project_wheel(tmp_path))
    assert (str(wheel.version), wheel.name) == (__version__, "hytnas")
    assert {"onnx", "litert", "tflite"} <= set(wheel.extras)
    wanted = {requirement.name for requirement in wheel.wanted({}, ["onnx"])}
    assert wanted == {"msgspec", "numpy", "onnxruntime"}
    assert {"hytnas_agent/cli.py", "hytnas_host/provision/hytnas-agent.service"} <= set(contents(wheel.path))
    assert (ROOT / "pyproject.toml").exists()


def test_a_build_that_does_not_end_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BUILD_TIMEOUT_S", 0.001)
    with pytest.raises(ProvisionError, match=r"was not built within 0\.001 s.*--wheel"):
        build(ROOT, tmp_path)


def test_a_toolkit_that_is_only_imported_needs_a_wheel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "DISTRIBUTION", "hytnas-of-another-name")
    with pytest.raises(ProvisionError, match=r"is not installed here, only imported.*--wheel"):
        project_wheel(tmp_path)
