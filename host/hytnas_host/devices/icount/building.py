"""Building the emulated system once, into the user's cache, without root."""

import fcntl
import importlib.util
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from hytnas_agent.account import base_folder
from hytnas_host.devices.errors import DeviceError
from hytnas_host.devices.icount.packages import KEYRING, PackageSource, run
from hytnas_host.devices.icount.recipe import CPUINFO, PLUGIN_SOURCE, RECIPE, EmulatorRecipe

STEPS = ("the emulator", "the arm64 system", "runtimes", "the counter", "a first start")
MANYLINUX = ("2014", "_2_17", "_2_27", "_2_28", "_2_34")
MAX_MANIFEST_BYTES = 1 << 20


class EmulatorManifest(msgspec.Struct, frozen=True):
    """Which versions were unpacked, by package."""

    emulator: dict[str, str]
    system: dict[str, str]
    wheels: tuple[str, ...]
    instructions_per_s: int
    cpu: str
    python: str


@dataclass(frozen=True)
class Built:
    """A finished emulated system."""

    folder: Path
    manifest: EmulatorManifest

    @property
    def system(self) -> Path:
        """Root of the arm64 system."""
        return self.folder / "system"

    @property
    def wheels(self) -> Path:
        """The arm64 Python packages."""
        return self.folder / "wheels"

    def emulator(self, *, counting: str | None = None) -> tuple[str, ...]:
        """Command line of the emulator, up to the program; ``counting`` is the descriptor of the page.

        It runs with its own C library, so that the libraries of this system do not matter.
        """
        root = self.folder / "emulator"
        libraries = sorted({str(path.parent) for path in root.rglob("*.so.*")})
        loader = next(iter(sorted(root.glob("lib*/**/ld-linux-*.so.*"))), None)
        if loader is None:
            raise DeviceError(
                f"the emulator in {self.folder} is not whole", f"remove it: rm -r {self.folder}"
            )
        plugin = str(self.folder / "libinsncount.so").replace(",", ",,")
        counter = () if counting is None else ("-plugin", f"{plugin},page={counting}")
        command = (str(loader), "--library-path", ":".join(libraries), str(root / "usr/bin/qemu-aarch64"))
        return (*command, "-cpu", self.manifest.cpu, "-L", str(self.system), *counter)

    def python(self, *, counting: str | None = None) -> tuple[str, ...]:
        """Command line of the emulated Python."""
        return (*self.emulator(counting=counting), str(self.system / f"usr/bin/python{self.manifest.python}"))


def cache_folder(recipe: EmulatorRecipe = RECIPE) -> Path:
    """Where the system of a recipe is kept: ``$XDG_CACHE_HOME/hytnas/icount/<hash>``."""
    return base_folder("XDG_CACHE_HOME", ".cache") / "hytnas" / "icount" / recipe.hash()


def is_built(recipe: EmulatorRecipe = RECIPE) -> bool:
    """Whether the system of a recipe is in the cache."""
    return (cache_folder(recipe) / "manifest.json").is_file()


def build(recipe: EmulatorRecipe = RECIPE, *, on_step: Callable[[str], None] = lambda _: None) -> Built:
    """The emulated system, from the cache or built now; of several processes one builds.

    Parameters
    ----------
    on_step : callable
        Called with each of ``STEPS`` when it begins; not at all where nothing has to be built.

    Raises
    ------
    DeviceError
        Something it needs is missing or cannot be downloaded; what to do about it is said.
    """
    folder = cache_folder(recipe)
    try:
        if not is_built(recipe):
            folder.parent.mkdir(parents=True, exist_ok=True)
            with _locked(folder.with_suffix(".lock")):
                if not is_built(recipe):
                    _build(folder, recipe, on_step)
        with (folder / "manifest.json").open("rb") as file:
            manifest = msgspec.json.decode(file.read(MAX_MANIFEST_BYTES), type=EmulatorManifest)
    except OSError as error:
        raise DeviceError(
            f"the emulated system cannot be kept in {folder}: {error.strerror}",
            "free space, or set XDG_CACHE_HOME to a folder that can be written",
        ) from error
    except ValueError as error:
        raise DeviceError(f"{folder} is damaged: {error}", f"remove it: rm -r {folder}") from error
    return Built(folder, manifest)


