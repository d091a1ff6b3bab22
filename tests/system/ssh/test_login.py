"""Logging in: key files, the SSH agent, the SSH configuration, jump hosts; and what is said if it fails."""

import dataclasses
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hytnas_host.devices.errors import DeviceError
from hytnas_host.devices.ssh import HostKeyError, SshClient, SshLostError, SshSettings
from hytnas_host.devices.ssh.errors import LoginError

from .server import free_port, make_key

pytestmark = pytest.mark.system


def works(settings: SshSettings) -> bool:
    with SshClient(settings) as client:
        return client.run(["echo", "in"]).text == "in"


class Agent:
    """A real ssh-agent."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket
        self._process = subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while not socket.exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def add(self, key_file: Path) -> None:
        environment = {"SSH_AUTH_SOCK": str(self.socket), "PATH": "/usr/bin:/bin"}
        subprocess.run(["ssh-add", "-q", key_file], env=environment, check=True, timeout=60)

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(60)


@pytest.fixture
def agent(tmp_path):
    agent = Agent(tmp_path / "agent.sock")
    yield agent
    agent.close()


def by_agent(sshd, agent, **more) -> SshSettings:
    nowhere = (str(sshd.folder / "no-such-key"),)
    return dataclasses.replace(sshd.settings, key_files=nowhere, agent_socket=str(agent.socket), **more)


def test_agent_logs_in(sshd, agent, monkeypatch):
    with pytest.raises(LoginError, match="agent has no keys"):
        works(by_agent(sshd, agent))
    agent.add(sshd.key_file)
    assert works(by_agent(sshd, agent))
    monkeypatch.setenv("SSH_AUTH_SOCK", str(agent.socket))
    assert works(dataclasses.replace(by_agent(sshd, agent), agent_socket=None))


def test_key_with_a_passphrase_is_used_through_the_agent_only(sshd, agent, tmp_path):
    locked = make_key(tmp_path / "locked", passphrase="secret")
    sshd.authorise(locked)
    settings = dataclasses.replace(by_agent(sshd, agent), key_files=(str(locked),))
    with pytest.raises(LoginError, match=r"locked: needs its passphrase.*ssh-add"):
        works(settings)


def test_agent_that_is_not_there_is_named(sshd, agent, tmp_path):
    absent = dataclasses.replace(by_agent(sshd, agent), agent_socket=str(tmp_path / "nobody.sock"))
    with pytest.raises(LoginError, match=r"no SSH agent at .*nobody\.sock: No such file"):
        works(absent)
    assert works(dataclasses.replace(absent, key_files=sshd.settings.key_files))


def test_wrong_key_is_refused_and_named(sshd, tmp_path):
    stranger = make_key(tmp_path / "stranger")
    with pytest.raises(LoginError, match=r"stranger: refused.*ssh-copy-id") as refused:
        works(dataclasses.replace(sshd.settings, key_files=(str(stranger),)))
    assert not isinstance(refused.value, OSError)


def test_right_key_after_a_wrong_one_and_of_every_kind(sshd, tmp_path):
    stranger = str(make_key(tmp_path / "stranger"))
    for kind in ("rsa", "ecdsa", "ed25519"):
        key = make_key(tmp_path / kind, kind=kind)
        sshd.authorise(key)
        assert works(dataclasses.replace(sshd.settings, key_files=(stranger, str(key))))


def test_more_keys_than_the_server_lets_try_is_explained(sshd, tmp_path):
    strangers = tuple(str(make_key(tmp_path / f"stranger{i}")) for i in range(8))
    with pytest.raises(LoginError, match=r"after refusing \d keys.*IdentitiesOnly"):
        works(dataclasses.replace(sshd.settings, key_files=strangers))


@pytest.mark.parametrize("content", [b"", b"no key", b"-----BEGIN OPENSSH PRIVATE KEY-----\n"])
def test_file_that_is_no_key_is_named(sshd, tmp_path, content):
    file = tmp_path / "id_rubbish"
    file.write_bytes(content)
    with pytest.raises(LoginError, match="id_rubbish: no private key"):
        works(dataclasses.replace(sshd.settings, key_files=(str(file),)))


def test_faults_that_pass_are_told_from_those_that_stay(sshd):
    closed = dataclasses.replace(sshd.settings, port=free_port())
    with pytest.raises(SshLostError, match=r"refuses the connection.*SSH is enabled"):
        works(closed)
    nobody = dataclasses.replace(sshd.settings, host="no-such-board.invalid")
    with pytest.raises(SshLostError, match=r"host name no-such-board\.invalid is not known"):
        works(nobody)
    sshd.stop()
    with pytest.raises(OSError, match="refuses the connection"):
        works(sshd.settings)
    sshd.start()
    assert works(sshd.settings)


def test_what_paramiko_logs_reaches_nobody(sshd):
    """In a process of its own: the tests' runner listens to logs."""
    program = f"""
from hytnas_host.devices.ssh import *
settings = SshSettings("{sshd.host}", {sshd.port}, agent_socket="none", key_files=("/none",))
for change in (None, HostKey.parse("{sshd.host_key}")):
    try:
        SshClient(SshSettings(settings.host, settings.port, None, change, ("/none",))).connect()
    except Exception as error:
        print(type(error).__name__)
"""
    command = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert (done.stdout.split(), done.stderr) == (["HostKeyError", "LoginError"], "")


