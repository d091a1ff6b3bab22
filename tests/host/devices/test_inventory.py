"""The file of enrolled boards: what a person wrote in it stays, and nothing wrong gets in or out."""

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import msgspec
import pytest

from hytnas_host.devices import open_device
from hytnas_host.devices.errors import DeviceError, UnknownDeviceError
from hytnas_host.devices.inventory import DeviceEntry, Inventory, inventory_path

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHN0cmljdGx5IGZvciB0ZXN0aW5nIG9ubHksIG5vIGtleQ=="


def entry(name: str = "pi", **more) -> DeviceEntry:
    return DeviceEntry(name=name, host="raspberrypi.local", host_key=KEY, **more)


@pytest.fixture
def inventory(tmp_path, monkeypatch) -> Inventory:
    monkeypatch.setenv("HYTNAS_DEVICES", str(tmp_path / "config" / "devices.toml"))
    return Inventory()


def test_board_comes_back_as_it_was(inventory):
    assert inventory.entries() == {}
    full = entry(port=2222, user="pi", key_files=("~/.ssh/pi",), agent=("/opt/agent",), runtime="onnxruntime")
    inventory.put(full)
    inventory.put(entry("other"))
    assert Inventory.load().entries() == {"other": entry("other"), "pi": full}
    inventory.remove("pi")
    assert list(inventory.entries()) == ["other"]


def test_file_is_private(inventory):
    inventory.put(entry())
    assert stat.S_IMODE(inventory.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(inventory.path.parent.stat().st_mode) == 0o700


def test_what_a_person_wrote_stays(inventory):
    inventory.path.parent.mkdir()
    inventory.path.write_text(
        f'# mine\n[elsewhere]\nkey = 1\n\n[devices.pi] # on the shelf\nhost = "old"\nhost_key = "{KEY}"\n'
        'agent = ["/opt/agent"]\nshelf = "left"\n'
    )
    inventory.put(msgspec.structs.replace(inventory.get("pi"), host="new", agent=()))
    text = inventory.path.read_text()
    assert "# mine" in text
    assert "# on the shelf" in text
    assert 'shelf = "left"' in text
    assert "[elsewhere]" in text
    assert inventory.get("pi") == DeviceEntry(name="pi", host="new", host_key=KEY)


def test_a_file_that_a_person_named_keeps_its_mode_and_what_lies_beside_it(inventory):
    inventory.path.parent.mkdir()
    inventory.path.touch()
    inventory.path.chmod(0o664)
    beside = inventory.path.with_name(".devices.toml.lock")
    beside.write_text("mine")
    inventory.put(entry())
    assert stat.S_IMODE(inventory.path.stat().st_mode) == 0o664
    assert beside.read_text() == "mine"


def test_folders_above_it_are_private_under_any_umask(tmp_path):
    before = os.umask(0)
    try:
        Inventory(tmp_path / "a/b/devices.toml").put(entry())
    finally:
        os.umask(before)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "a", tmp_path / "a/b")] == [0o700] * 2


def test_link_to_a_file_elsewhere_stays_one(inventory, tmp_path):
    inventory.path.parent.mkdir()
    inventory.path.symlink_to(tmp_path / "dotfiles.toml")
    inventory.put(entry())
    assert inventory.path.is_symlink()
    assert "raspberrypi.local" in (tmp_path / "dotfiles.toml").read_text()


def test_boards_that_are_enrolled_at_once_are_all_there(inventory):
    threads = [threading.Thread(target=Inventory().put, args=(entry(f"pi{i}"),)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(inventory.entries()) == 8
    assert [path.name for path in inventory.path.parent.iterdir() if path.suffix == ".toml"] == [
        "devices.toml"
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("devices = 3", "devices is no table"),
        ("[devices]\npi = 3", r"devices\.pi is no table"),
        ("[devices.pi]\nhost = 'x'", "host_key"),
        ("[devices.pi]\nhost = 'x'\nhost_key = 'ssh-ed25519 AAAA'", "no.* host key"),
        (f"[devices.pi]\nhost = '-oProxyCommand=x'\nhost_key = '{KEY}'", "no.* address"),
        (f"[devices.pi]\nhost = 'x'\nport = 70000\nhost_key = '{KEY}'", "no.* address"),
        (f"[devices.PI]\nhost = 'x'\nhost_key = '{KEY}'", "no name for a device"),
        ("[devices", "malformed"),
        ("#" * ((1 << 20) + 1), "more than 1 MiB"),
        ("\udcff", "malformed"),
    ],
)
def test_malformed_file_is_one_clear_error(inventory, text, said):
    inventory.path.parent.mkdir()
    inventory.path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(DeviceError, match=said):
        Inventory.load()


def test_file_that_cannot_be_written_is_one_clear_error(inventory):
    inventory.path.parent.write_text("a file")
    with pytest.raises(DeviceError, match="HYTNAS_DEVICES"):
        Inventory().put(entry())


def test_unknown_device_names_the_known_ones(inventory):
    inventory.put(entry())
    with pytest.raises(UnknownDeviceError, match="known: pi"):
        inventory.get("desk")
    with pytest.raises(UnknownDeviceError, match=r"known devices: .*local.*, pi; enrol"):
        open_device("desk")


def test_board_without_an_agent_is_told_apart(inventory):
    inventory.put(entry())
    with pytest.raises(DeviceError, match="device provision pi"):
        open_device("pi")


def test_path_follows_the_configuration_home(monkeypatch, tmp_path):
    monkeypatch.delenv("HYTNAS_DEVICES", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert inventory_path() == tmp_path / "hytnas" / "devices.toml"


def test_file_of_an_unknown_home_is_one_that_is_not_there(monkeypatch):
    monkeypatch.setenv("HYTNAS_DEVICES", "~nosuchuser/devices.toml")
    assert Inventory().entries() == {}


def test_file_is_text_in_utf8_whatever_the_locale(inventory):
    inventory.put(entry())
    noted = inventory.path.read_text() + "# Küche\n"
    inventory.path.write_text(noted, encoding="utf-8")
    program = "from hytnas_host.devices.inventory import Inventory as I; I().put(I().get('pi'))"
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    subprocess.run([sys.executable, "-P", "-c", program], env=os.environ | locale, check=True, timeout=120)
    assert inventory.path.read_text(encoding="utf-8") == noted


@pytest.fixture
def synced(monkeypatch) -> list[tuple[str, list[str]]]:
    """What was brought to the disk: its name, and what was in its folder by then."""
    found: list[tuple[str, list[str]]] = []

    def fsync(descriptor: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        folder = path if path.is_dir() else path.parent
        found.append((path.name, [file.name for file in folder.iterdir()]))

    monkeypatch.setattr("os.fsync", fsync)
    return found


def test_change_outlives_a_loss_of_power(inventory, synced):
    inventory.put(entry())
    (draft, before), (folder, after) = synced
    assert draft.startswith(f".{inventory.path.name}.")
    assert inventory.path.name not in before
    assert (folder, inventory.path.name in after) == (inventory.path.parent.name, True)
