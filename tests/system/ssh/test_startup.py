"""Start-up files of a login that print, set Python's variables, or end it, before OpenSSH's own server."""

import sys

import pytest

from hytnas_host.devices.board import read_board
from hytnas_host.devices.client import AgentDevice
from hytnas_host.devices.errors import DeviceError
from hytnas_host.devices.ssh import SshClient, SshTransport

from .server import SshServer

pytestmark = pytest.mark.system

NOISE = "echo Welcome to the board; echo; printf 'no new line'; echo warning >&2"


@pytest.fixture
def login(tmp_path, request):
    """A server whose logins run commands first."""
    server = SshServer(tmp_path)
    server.startup = request.param
    with server, SshClient(server.settings) as client:
        yield server, client


@pytest.mark.parametrize("login", [NOISE], indirect=True)
def test_what_they_print_is_no_output_of_programs_and_files(login, tmp_path):
    _, client = login
    assert client.run(["printf", "%s", "it's 42"]).stdout == b"it's 42"
    assert client.run(["cat"], stdin=b"in and out").stdout == b"in and out"
    failed = client.run(["sh", "-c", "echo why >&2; exit 3"])
    assert (failed.status, failed.stderr) == (3, b"why\n")
    assert client.run(["false"]).last_error == "exit status 1"
    assert client.run(["no-such-program"]).status == 127
    assert read_board(client) == read_board(client)
    assert "Welcome" not in str(read_board(client))
    source = tmp_path / "source"
    source.write_bytes(bytes(range(256)) * 1000)
    for _ in range(2):
        client.put(source, str(tmp_path / "arrived"))
    assert (tmp_path / "arrived").read_bytes() == source.read_bytes()


POISON = "export PYTHONPATH={0} PYTHONHOME={0} PYTHONWARNINGS=error PYTHONOPTIMIZE=2; echo Welcome"


@pytest.mark.parametrize("login", [POISON.format("/nonexistent")], indirect=True)
def test_an_agent_answers_whatever_they_print_and_set_for_python(login, tmp_path):
    server, _ = login
    agent = [sys.executable, "-P", "-m", "hytnas_agent", "--state", str(tmp_path / "a")]
    transport = SshTransport(server.settings, [*agent])
    with AgentDevice("pi", transport, client_id="me", shares_processor=False, backoff_s=()) as device:
        assert device.hello().incoming_path == str(tmp_path / "a/spool/incoming")
    with SshClient(server.settings) as client:
        assert client.run([*agent, "stop"]).status == 0


@pytest.mark.parametrize("login", ["echo Only for people; exit 0"], indirect=True)
def test_a_login_that_ends_before_programs_start_is_named(login):
    server, client = login
    with pytest.raises(DeviceError, match=r"ends before uname starts: Only for people.*~/\.bashrc"):
        client.run(["uname"])
    transport = SshTransport(server.settings, ["hytnas-agent"])
    with (
        AgentDevice("pi", transport, client_id="me", shares_processor=False, backoff_s=()) as device,
        pytest.raises(DeviceError, match="the login ends before the agent starts: Only for people"),
    ):
        device.hello()
