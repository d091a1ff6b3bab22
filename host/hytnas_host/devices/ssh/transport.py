"""A board's agent over SSH: what `Transport` promises."""

from collections.abc import Sequence
from pathlib import Path

from hytnas_host.devices.ssh.channel import ChannelConnection
from hytnas_host.devices.ssh.client import SshClient
from hytnas_host.devices.ssh.settings import SshSettings


class SshTransport:
    """``hytnas-agent connect`` on a channel, and files over SFTP, both on one SSH connection.

    Parameters
    ----------
    settings : SshSettings
    agent_command : sequence of str
        The agent's program on the board with its options, without a subcommand.
    """

    def __init__(self, settings: SshSettings, agent_command: Sequence[str]) -> None:
        self.client = SshClient(settings)
        self._command = [*agent_command, "connect"]

    def connect(self) -> ChannelConnection:
        """Start ``hytnas-agent connect`` on the board; see `Transport.connect` for the errors."""
        return self.client.open_exec(self._command)

    def put(self, file: Path, destination: str) -> None:
        """Copy a file into the agent's incoming folder."""
        self.client.put(file, destination)

    def close(self) -> None:
        """End the SSH connection."""
        self.client.close()
