"""A board that is a folder of this machine, and wheels small enough to be installed in a moment."""

import base64
import hashlib
import marshal
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.machinery import SourceFileLoader
from importlib.metadata import distribution
from importlib.util import MAGIC_NUMBER
from pathlib import Path

import pytest

from hytnas_host.devices.ssh import Completed as Done
from hytnas_host.provision.project_wheel import pack

# The header of a compiled module that is not compared with its source: PEP 552.
UNCHECKED_PYC = MAGIC_NUMBER + (1).to_bytes(4, "little") + bytes(8)

# The agent of the tiny wheel: what the true one answers, and a log of what it was asked.
TINY_AGENT = """
import json, os, pathlib, sys

def main():
    with open(os.path.expanduser("~/asked"), "a") as log:
        log.write(" ".join([sys.prefix.rpartition("/")[2], *sys.argv[1:]]) + "\\n")
    if "describe" in sys.argv:
        broken = os.path.exists(os.path.expanduser("~/runtime-is-broken"))
        print(json.dumps({
            "identity": {"device_id": "id", "hostname": "board"},
            "context": CONTEXT,
            "runtimes": [{"name": "onnxruntime", "version": "1.26.0", "build": "", "formats": ["onnx"],
                          "usable": not broken, "reason": "dies of SIGILL on this device" if broken else ""}],
            "health": {"at_unix_s": 0.0}, "agent_version": "VERSION",
        }))
    if "doctor" in sys.argv:
        print(json.dumps({"checks": [{"name": "swap", "status": "warn", "found": "in use"}]}))
        return 1
    if "stop" in sys.argv and os.path.exists(os.path.expanduser("~/results-wait")):
        sys.exit("hytnas-agent: 3 results have not been fetched" if "--delete-state" in sys.argv
                 and "--discard-results" not in sys.argv else 0)
    return 0
"""


class Cut(OSError):
    """The link to the board is gone."""


@dataclass
class LocalShell:
    """Runs what a board would run on this machine, with a home folder of its own.

    ``cut_at`` is a hook that may raise `Cut` before or after each call.
    """

    home: Path
    cut: Callable[[str, str], None] = lambda when, call: None
    calls: list[list[str]] = field(default_factory=list)
    answers: dict[str, Done] = field(default_factory=dict)

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", timeout_s: float) -> Done:
        call = " ".join(argv)
        self.calls.append(list(argv))
        self.cut("before", call)
        for begin, answer in self.answers.items():
            if call.startswith(begin):
                return answer
        environment = {"HOME": str(self.home), "PATH": os.environ["PATH"]}
        try:
            done = subprocess.run(
                argv, input=stdin, capture_output=True, timeout=timeout_s, check=False, env=environment
            )
        except FileNotFoundError:
            return Done(127, b"", f"sh: 1: {argv[0]}: not found".encode())
        self.cut("after", call)
        return Done(done.returncode, done.stdout, done.stderr)

    def put(self, file: Path, destination: str) -> None:
        call = f"put {file.name}"
        self.calls.append(call.split())
        self.cut("before", call)
        data = file.read_bytes()
        if self.answers.get(call):
            data = self.answers[call].stdout
        Path(destination).write_bytes(data)
        self.cut("after", call)

    def pushed(self) -> list[str]:
        """Names of the files that were copied."""
        return [call[1] for call in self.calls if call[0] == "put"]

    @property
    def root(self) -> Path:
        return self.home / ".local/share/hytnas"

    @property
    def current(self) -> Path | None:
        """The environment that `current` names; it must be there and tried."""
        link = self.root / "current"
        if not link.is_symlink():
            return None
        assert (link / "hytnas.json").exists(), "current points to an unfinished environment"
        subprocess.run([link / "bin/hytnas-agent", "serve"], check=True, env={"HOME": str(self.home)})
        return link.resolve()

    def environments(self) -> set[str]:
        return {path.name for path in (self.root / "environments").iterdir()}


