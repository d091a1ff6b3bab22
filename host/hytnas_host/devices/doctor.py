"""Whether a device can be measured on: the way to it first, then what its agent finds."""

from collections.abc import Iterator, Sequence

import msgspec

from hytnas_agent import __version__
from hytnas_agent.protocol import Check
from hytnas_host.devices.errors import DeviceError
from hytnas_host.devices.inventory import DeviceEntry, Inventory
from hytnas_host.devices.registry import DEVICES, open_board, open_device
from hytnas_host.devices.ssh import HostKeyError, SshClient, SshLostError
from hytnas_host.devices.ssh.errors import LoginError

VERSION_BYTES = 4096
RUNTIME = "runtime "
"""How the names of the agent's checks of runtimes begin."""


def examine_device(name: str) -> Iterator[Check]:
    """Every check of a device in the order in which one needs the other; ends where none makes sense.

    Raises
    ------
    DeviceError
        The device is not known, or a built-in one does not answer.
    """
    if name in DEVICES:
        with open_device(name) as device:
            yield from device.doctor().checks
        return
    entry = Inventory().get(name)
    with SshClient(entry.ssh_settings()) as client:
        found = list(check_way(client))
        yield from found
        if found[-1].status == "fail":
            return
        check = check_agent(client, entry)
        yield check
        if check.status == "fail":
            return
    yield from _ask_agent(entry)


def check_way(client: SshClient) -> Iterator[Check]:
    """Whether the board can be reached, is the one that was enrolled, and lets us in; ends with a failure."""
    try:
        connection = client.connect()
    except SshLostError as error:
        yield Check("connection", "fail", error.what, error.next_step or "")
        return
    except HostKeyError as error:
        yield Check("connection", "ok", "the board answers")
        yield Check("host key", "fail", error.what, error.next_step or "")
        return
    except LoginError as error:
        yield Check("connection", "ok", "the board answers")
        yield Check("host key", "ok", "the one that was pinned")
        yield Check("login", "fail", error.what, error.next_step or "")
        return
    except DeviceError as error:
        yield Check("connection", "fail", error.what, error.next_step or "")
        return
    yield Check("connection", "ok", "the board answers")
    assert client.settings.host_key is not None
    yield Check("host key", "ok", f"{client.settings.host_key.fingerprint}, as pinned")
    yield Check("login", "ok", str(connection.endpoint))


def check_agent(client: SshClient, entry: DeviceEntry) -> Check:
    """Whether the board has an agent, of this host's version."""
    remedy = f"Install it with: hytnas-profile device provision {entry.name}"
    if not entry.agent:
        return Check("agent", "fail", "none is installed", remedy)
    try:
        done = client.run([*entry.agent_command, "--version"], limit_bytes=VERSION_BYTES)
    except DeviceError as error:
        return Check("agent", "fail", error.what, error.next_step or "")
    if done.status != 0:
        return Check("agent", "fail", f"{entry.agent[0]} does not run: {done.last_error}", remedy)
    version = done.text.rpartition(" ")[2]
    if version != __version__:
        found = f"version {version}; this host has {__version__}"
        return Check("agent", "warn", found, remedy.replace("Install it", "Upgrade it", 1))
    return Check("agent", "ok", f"version {version}, as this host")


def _ask_agent(entry: DeviceEntry) -> Iterator[Check]:
    try:
        with open_board(entry) as device:
            device_id = device.hello().identity.device_id
            checks = device.doctor().checks
    except DeviceError as error:
        yield Check("agent's answer", "fail", error.what, error.next_step or "")
        return
    if entry.device_id not in (None, device_id):
        yield Check(
            "identity",
            "fail",
            f"the agent says {device_id}, enrolled was {entry.device_id}",
            f"Another board, or another card, is at {entry.address}: enrol it anew with --replace",
        )
    else:
        yield Check("identity", "ok", device_id)
    yield from advise(entry.name, checks)


def advise(name: str, checks: Sequence[Check]) -> Iterator[Check]:
    """The agent's checks; a runtime that does not work comes onto a board from here, beside those that do."""
    runtimes = {
        check.name: check.name.removeprefix(RUNTIME) for check in checks if check.name.startswith(RUNTIME)
    }
    working = [runtimes[check.name] for check in checks if check.name in runtimes and check.status == "ok"]
    for check in checks:
        if check.name not in runtimes or check.status == "ok":
            yield check
            continue
        wanted = " ".join(f"--runtime {runtime}" for runtime in (*working, runtimes[check.name]))
        advice = f"Install it with: hytnas-profile device provision {name} {wanted}"
        yield msgspec.structs.replace(check, advice=advice)
