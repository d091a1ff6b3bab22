"""Boards over SSH: one connection each, strict host keys, keys and agents for logging in, files over SFTP.

Names are imported when they are first used: whoever measures on this machine does without paramiko.
"""

import logging

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hytnas_host.devices.ssh.channel import ChannelConnection as ChannelConnection
    from hytnas_host.devices.ssh.client import SshClient as SshClient
    from hytnas_host.devices.ssh.connection import scan_host_key as scan_host_key
    from hytnas_host.devices.ssh.errors import HostKeyError as HostKeyError
    from hytnas_host.devices.ssh.errors import SshLostError as SshLostError
    from hytnas_host.devices.ssh.hostkeys import HostKey as HostKey
    from hytnas_host.devices.ssh.program import Completed as Completed
    from hytnas_host.devices.ssh.settings import Address as Address
    from hytnas_host.devices.ssh.settings import SshSettings as SshSettings
    from hytnas_host.devices.ssh.transport import SshTransport as SshTransport

# Whatever paramiko logs also ends in an exception here; without a handler Python would print it.
logging.getLogger("paramiko").addHandler(logging.NullHandler())

_EXPORTS = {
    "hytnas_host.devices.ssh.channel": ("ChannelConnection",),
    "hytnas_host.devices.ssh.client": ("SshClient",),
    "hytnas_host.devices.ssh.connection": ("scan_host_key",),
    "hytnas_host.devices.ssh.errors": ("HostKeyError", "SshLostError"),
    "hytnas_host.devices.ssh.hostkeys": ("HostKey",),
    "hytnas_host.devices.ssh.program": ("Completed",),
    "hytnas_host.devices.ssh.settings": ("Address", "SshSettings"),
    "hytnas_host.devices.ssh.transport": ("SshTransport",),
}
__all__ = [name for names in _EXPORTS.values() for name in names]

if not TYPE_CHECKING:

    def __getattr__(name):
        from hytnas_agent.lazy import export  # noqa: PLC0415 (nothing is imported before it is needed)

        return export(__name__, _EXPORTS, name)

    def __dir__():
        return sorted({*globals(), *__all__})
