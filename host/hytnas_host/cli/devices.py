"""Several devices of one command: their names, opened together, measured on alike."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from hytnas_host.cli.console import err
from hytnas_host.collect.errors import CollectError
from hytnas_host.devices import AgentDevice, open_device
from hytnas_host.devices.base import Method


def device_names(given: Sequence[str] | None) -> list[str]:
    """The names of a repeated option, which may join several by commas, each once; ``local`` without any."""
    names = [name.strip() for item in given or () for name in item.split(",")]
    return list(dict.fromkeys(name for name in names if name)) or ["local"]


@contextmanager
def open_devices(names: Sequence[str]) -> Iterator[list[AgentDevice]]:
    """The devices of these names, closed at the end; what they wait for is told on standard error."""
    with ExitStack() as opened:
        devices = [opened.enter_context(open_device(name)) for name in names]
        for device in devices:
            device.say = _say
        yield devices


def _say(line: str) -> None:
    err.print(line, markup=False, soft_wrap=True)


def common_method(devices: Sequence[AgentDevice]) -> Method:
    """How to measure on all of these; raises CollectError where that is not the same."""
    methods = {device.method for device in devices}
    if len(methods) > 1:
        names = ", ".join(device.name for device in devices)
        raise CollectError(
            f"the devices {names} are not measured in the same way", "collect on them one after the other"
        )
    return devices[0].method
