"""What a client does on a device, over OpenSSH's own server."""

import pytest

from hytnas_host.devices.ssh import SshClient

pytestmark = pytest.mark.system


@pytest.fixture
def client(sshd):
    with SshClient(sshd.settings) as client:
        yield client


@pytest.mark.parametrize(
    "argument",
    [
        "",
        "a b",
        "it's",
        '"',
        ";false",
        "$(false)",
        "`false`",
        "a\nb",
        "*",
        "\\",
        "~",
        "-n",
        "é\u2028",
        "#",
        "!!",
    ],
)
def test_arguments_arrive_as_they_are(client, argument):
    done = client.run(["printf", "%s.", "first", argument, "last"])
    assert (done.status, done.stdout.decode()) == (0, f"first.{argument}.last.")