# --- The SSH configuration ------------------------------------------------------------------------------


@pytest.fixture
def write_config(sshd):
    """Write an SSH configuration with the hosts ``jump`` and ``board``, and give the settings to use it."""
    file = sshd.folder / "config"
    known = sshd.folder / "known_hosts"
    known.write_text(f"{sshd.host_key_line}\n")

    def write(more: str = "", *, host: str = "board", key: Path = sshd.key_file) -> SshSettings:
        file.write_text(
            f"Host jump board\n  HostName {sshd.host}\n  Port {sshd.port}\n  User {sshd.user}\n"
            f"  IdentityFile {key}\n  UserKnownHostsFile {known}\n  IdentityAgent none\n{more}\n"
        )
        return SshSettings(host, host_key=sshd.host_key, config_file=file)

    return write


def test_alias_of_the_configuration_is_enough(write_config, sshd):
    assert works(write_config())
    with pytest.raises(SshLostError, match="port 1 refuses"):
        works(dataclasses.replace(write_config(), port=1))


def test_configuration_may_include_files(write_config, sshd, tmp_path):
    settings = write_config()
    whole = settings.config_file.read_text()
    (tmp_path / "10-boards.conf").write_text(whole)
    settings.config_file.write_text(f"Include {tmp_path}/*.conf\nServerAliveInterval 5\n")
    assert works(settings)


def test_way_through_a_jump_host(write_config, sshd):
    settings = write_config("Host board\n  ProxyJump jump")
    with SshClient(settings) as client:
        assert client.run(["echo", "through"]).text == "through"
        assert sshd.connections == 2
        client.put(sshd.key_file, str(sshd.folder / "copy"))
        connection = client.open_exec(["cat"])
        sshd.cut()
        assert connection.receive() == b""
        connection.close()
        assert client.run(["echo", "again"]).text == "again"


def test_way_through_two_jump_hosts_given_by_hand(write_config, sshd):
    settings = dataclasses.replace(write_config(), proxy_jump=f"jump,{sshd.user}@jump:{sshd.port}")
    with SshClient(settings) as client:
        assert client.run(["echo", "through"]).text == "through"
        assert sshd.connections == 3


def test_jump_host_that_nobody_knows_is_refused(write_config, sshd):
    settings = write_config("Host board\n  ProxyJump jump")
    (sshd.folder / "known_hosts").write_text("")
    with pytest.raises(HostKeyError, match=r"jump host .* is not in known_hosts.*by hand"):
        works(settings)


def test_jump_host_whose_key_changed_is_refused(write_config, sshd):
    settings = write_config("Host board\n  ProxyJump jump")
    before = sshd.host_key.fingerprint
    sshd.change_host_key()
    with pytest.raises(HostKeyError, match=r"jump host .* has changed") as refused:
        works(settings)
    assert before in str(refused.value)
    assert sshd.host_key.fingerprint in str(refused.value)


def test_board_behind_a_jump_host_that_cannot_be_reached_from_there(write_config, sshd):
    settings = dataclasses.replace(write_config("Host board\n  ProxyJump jump"), port=free_port())
    with pytest.raises(SshLostError, match="cannot be reached from the jump host"):
        works(settings)


def test_only_the_named_keys_of_an_agent_are_offered(write_config, sshd, agent, tmp_path):
    agent.add(sshd.key_file)
    other = make_key(tmp_path / "other")
    settings = dataclasses.replace(
        write_config("  IdentitiesOnly yes", key=other), agent_socket=str(agent.socket)
    )
    with pytest.raises(LoginError, match="other: refused") as refused:
        works(settings)
    assert "agent's key" not in str(refused.value)
    public = Path(f"{sshd.key_file}.pub")
    assert works(
        dataclasses.replace(write_config("  IdentitiesOnly yes", key=public), agent_socket=str(agent.socket))
    )


def test_proxy_command_is_refused_plainly(write_config):
    with pytest.raises(DeviceError, match=r"ProxyCommand, which is not supported.*ProxyJump"):
        works(write_config("Host board\n  ProxyCommand nc %h %p"))
