"""`hytnas-profile device`: the machines that measure."""

from typing import Annotated

import typer

from hytnas_host.cli.console import out, print_json, print_table
from hytnas_host.cli.options import JsonOption

app = typer.Typer(help="Devices: list, describe, doctor.", no_args_is_help=True)

DeviceArgument = Annotated[
    str, typer.Argument(help="Name of the device; `local` is this machine.", metavar="DEVICE")
]


@app.command("list")
def list_command(as_json: JsonOption = False) -> None:
    """List the known devices.

    Example: hytnas-profile device list
    """
    from hytnas_host.devices import DEVICES

    names = sorted(DEVICES)
    if as_json:
        print_json(names)
        return
    print_table("Devices", ["name"], [(name,) for name in names])


@app.command()
def describe(name: DeviceArgument = "local", as_json: JsonOption = False) -> None:
    """Show what a device is, and which runtimes work on it.

    Example: hytnas-profile device describe local
    """
    from hytnas_host.devices import open_device

    with open_device(name) as device:
        description = device.describe()
    if as_json:
        print_json(description)
        return
    context = description.context
    rows: list[tuple[str, object]] = [
        ("board", context.board),
        ("processor", description.cpu_model or context.soc),
        ("cores", context.cores),
        ("memory", f"{context.memory_bytes / 2**30:.1f} GiB"),
        ("system", f"{context.os}, kernel {context.kernel}"),
        ("governor", context.governor),
        ("latencies", context.execution),
        ("identity", description.identity.device_id),
        ("agent", description.agent_version),
    ]
    for runtime in description.runtimes:
        state = "works" if runtime.usable else f"unusable: {runtime.reason}"
        rows.append(("runtime", f"{runtime.name} {runtime.version} ({state})"))
    print_table(f"Device {name}", ["", ""], rows)


@app.command()
def doctor(name: DeviceArgument = "local", as_json: JsonOption = False) -> None:
    """Check the health of a device and say what to do about each finding.

    Example: hytnas-profile device doctor local
    """
    from hytnas_host.devices import open_device

    with open_device(name) as device:
        checks = device.doctor().checks
    if as_json:
        print_json(checks)
    else:
        styles = {"ok": "green", "warn": "yellow", "fail": "red", "unknown": "dim"}
        for check in checks:
            style = styles.get(check.status, "")
            out.print(f"[{style}]{check.status:8}[/] {check.name}: {check.found}", highlight=False)
            if check.advice:
                out.print(f"         [dim]{check.advice}[/]")
    if any(check.status == "fail" for check in checks):
        raise typer.Exit(1)
