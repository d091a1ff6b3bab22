"""Showing a host key to the person who is to confirm it, without a board."""

from hytnas_host.cli.enrol import _confirm
from hytnas_host.devices.enrolment import Candidate
from hytnas_host.devices.ssh import HostKey, SshSettings

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"


def test_address_in_brackets_is_shown_as_it_is(capsys):
    key = HostKey.parse(KEY)
    _confirm(Candidate("shelf", SshSettings("fe80::1"), key, None), yes=True, fingerprint=None)
    assert capsys.readouterr().err == f"[fe80::1] presents the host key {key.fingerprint} (ssh-ed25519)\n"
