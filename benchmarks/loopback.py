"""A real sshd in front of this machine for the benchmarks over SSH: the very server of the tests."""

import contextlib
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from hytnas_host.devices.client import AgentDevice
from hytnas_host.devices.ssh import SshTransport

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests" / "system"))
from ssh.server import SshServer


@contextlib.contextmanager
def board_over_ssh() -> Iterator[tuple[SshServer, AgentDevice]]:
    """This machine as a board behind sshd, with an agent in a state folder of its own that ends with it."""
    with tempfile.TemporaryDirectory(prefix="hytnas-benchmark-") as name:
        folder = Path(name)
        agent = [sys.executable, "-P", "-m", "hytnas_agent", "--state", str(folder / "agent")]
        with SshServer(folder) as server:
            transport = SshTransport(server.settings, agent)
            try:
                with AgentDevice("board", transport, client_id="bench", shares_processor=False) as device:
                    yield server, device
            finally:
                transport.client.run([*agent, "stop"], timeout_s=60)
                transport.close()
