"""`hytnas-profile device`: the machines that measure."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from hytnas_agent.output import plain
from hytnas_host.cli import enrol, provision
from hytnas_host.cli.console import out, print_json, print_table
from hytnas_host.cli.options import JsonOption

if TYPE_CHECKING:
    from hytnas_agent.protocol import Check, DeviceDescription, TuneResult
    from hytnas_host.devices.inventory import DeviceEntry

app = typer.Typer(help="Devices that measure: this machine, and boards over SSH.", no_args_is_help=True)
enrol.register(app)
provision.register(app)

DeviceArgument = Annotated[
    str, typer.Argument(help="Name of the device; `local` is this machine.", metavar="DEVICE")
]


@app.command("list")
def list_command(as_json: JsonOption = False) -> None:
    """List the devices: the built-in ones and the enrolled boards, with what is known of each.

    Example: hytnas-profile device list
    """
    from hytnas_host.devices import DEVICES
    from hytnas_host.devices.inventory import Inventory

    boards = Inventory().entries()
    if as_json:
        built_in: list[dict[str, object]] = [{"name": name, "built_in": True} for name in sorted(DEVICES)]
        print_json(built_in + [_facts(entry) for entry in boards.values()])
        return
    rows: list[tuple[object, ...]] = [(name, "built in", "", "", "", "") for name in sorted(DEVICES)]
    for entry in boards.values():
        agent = f"{entry.agent_version or '?'}, {_day(entry.provisioned_at)}" if entry.agent else "none yet"
        context = entry.context
        last = f"{context.runtime} {context.runtime_version}, {context.os}" if context else "-"
        rows.append((entry.name, entry.address, entry.board or "-", _day(entry.enrolled_at), agent, last))
    print_table("Devices", ["name", "address", "board", "enrolled", "agent", "last known context"], rows)


def _facts(entry: "DeviceEntry") -> dict[str, object]:
    import msgspec

    return {
        **msgspec.to_builtins(entry),
        "built_in": False,
        "address": str(entry.address),
        "enrolled": entry.enrolled_at,
        "provisioned": bool(entry.agent),
        "context": entry.context,
    }


def _day(moment: str | None) -> str:
    return moment[:10] if moment else "-"


@app.command()
def remove(name: Annotated[str, typer.Argument(metavar="DEVICE", help="Name of an enrolled board.")]) -> None:
    """Forget a board: its address and its pinned host key. The board itself is left as it is.

    Example: hytnas-profile device remove shelf-3
    """
    from hytnas_host.devices.inventory import Inventory

    Inventory().remove(name)
    out.print(f"removed {name}; its agent, if it has one, stays on the board", markup=False, soft_wrap=True)


@app.command()
def describe(name: DeviceArgument = "local", as_json: JsonOption = False) -> None:
    """Show what a device is, and which runtimes work on it.

    Examples:

      hytnas-profile device describe

      hytnas-profile device describe shelf-3 --json
    """
    from hytnas_agent.records import EXECUTION_WORDS
    from hytnas_host.devices import open_device

    with open_device(name) as device:
        description = device.describe()
    _remember(name, description)
    if as_json:
        print_json(description)
        return
    context = description.context
    rows: list[tuple[str, object]] = [
        ("board", context.board),
        ("processor", description.cpu_model or context.soc),
        ("cores", context.cores),
        ("memory", f"{context.memory_bytes / 2**30:.1f} GiB" if context.memory_bytes else "as this machine"),
        ("system", f"{context.os}, kernel {context.kernel}"),
        ("governor", context.governor),
        ("latencies", EXECUTION_WORDS[context.execution]),
        ("identity", description.identity.device_id),
        ("agent", description.agent_version),
    ]
    for runtime in description.runtimes:
        state = "works" if runtime.usable else f"unusable: {runtime.reason}"
        rows.append(("runtime", f"{runtime.name} {runtime.version} ({state})"))
    print_table(f"Device {name}", ["", ""], rows)


def _remember(name: str, description: "DeviceDescription") -> None:
    """Note an enrolled board's context, for `device list`."""
    import msgspec

    from hytnas_host.devices.inventory import Inventory

    inventory = Inventory()
    entry = inventory.entries().get(name)
    if entry is not None:
        told = msgspec.structs.replace(
            entry, context=description.context, agent_version=description.agent_version
        )
        if told != entry:
            inventory.put(told)


@app.command()
def build(
    name: Annotated[
        str, typer.Argument(help="`icount-a53`, the only device that is built.", metavar="DEVICE")
    ],
) -> None:
    """Build the emulator behind a device now, instead of at its first use.

    Example: hytnas-profile device build icount-a53
    """
    from hytnas_host.devices import icount
    from hytnas_host.devices.errors import UnknownDeviceError

    if name != icount.DEVICE_NAME:
        raise UnknownDeviceError(f"there is nothing to build for {name!r}", f"name {icount.DEVICE_NAME}")
    built = icount.build(on_step=lambda step: out.print(f"building {step} ...", highlight=False))
    out.print(f"ready: {built.folder}", markup=False, soft_wrap=True)


@app.command()
def doctor(name: DeviceArgument = "local", as_json: JsonOption = False) -> None:
    """Check the way to a device and its health, and say what to do about each finding.

    It ends with status 1 if a finding forbids measuring.

    Example: hytnas-profile device doctor local
    """
    from hytnas_host.devices.doctor import examine_device

    checks: list[Check] = []
    for check in examine_device(name):
        checks.append(check)
        if not as_json:
            _print_check(check)
    if as_json:
        print_json(checks)
    if any(check.status == "fail" for check in checks):
        raise typer.Exit(1)


@app.command()
def tune(
    name: DeviceArgument = "local",
    undo: Annotated[bool, typer.Option("--undo", help="Put back what tune has changed.")] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask before changing anything. For scripts.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Pin a device's clock until its next boot. It shows what it would set, and asks first.

    Examples:

      hytnas-profile device tune shelf-3

      hytnas-profile device tune shelf-3 --undo
    """
    from hytnas_host.devices import open_device

    with open_device(name) as device:
        result = device.tune("undo" if undo else "plan")
        if result.steps and not undo and (yes or not as_json):
            if not yes:
                _print_tuning(result)
                typer.confirm(f"Set this on {name} until its next boot", abort=True, err=True)
            result = device.tune("apply")
    if as_json:
        print_json(result)
    else:
        _print_tuning(result)
    if any(step.state == "refused" for step in result.steps):
        raise typer.Exit(1)


def _print_tuning(result: "TuneResult") -> None:
    if not result.steps:
        out.print("nothing to set")
    for step in result.steps:
        line = f"{step.state:8} {plain(step.what)}: {plain(step.now)} -> {plain(step.then)}"
        out.print(line, markup=False, highlight=False, soft_wrap=True)
        if step.advice:
            out.print(f"         [dim]{escape(plain(step.advice))}[/]", soft_wrap=True)
    for remark in result.remarks:
        out.print(f"         [dim]{escape(plain(remark))}[/]", soft_wrap=True)


def _print_check(check: "Check") -> None:
    style = {"ok": "green", "warn": "yellow", "fail": "red", "unknown": "dim"}[check.status]
    found = f"[{style}]{check.status:8}[/] {escape(plain(check.name))}: {escape(plain(check.found))}"
    out.print(found, highlight=False, soft_wrap=True)
    if check.advice:
        out.print(f"         [dim]{escape(plain(check.advice))}[/]", soft_wrap=True)
