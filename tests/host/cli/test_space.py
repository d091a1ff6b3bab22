"""`hytnas-profile space` and `export` say the same for people and for programs."""

import json
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hytnas_host.cli.app import app


def json_of(*words: str) -> object:
    result = CliRunner().invoke(app, [*words, "--json"])
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_list_gives_the_exact_sizes() -> None:
    spaces = json_of("space", "list")
    assert isinstance(spaces, list)
    sizes = {space["name"]: space["size"] for space in spaces}
    assert sizes["hyt"] == 1_224_440_064
    assert sizes["hyt-released"] == 396_718_580_736
    shown = CliRunner().invoke(app, ["space", "list"], env={"COLUMNS": "120"}).stdout
    assert "1,224,440,064" in shown


def test_sample_is_the_seeds() -> None:
    first = json_of("space", "sample", "hyt", "--n", "3", "--seed", "5")
    assert first == json_of("space", "sample", "hyt", "--n", "3", "--seed", "5")
    assert first != json_of("space", "sample", "hyt", "--n", "3", "--seed", "6")


def test_a_sampled_architecture_can_be_exported(tmp_path: Path) -> None:
    sampled = json_of("space", "sample", "hyt", "--n", "1", "--resolution", "32")
    assert isinstance(sampled, list)
    exported = json_of("export", sampled[0]["id"], "--to", str(tmp_path), "--resolution", "32")
    assert isinstance(exported, list)
    assert Path(exported[0]["path"]).is_file()
    assert exported[0]["parity_error"] < 1e-3


def test_a_broken_package_stops_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = EntryPoint("broken", "no_such_module:SPACE", "hytnas.spaces")
    monkeypatch.setattr(
        "hytnas_agent.registry._entry_points", lambda group: [broken] if group == broken.group else []
    )
    result = CliRunner().invoke(app, ["space", "list", "--json"])
    assert result.exit_code == 0
    names = [space["name"] for space in json.loads(result.stdout)]
    assert names[:3] == ["hyt", "hyt-released", "hyt-mixed"]
    assert "broken" not in names
    assert "left out: The space 'broken' (no_such_module:SPACE) cannot be imported" in result.stderr


def test_without_options_the_task_is_the_familys() -> None:
    assert json_of("space", "sample", "hyt") == json_of(
        "space", "sample", "hyt", "--resolution", "224", "--classes", "2"
    )
    assert json_of("space", "sample", "hyt") != json_of("space", "sample", "hyt", "--classes", "3")
