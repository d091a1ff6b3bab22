"""Devices that measure: this machine or a board, each through the agent that runs there."""

from hytnas_host.devices.base import Device
from hytnas_host.devices.client import AgentDevice
from hytnas_host.devices.errors import DeviceBusyError, DeviceError, UnknownDeviceError
from hytnas_host.devices.quiet import host_work, quiet_machine
from hytnas_host.devices.registry import DEVICES, open_device

__all__ = [
    "DEVICES",
    "AgentDevice",
    "Device",
    "DeviceBusyError",
    "DeviceError",
    "UnknownDeviceError",
    "host_work",
    "open_device",
    "quiet_machine",
]
