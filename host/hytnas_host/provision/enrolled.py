"""Provisioning boards by name: the connection and what is noted come from the inventory, and go there."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial

import msgspec

from hytnas_agent.errors import HytnasError
from hytnas_host.devices.client import AgentDevice
from hytnas_host.devices.errors import DeviceBusyError
from hytnas_host.devices.inventory import DeviceEntry, Inventory
from hytnas_host.devices.ssh import SshClient, SshTransport
from hytnas_host.devices.state import client_id
from hytnas_host.provision.plan import DEFAULT_PYTHON, ProvisionOptions
from hytnas_host.provision.provision import Provisioned, provision, unprovision
from hytnas_host.provision.steps import Steps


def provision_enrolled(
    entry: DeviceEntry, inventory: Inventory, options: ProvisionOptions, steps: Steps
) -> Provisioned:
    """Provision an enrolled board and note its agent in the inventory.

    The agent keeps its state folder where the options name none: the one that the board says, else the one of
    the inventory.

    Raises
    ------
    ProvisionError
        See `provision`.
    DeviceBusyError
        Its agent is at work for somebody.
    """
    with SshClient(entry.ssh_settings()) as client:
        hold = partial(_held, entry, steps)
        done = provision(client, entry.name, options, state=entry.state, steps=steps, hold=hold)
    entry = inventory.get(entry.name)  # as it is now
    noted = msgspec.structs.replace(entry, agent=done.agent, agent_version=done.version, state=done.state)
    if done.changed or noted != entry:
        moment = datetime.now(UTC).isoformat(timespec="seconds")
        noted = msgspec.structs.replace(noted, provisioned_at=moment)
        if done.description is not None:
            noted = msgspec.structs.replace(noted, context=done.description.context)
        inventory.put(noted)
    return done


def unprovision_enrolled(
    entry: DeviceEntry,
    inventory: Inventory,
    steps: Steps,
    *,
    python: str = DEFAULT_PYTHON,
    discard_results: bool = False,
) -> bool:
    """Remove from an enrolled board what provisioning put there; False where nothing was.

    Raises
    ------
    ProvisionError
        See `unprovision`.
    DeviceBusyError
        Its agent is at work for somebody.
    """
    with SshClient(entry.ssh_settings()) as client:
        removed = unprovision(
            client,
            entry.name,
            python=python,
            state=entry.state,
            discard_results=discard_results,
            steps=steps,
            hold=partial(_held, entry, steps),
        )
    entry = inventory.get(entry.name)
    noted = msgspec.structs.replace(entry, agent=(), agent_version=None, provisioned_at=None, context=None)
    inventory.put(noted)
    return removed


@contextmanager
def _held(entry: DeviceEntry, steps: Steps, agent: Sequence[str]) -> Iterator[None]:
    """The device for oneself, where its agent still answers; one that does not is about to be repaired."""
    transport = SshTransport(entry.ssh_settings(), agent)
    device = AgentDevice(entry.name, transport, client_id=client_id(), shares_processor=False, backoff_s=())
    with device:
        try:
            device.acquire("being provisioned")
        except DeviceBusyError:
            raise
        except HytnasError as error:
            steps.say(f"Its present agent cannot be asked ({error.what}); going on without it")
        yield
