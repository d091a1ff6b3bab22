"""What the agent says about its device, for ``describe``."""

from collections.abc import Sequence

from hytnas_agent import __version__
from hytnas_agent.device.health import health_snapshot
from hytnas_agent.device.identity import device_context, device_identity, read_hardware
from hytnas_agent.paths import StateFolder
from hytnas_agent.protocol import DescribeParams, DeviceDescription, RuntimeInfo


def describe_device(
    state: StateFolder, runtimes: Sequence[RuntimeInfo], params: DescribeParams
) -> DeviceDescription:
    """The device, with the context of the runtime asked for or else of the first usable one of the format."""
    hardware = read_hardware()
    chosen = next(
        (
            info
            for info in runtimes
            if info.usable
            and params.runtime in (None, info.name)
            and (params.format is None or params.format in info.formats)
        ),
        None,
    )
    return DeviceDescription(
        identity=device_identity(state),
        context=device_context(hardware, chosen, params.threads, params.precision),
        runtimes=tuple(runtimes),
        health=health_snapshot(),
        agent_version=__version__,
        cpu_model=hardware.cpu_model,
        cpu_features=hardware.cpu_features,
        spool_path=str(state.spool),
        virtualisation=hardware.virtualisation,
    )
