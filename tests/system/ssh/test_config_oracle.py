"""What OpenSSH's client makes of a configuration is what the toolkit makes of it."""

import getpass
import subprocess

import pytest

from hytnas_host.devices.ssh.config import SshConfig

pytestmark = pytest.mark.system

MORE = "Port 23\nHost desk\n  User nobody\nHost *\n  User pi\n"
CONFIGURATIONS = [
    "Host board desk # Tim's\n  Port 23 # not 22\n  User a#b\n  HostName=shelf#3\n",
    'Host "board"\n  Port 5\nHost !board *\n  Port 6\n',
    'Host b?ard # x\n\tUser="x y" # z\n',
    "Match host board\n  User q\nMatch all\n  User r\nHost board\n  Port 9\n",
    *[
        f"{block}\n  Include more\n  Compression yes\nHost *\n  Port 24\n"
        for block in ("Host board", "Match originalhost board", "Match user ME host b*", "Match !host board")
    ],
    "Host desk\n  Port 7\n  Include more\nHost *\n  Port 8\n",
]


@pytest.mark.parametrize("text", CONFIGURATIONS)
def test_options_are_those_that_ssh_takes(tmp_path, text):
    (tmp_path / "more").write_text(MORE)
    path = tmp_path / "config"
    path.write_text(text.replace("more", str(tmp_path / "more")).replace("ME", getpass.getuser()))
    for host in ("board", "desk"):
        said = subprocess.run(["ssh", "-G", "-F", path, host], check=True, capture_output=True, text=True)
        theirs = dict(line.split(" ", 1) for line in said.stdout.splitlines() if " " in line)
        ours = {"port": "22", "user": getpass.getuser(), "compression": "no"} | SshConfig(path).lookup(host)
        names = ("hostname", "port", "user", "compression")
        assert {name: ours[name] for name in names} == {name: theirs[name] for name in names}
