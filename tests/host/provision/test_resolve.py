"""pip on this host, for the board's tags and markers, into a cache."""

import dataclasses
import subprocess
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from hytnas_host.provision.errors import ProvisionError
from hytnas_host.provision.resolve import Request, resolve
from hytnas_host.provision.targets import WheelTarget

from .conftest import make_wheel

BOARD = WheelTarget("aarch64", (3, 13), 41)
MARKERS = {"python_version": "3.13", "platform_machine": "aarch64", "sys_platform": "linux"}


@pytest.fixture
def request_for(tmp_path: Path, pip_wheel: Path):
    """Asks for requirements from a folder of wheels."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / pip_wheel.name).symlink_to(pip_wheel)

    def make(*requirements: str, constraints: tuple[tuple[str, ...], ...] = ((),)) -> Request:
        asked = [Requirement(line) for line in requirements]
        return Request(BOARD, MARKERS, asked, constraints, folder)

    return make


def names(wheels) -> list[str]:
    return [str(wheel) for wheel in wheels]


def test_wheels_of_the_boards_tags_are_taken(request_for, tmp_path: Path) -> None:
    request = request_for("fast")
    for tag in ("cp311-cp311-manylinux_2_28_x86_64", "cp313-cp313-manylinux_2_34_aarch64"):
        make_wheel(request.folder, "fast", tag=tag)
    make_wheel(request.folder, "fast", "2.0", tag="cp313-cp313-manylinux_2_99_aarch64")
    wheels, pip = resolve(request, tmp_path / "cache")
    assert [wheel.path.name for wheel in wheels] == ["fast-1.0-cp313-cp313-manylinux_2_34_aarch64.whl"]
    assert pip.name == "pip"


def test_markers_are_those_of_the_board_and_not_of_this_host(request_for, tmp_path: Path) -> None:
    request = request_for("root")
    needs = [
        "newer; python_version >= '3.12'",
        "older; python_version < '3.12'",
        "arm; platform_machine == 'aarch64'",
    ]
    make_wheel(request.folder, "root", metadata=[f"Requires-Dist: {line}" for line in needs])
    for name in ("newer", "older", "arm", "below"):
        make_wheel(request.folder, name, metadata=["Requires-Dist: below"] if name == "newer" else [])
    assert names(resolve(request, tmp_path / "cache")[0]) == ["arm 1.0", "below 1.0", "newer 1.0", "root 1.0"]


def test_the_first_constraints_that_can_be_met_are_taken(request_for, tmp_path: Path) -> None:
    request = request_for("engine", constraints=(("engine!=1.1", "engine==1.0"), ("engine!=1.1",)))
    make_wheel(request.folder, "engine", "1.1")
    make_wheel(request.folder, "engine", "1.2")
    assert names(resolve(request, tmp_path / "cache")[0]) == ["engine 1.2"]
    make_wheel(request.folder, "engine", "1.0")
    assert names(resolve(request, tmp_path / "cache")[0]) == ["engine 1.0"]


def test_what_cannot_be_resolved_is_named_with_the_board(request_for, tmp_path: Path) -> None:
    request = request_for("absent>=3")
    with pytest.raises(ProvisionError) as raised:
        resolve(request, tmp_path / "cache")
    assert raised.value.what == (
        "no wheels for Python 3.13, aarch64, glibc 2.41: No matching distribution found for absent>=3 "
        "(tags up to cp313, manylinux_2_41_aarch64)"
    )
    assert list((tmp_path / "cache").iterdir()) == []


def test_an_index_that_cannot_be_reached_is_told_apart(
    request_for, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = b"WARNING: Retrying: NewConnectionError\nERROR: No matching distribution found for numpy\n"
    failed = subprocess.CompletedProcess([], 1, b"", said)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(ProvisionError, match=r"index cannot be reached.*--wheel-folder"):
        resolve(dataclasses.replace(request_for("numpy"), folder=None), tmp_path / "cache")


def test_the_cache_serves_without_pip_until_a_file_is_damaged(
    request_for, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = request_for("thing")
    make_wheel(request.folder, "thing")
    first, _ = resolve(request, tmp_path / "cache")
    with monkeypatch.context() as patch:
        patch.setattr(subprocess, "run", None)
        assert resolve(request, tmp_path / "cache")[0] == first
    first[0].path.write_bytes(b"damaged")
    assert resolve(request, tmp_path / "cache")[0] == first


def test_a_download_that_was_killed_leaves_nothing_that_counts(request_for, tmp_path: Path) -> None:
    request = request_for("thing")
    make_wheel(request.folder, "thing")
    folder = tmp_path / "cache" / request.key
    make_wheel(folder, "thing", "0.1")  # no list of files beside it
    assert names(resolve(request, tmp_path / "cache")[0]) == ["thing 1.0"]
