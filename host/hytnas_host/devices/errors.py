"""Errors of devices and of the connection to their agents."""

from hytnas_agent.errors import HytnasError


class DeviceError(HytnasError):
    """A device cannot be reached, or its agent refused or broke off."""


class DeviceRefusedError(DeviceError):
    """A device is there and refuses, e.g. because its disk is full: a person has to see to it first."""


class DeviceSilentError(DeviceError):
    """A device is connected, but a question got no answer in time."""


class FileChangedError(HytnasError):
    """A file is not any more what its hash says: it is at fault, and no device."""


class UnknownDeviceError(DeviceError):
    """No device goes by this name."""


class DeviceBusyError(DeviceError):
    """Somebody else holds the lease of the device."""


class QuietError(HytnasError):
    """The lock between host work and timed runs cannot be had."""
