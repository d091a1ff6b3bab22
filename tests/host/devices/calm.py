"""This machine's agent where nothing disturbs it: `tests.calm_agent`."""

from collections.abc import Mapping
from pathlib import Path

from tests.calm_agent import COMMAND

from hytnas_host.devices.transport import LocalTransport, PipeConnection


class CalmTransport(LocalTransport):
    """Starts the calm agent instead of the one that looks at what else the machine does."""

    def __init__(
        self, state: Path, *, idle_exit_s: float = 60.0, environment: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(state)
        self._calm = [*COMMAND, "--state", str(state), "connect", "--idle-exit-s", f"{idle_exit_s:g}"]
        self._variables = dict(environment or {})

    def connect(self) -> PipeConnection:
        """Start its ``connect`` as a child."""
        return PipeConnection(self._calm, self._variables)
