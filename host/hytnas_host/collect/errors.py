"""Errors of collecting."""

from hytnas_agent.errors import HytnasError
from hytnas_host.devices.errors import DeviceError, DeviceRefusedError


class CollectError(HytnasError):
    """There is nothing that could be collected."""


class DevicesDifferError(CollectError):
    """Devices do not run alike, so that their labels cannot stand in one set."""


class ContextChangedError(DeviceError):
    """A device is no longer what it was when the collection began."""


class WrongAnswerError(DeviceRefusedError):
    """A device answered a job with what is no result of it."""


class LastingDriftError(DeviceError):
    """A device has another speed than when the collection began, and does not come back to it."""


class NoRuntimeError(DeviceError):
    """A device has no runtime for the models."""


class DevicesLostError(DeviceError):
    """No device is left to measure."""
