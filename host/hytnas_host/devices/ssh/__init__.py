"""Boards over SSH: one connection each, strict host keys, keys and agents for logging in, files over SFTP."""

import logging

from hytnas_host.devices.ssh.channel import ChannelConnection
from hytnas_host.devices.ssh.client import SshClient
from hytnas_host.devices.ssh.connection import scan_host_key
from hytnas_host.devices.ssh.errors import HostKeyError, SshLostError
from hytnas_host.devices.ssh.hostkeys import HostKey
from hytnas_host.devices.ssh.program import Completed
from hytnas_host.devices.ssh.settings import Address, SshSettings
from hytnas_host.devices.ssh.transport import SshTransport

# Whatever paramiko logs also ends in an exception here; without a handler Python would print it.
logging.getLogger("paramiko").addHandler(logging.NullHandler())

__all__ = [
    "Address",
    "ChannelConnection",
    "Completed",
    "HostKey",
    "HostKeyError",
    "SshClient",
    "SshLostError",
    "SshSettings",
    "SshTransport",
    "scan_host_key",
]
