"""The suite that every transport passes, over OpenSSH's own server; nothing of it is written twice."""

import pytest
from tests.calm_agent import COMMAND
from tests.host.devices.conftest import model, open_device, own_state_home, write_model  # noqa: F401
from tests.host.devices.test_conformance import *  # noqa: F403

from hytnas_host.devices.ssh import SshTransport

pytestmark = pytest.mark.system


@pytest.fixture
def transport(sshd, tmp_path):
    """An agent of this machine behind the server; stands in for the suite's own fixture."""
    agent = [*COMMAND, "--state", str(tmp_path / "agent")]
    transport = SshTransport(sshd.settings, agent)
    yield transport
    transport.close()
