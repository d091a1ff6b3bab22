"""The wire protocol: JSON-RPC 2.0, one message a line, typed on both ends, size-limited."""

import msgspec

from hytnas_agent.records import DeviceContext, DeviceIdentity, HealthSnapshot

PROTOCOL_MAJOR = 1
PROTOCOL_MINOR = 0
MAX_MESSAGE_BYTES = 4 * 1024 * 1024


class RuntimeInfo(msgspec.Struct, frozen=True):
    """A runtime that was tried on this device in a throw-away process."""

    name: str
    version: str
    build: str
    formats: tuple[str, ...]
    usable: bool
    reason: str = ""


class DeviceDescription(msgspec.Struct, frozen=True):
    """Everything the agent says about its device."""

    identity: DeviceIdentity
    context: DeviceContext
    runtimes: tuple[RuntimeInfo, ...]
    health: HealthSnapshot
    agent_version: str
    cpu_model: str = ""
    cpu_features: tuple[str, ...] = ()
    spool_path: str = ""
