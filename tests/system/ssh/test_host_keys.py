"""Nobody but the board that was enrolled is spoken to."""

import dataclasses
import subprocess

import pytest

from hytnas_host.devices.ssh import HostKey, HostKeyError, SshClient, SshTransport, scan_host_key

pytestmark = pytest.mark.system


def test_fingerprint_is_the_one_that_openssh_shows(sshd):
    scanned = scan_host_key(sshd.settings)
    assert scanned == sshd.host_key

    shown = subprocess.run(
        ["ssh-keygen", "-lf", sshd.folder / "host.pub"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout.split()
    assert shown[1] == scanned.fingerprint


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_changed_key_is_refused_naming_both_fingerprints_and_no_login_is_tried(sshd, kind):
    before = sshd.settings
    pinned = sshd.host_key.fingerprint
    sshd.change_host_key(kind)
    for connect in (SshClient(before).connect, SshTransport(before, ["agent"]).connect):
        with pytest.raises(HostKeyError) as refused:
            connect()
        told = str(refused.value)
        assert pinned in told
        assert sshd.host_key.fingerprint in told
        assert "device enrol --replace" in told
    assert "publickey" not in sshd.log_file.read_text()


def test_unknown_key_is_refused_naming_it(sshd):
    unknown = dataclasses.replace(sshd.settings, host_key=None)
    with pytest.raises(HostKeyError, match=r"not known.*device enrol") as refused:
        SshClient(unknown).connect()
    assert sshd.host_key.fingerprint in str(refused.value)


@pytest.mark.parametrize("kind", ["ssh-rsa", "ecdsa-sha2-nistp256", "ssh-ed25519"])
def test_server_with_keys_of_several_types_is_asked_for_the_pinned_one(sshd, kind):
    sshd.change_host_key("ed25519", "ecdsa", "rsa")
    pinned = sshd.host_key_of(kind)
    assert scan_host_key(sshd.settings, kind) == pinned
    with SshClient(dataclasses.replace(sshd.settings, host_key=pinned)) as client:
        assert client.run(["echo", "in"]).text == "in"


def test_refusal_is_not_retried_as_if_it_were_a_fault_of_the_network(sshd):
    other = HostKey.parse(str(sshd.host_key))
    sshd.change_host_key()
    with pytest.raises(HostKeyError) as refused:
        SshTransport(dataclasses.replace(sshd.settings, host_key=other), ["agent"]).connect()
    assert not isinstance(refused.value, OSError)
