"""Errors of SSH: those worth another try, and those that a person has to settle."""

from hytnas_host.devices.errors import DeviceError


class SshLostError(DeviceError, ConnectionError):
    """The device cannot be reached now, or the connection broke: another try may succeed.

    It is an OSError too, which is what `Transport.connect` promises for passing faults.
    """


class HostKeyError(DeviceError):
    """The device proved another identity than the one that is pinned, or one that nobody has confirmed."""


class LoginError(DeviceError):
    """The device refuses every key that could be offered."""
