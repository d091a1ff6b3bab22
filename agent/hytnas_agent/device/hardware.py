"""What a device is made of, apart so that it can be declared as well as read."""

import msgspec

from hytnas_agent.records import Execution


class Hardware(msgspec.Struct, frozen=True):
    """The part of the context that does not change while the agent runs."""

    board: str
    soc: str
    architecture: str
    cores: int
    memory_bytes: int
    os: str
    kernel: str
    cpu_model: str
    cpu_features: tuple[str, ...]
    virtualisation: str
    execution: Execution
