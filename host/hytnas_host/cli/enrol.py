"""`hytnas-profile device enrol`: a person confirms a board's host key once, and it is pinned."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from hytnas_agent.output import plain
from hytnas_host.cli.console import err, out, print_json
from hytnas_host.cli.options import JsonOption

if TYPE_CHECKING:
    from hytnas_host.devices.enrolment import Candidate


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("enrol")(enrol_command)


def enrol_command(
    address: Annotated[
        str, typer.Argument(metavar="[USER@]HOST", help="The board: an address, or a Host of ~/.ssh/config.")
    ],
    name: Annotated[
        str | None,
        typer.Option("--name", help="What to call the board in other commands; by default its host name."),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", min=1, max=65535, help="SSH port; by default that of ~/.ssh/config, else 22."),
    ] = None,
    key: Annotated[
        list[Path] | None,
        typer.Option(
            "--key",
            help=(
                "Private key to log in with; by default those of ~/.ssh/config and the SSH agent. Repeatable."
            ),
        ),
    ] = None,
    jump: Annotated[
        str | None,
        typer.Option(
            "--jump",
            help=("Host to go through, as in `ssh -J`, where the board cannot be reached directly."),
            metavar="[USER@]HOST",
        ),
    ] = None,
    yes: Annotated[
        bool,
        typer.Option(
            "--yes",
            help=("Pin the host key without asking. Only where nobody else can answer at that address."),
        ),
    ] = False,
    fingerprint: Annotated[
        str | None,
        typer.Option(
            "--fingerprint",
            help="Pin the host key only if it has this fingerprint. For scripts that know it.",
            metavar="SHA256:...",
        ),
    ] = None,
    replace: Annotated[
        bool,
        typer.Option(
            "--replace",
            help="Pin a new key for a board that is enrolled already, after its card was written again.",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Make a board known. Show its host key's fingerprint, pin it once you agree, and log in.

    Examples:

      hytnas-profile device enrol pi@raspberrypi.local

      hytnas-profile device enrol pi@192.168.1.20 --name shelf-3 --key ~/.ssh/boards

      hytnas-profile device enrol pi@raspberrypi.local --replace   (its card was written anew)
    """
    from hytnas_host.devices.enrolment import default_name, enrol, find_candidate, namesakes
    from hytnas_host.devices.inventory import Inventory
    from hytnas_host.devices.ssh import Address, SshSettings

    where = Address.parse(address)
    settings = SshSettings(
        where.host,
        port or where.port,
        where.user,
        key_files=tuple(os.path.abspath(os.path.expanduser(file)) for file in key or ()),
        proxy_jump=jump,
    )
    inventory = Inventory.load()
    candidate = find_candidate(name or default_name(where.host), settings, inventory, replacing=replace)
    _confirm(candidate, yes=yes, fingerprint=fingerprint)
    entry, facts = enrol(candidate, inventory)
    for warning in facts.warnings():
        err.print(f"[yellow]warning:[/] {escape(plain(warning))}", soft_wrap=True)
    for other in namesakes(entry, inventory):
        err.print(f"[yellow]warning:[/] the same board is enrolled as {escape(other)} too", soft_wrap=True)
    if as_json:
        print_json(entry)
        return
    told = plain(f"{facts.board}, {facts.system}, {facts.architecture}, Python {facts.python}")
    following = f"doctor {entry.name}" if entry.agent else f"provision {entry.name}"
    out.print(
        f"enrolled {entry.name} ({entry.address}): {told}\nnext: hytnas-profile device {following}",
        markup=False,
        soft_wrap=True,
    )


def _confirm(candidate: "Candidate", *, yes: bool, fingerprint: str | None) -> None:
    """Show the key; go on only if it is the one that is wanted."""
    from hytnas_host.devices.ssh import HostKeyError

    presented, pinned = candidate.presented, candidate.pinned
    shown = f"{presented.fingerprint} ({presented.kind})"
    err.print(f"{candidate.settings.address} presents the host key {shown}", markup=False, soft_wrap=True)
    if pinned not in (None, presented):
        err.print(f"pinned so far was {pinned.fingerprint} ({pinned.kind})", style="yellow", soft_wrap=True)
    if fingerprint not in (None, presented.fingerprint):
        raise HostKeyError(
            f"{candidate.settings.address} presents {presented.fingerprint}, not {fingerprint}",
            "Nothing was pinned: find out who answers there",
        )
    if yes or fingerprint is not None or pinned == presented:
        return
    kind = presented.kind.removeprefix("ssh-").split("-")[0]
    err.print(
        f"compare on the board itself: ssh-keygen -lf /etc/ssh/ssh_host_{kind}_key.pub",
        style="dim",
        soft_wrap=True,
    )
    if not _someone_is_there():
        told = "error: nobody is there to confirm it. Give --fingerprint SHA256:..., or --yes"
        err.print(told, style="bold red", soft_wrap=True)
        raise typer.Exit(2)
    if not typer.confirm("Is it this board's? Pin it", err=True):
        raise typer.Exit(1)


def _someone_is_there() -> bool:
    return sys.stdin.isatty()
