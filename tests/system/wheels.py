"""Wheels of this very toolkit, of any version."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from hytnas_agent import __version__

ROOT = Path(__file__).parents[2]


def build_wheel(folder: Path, version: str = __version__) -> Path:
    """Build the toolkit's wheel in ``folder``, as if it were of another version."""
    with tempfile.TemporaryDirectory(dir=folder) as source:
        for name in ("agent", "datasets", "predictors", "host"):
            shutil.copytree(ROOT / name, Path(source, name), ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(ROOT / name, source)
        package = Path(source, "agent/hytnas_agent/__init__.py")
        package.write_text(package.read_text().replace(__version__, version))
        words = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, source]
        subprocess.run(words, check=True, capture_output=True, timeout=240)
    (built,) = folder.glob(f"hytnas-{version}-*.whl")
    return built