def missing_tools() -> tuple[str, ...]:
    """What building needs and this system lacks, as Debian and Ubuntu name the packages."""
    missing = [
        package
        for package, command in (("apt", "apt-get"), ("dpkg", "dpkg-deb"), ("gcc", "gcc"))
        if shutil.which(command) is None
    ]
    if not Path("/usr/include/sys/mman.h").exists() and not list(Path("/usr/include").glob("*/sys/mman.h")):
        missing.append("libc6-dev")
    if not KEYRING.exists():
        missing.append("debian-archive-keyring")
    if importlib.util.find_spec("pip") is None:
        missing.append("python3-pip")
    return tuple(missing)


def _build(folder: Path, recipe: EmulatorRecipe, on_step: Callable[[str], None]) -> None:
    if missing := missing_tools():
        raise DeviceError(
            f"the emulated Cortex-A53 cannot be built here without: {', '.join(missing)}",
            f"On Debian and Ubuntu: sudo apt-get install {' '.join(missing)}",
        )
    with tempfile.TemporaryDirectory(prefix=f"{folder.name}.", dir=folder.parent) as name:
        draft = Path(name) / "draft"
        draft.mkdir(mode=0o755)
        sources = (
            f"{recipe.mirror} {recipe.suite}",
            f"{recipe.security_mirror} {recipe.suite}-security",
        )
        on_step(STEPS[0])
        here = run(["dpkg", "--print-architecture"], "the architecture is not known").strip()
        emulator = PackageSource(Path(name) / "here", here, sources).unpack(
            recipe.emulator, draft / "emulator"
        )
        for other in (draft / "emulator" / "usr" / "bin").glob("qemu-*"):
            if other.name != "qemu-aarch64":
                other.unlink()
        on_step(STEPS[1])
        system = PackageSource(Path(name) / "arm64", "arm64", sources).unpack(recipe.system, draft / "system")
        (draft / "system" / "proc").mkdir(exist_ok=True)
        (draft / "system" / "proc" / "cpuinfo").write_text(CPUINFO)
        on_step(STEPS[2])
        _install_wheels(draft / "wheels", recipe)
        on_step(STEPS[3])
        plugin = ["gcc", "-O2", "-shared", "-fPIC", "-o", str(draft / "libinsncount.so"), str(PLUGIN_SOURCE)]
        run(plugin, "the counter cannot be compiled")
        on_step(STEPS[4])
        manifest = EmulatorManifest(
            emulator, system, recipe.wheels, recipe.instructions_per_s, recipe.cpu, recipe.python
        )
        _start_once(Built(draft, manifest))
        (draft / "manifest.json").write_bytes(msgspec.json.format(msgspec.json.encode(manifest)))
        draft.rename(folder)


def _install_wheels(folder: Path, recipe: EmulatorRecipe) -> None:
    platforms = [f"--platform=manylinux{tag}_aarch64" for tag in MANYLINUX]
    options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:", "--no-compile"]
    target = ["--implementation=cp", f"--python-version={recipe.python}", f"--target={folder}"]
    command = [sys.executable, "-m", "pip", "install", *options, *platforms, *target, *recipe.wheels]
    run(command, f"the wheels {', '.join(recipe.wheels)} cannot be had")


def _start_once(built: Built) -> None:
    """Import the runtime under the emulator: a proof that it works, which leaves compiled modules behind."""
    code = "import numpy, onnxruntime, msgspec, ctypes, ssl, zipfile; print(numpy.arange(3).sum())"
    environment = {"PYTHONPATH": str(built.wheels), "PYTHONHOME": "", "LD_PRELOAD": ""}
    said = run(
        [*built.python(), "-P", "-c", code], "the emulator does not work here", environment=environment
    )
    if said.split() != ["3"]:
        raise DeviceError("the emulator computes wrongly here", "report this, with the processor you have")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
