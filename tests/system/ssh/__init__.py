"""A real OpenSSH server in front of this machine, for tests of what happens over SSH."""

from .server import SshServer

__all__ = ["SshServer"]