def make_wheel(
    folder: Path,
    name: str,
    version: str = "1.0",
    *,
    tag: str = "py3-none-any",
    files: dict[str, str] | None = None,
    metadata: Sequence[str] = (),
    scripts: str = "",
) -> Path:
    """A wheel with these files: PyPA's "Binary distribution format"."""
    folder.mkdir(parents=True, exist_ok=True)
    module, information = name.replace("-", "_"), f"{name.replace('-', '_')}-{version}.dist-info"
    headers = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *metadata]
    contents = {
        **(files or {f"{module}.py": f"version = {version!r}\n"}),
        f"{information}/METADATA": "\n".join(headers) + "\n",
        f"{information}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n",
    }
    if scripts:
        contents[f"{information}/entry_points.txt"] = f"[console_scripts]\n{scripts}\n"
    path = folder / f"{module}-{version}-{tag}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        record = ""
        for file, text in contents.items():
            archive.writestr(zipfile.ZipInfo(file), text)
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
            record += f"{file},sha256={digest},{len(text.encode())}\n"
        archive.writestr(zipfile.ZipInfo(f"{information}/RECORD"), f"{record}{information}/RECORD,,\n")
    return path


def make_agent_wheel(folder: Path, version: str = "0.1.0") -> Path:
    """A wheel of the toolkit's name whose agent is a page of Python."""
    context = {
        **dict.fromkeys(("board", "soc", "architecture", "os", "kernel", "governor"), "x"),
        "cores": 4,
        "memory_bytes": 1 << 30,
        "runtime": "onnxruntime",
        "runtime_version": "1.26.0",
        "runtime_build": "",
        "threads": 1,
        "execution": "native",
    }
    return make_wheel(
        folder,
        "hytnas",
        version,
        files={"tiny_agent.py": TINY_AGENT.replace("CONTEXT", repr(context)).replace("VERSION", version)},
        metadata=[
            "Requires-Dist: tiny-base>=1",
            "Provides-Extra: onnx",
            "Requires-Dist: onnxruntime>=1.23; extra == 'onnx'",
            "Provides-Extra: tflite",
            "Requires-Dist: tflite-runtime; extra == 'tflite'",
        ],
        scripts="hytnas-agent = tiny_agent:main",
    )


@pytest.fixture(scope="session")
def pip_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """pip's own wheel, packed from the one that runs here: tests need no network.

    Its modules are compiled: Python keeps nothing of what it compiles out of a wheel, and each test would
    compile all of pip once more.
    """
    pip = distribution("pip")
    wheel = pack(pip, tmp_path_factory.mktemp("pip"))
    with zipfile.ZipFile(wheel, "a") as archive:
        for name in [name for name in archive.namelist() if name.endswith(".py")]:
            code = SourceFileLoader(name, str(pip.locate_file(name))).get_code(name)
            archive.writestr(f"{name}c", UNCHECKED_PYC + marshal.dumps(code))
    return wheel


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel cache: what one test resolved, the next need not."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def index(tmp_path_factory: pytest.TempPathFactory, pip_wheel: Path) -> Path:
    """A folder of all wheels that the tiny agent and one runtime need."""
    folder = tmp_path_factory.mktemp("index")
    make_wheel(folder, "tiny-base", "1.5")
    make_wheel(folder, "onnxruntime", "1.26.0", metadata=["Requires-Dist: tiny-base"])
    make_wheel(folder, "onnxruntime", "1.31.0", metadata=["Requires-Dist: tiny-base"])
    (folder / pip_wheel.name).symlink_to(pip_wheel)
    return folder


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same home folder for every board, so that what was installed on one runs on the next."""
    return tmp_path_factory.mktemp("board") / "home"


@pytest.fixture
def shell(home: Path) -> Iterator[LocalShell]:
    home.mkdir()
    yield LocalShell(home)
    shutil.rmtree(home)


PYTHON = sys.executable
