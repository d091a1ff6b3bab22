"""Making a board known: its host key is pinned, its identity and basics are recorded."""

import re
import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import msgspec

from hytnas_host.devices.board import UNKNOWN, FoundBoard, read_board
from hytnas_host.devices.errors import DeviceError
from hytnas_host.devices.inventory import DeviceEntry, Inventory, check_name
from hytnas_host.devices.registry import DEVICES
from hytnas_host.devices.ssh import HostKey, SshClient, SshSettings, scan_host_key


@dataclass(frozen=True)
class Candidate:
    """A board before anybody has confirmed its host key.

    Attributes
    ----------
    name : str
    settings : SshSettings
    presented : HostKey
        The key that it shows.
    before : DeviceEntry or None
        What the inventory has under this name.
    """

    name: str
    settings: SshSettings
    presented: HostKey
    before: DeviceEntry | None

    @property
    def pinned(self) -> HostKey | None:
        """The key that has been pinned so far."""
        return None if self.before is None else HostKey.parse(self.before.host_key)


def default_name(host: str) -> str:
    """What a device is called if nobody says: its host name without the domain, or its address."""
    label = host if re.fullmatch(r"[\d.]+|.*:.*", host) else host.partition(".")[0]
    return re.sub(r"[^a-z0-9._-]+", "-", label.lower()).strip("-._") or "board"


def find_candidate(name: str, settings: SshSettings, inventory: Inventory, *, replacing: bool) -> Candidate:
    """See which host key the board presents; nothing is sent to it.

    Raises
    ------
    DeviceError
        It cannot be reached, or the name is taken.
    """
    check_name(name)
    if name in DEVICES:
        raise DeviceError(f"{name!r} is the name of a built-in device", "Choose another with --name")
    before = inventory.entries().get(name)
    if before is not None and not replacing:
        raise DeviceError(
            f"device {name!r} is enrolled already, as {before.address}",
            "Choose another name with --name, or enrol it anew with --replace",
        )
    kind = None if before is None else HostKey.parse(before.host_key).kind
    return Candidate(name, settings, scan_host_key(settings, kind), before)


def enrol(candidate: Candidate, inventory: Inventory) -> tuple[DeviceEntry, FoundBoard]:
    """Pin the presented key, log in, read what the board is, and write it to the inventory.

    Raises
    ------
    DeviceError
        The login fails, or the board is not one that the agent can run on; nothing is written then.
    """
    settings = replace(candidate.settings, host_key=candidate.presented)
    with SshClient(settings) as client:
        facts = read_board(client)
    facts.check_supported()
    entry = DeviceEntry(
        name=candidate.name,
        host=settings.host,
        port=settings.port,
        user=settings.user,
        host_key=str(candidate.presented),
        key_files=settings.key_files,
        proxy_jump=settings.proxy_jump,
        device_id=facts.device_id,
        enrolment_id=uuid.uuid4().hex,
        enrolled_at=datetime.now(UTC).isoformat(timespec="seconds"),
        board=_known(facts.board),
        system=_known(facts.system),
        architecture=_known(facts.architecture),
        python=_known(facts.python),
    )
    before = candidate.before
    if before is not None and candidate.pinned == candidate.presented:
        # The same installation: its agent is still there.
        entry = msgspec.structs.replace(
            entry,
            agent=before.agent,
            state=before.state,
            runtime=before.runtime,
            provisioned_at=before.provisioned_at,
            agent_version=before.agent_version,
        )
    inventory.put(entry)
    return entry, facts


def namesakes(entry: DeviceEntry, inventory: Inventory) -> list[str]:
    """Other names under which the very same board is enrolled."""
    if entry.device_id is None:
        return []
    others = inventory.entries().values()
    return [other.name for other in others if other.device_id == entry.device_id and other.name != entry.name]


def _known(text: str) -> str | None:
    return None if text == UNKNOWN else text
